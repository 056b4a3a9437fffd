/**
 * The log: one line an event, JSON or pretty, secrets taken out. The only file that knows pino. Made once by the app;
 * everybody else is given its `log` function. It never throws and never fails the process.
 */
import { pino } from 'pino';
import type { DestinationStream, Logger as Pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import type { LogLevel } from '../errors.ts';
import { redactFields, redactText } from './redact.ts';
import type { Log } from './types.ts';

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: 'json' | 'pretty';
  /** Where to write; default standard output. */
  readonly destination?: DestinationStream | undefined;
}

export interface Logger {
  readonly log: Log;
  /** Takes effect at once (reload). */
  setLevel(level: LogLevel): void;
  /** Writes out what is buffered: before the process ends. */
  flush(): void;
}

export function createLogger(options: LoggerOptions): Logger {
  const destination = options.destination ?? standardOutput();
  const stream = options.format === 'pretty' ? prettyInto(destination) : destination;
  const logger: Pino = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
  return {
    log(level, event, message, fields) {
      try {
        if (!logger.isLevelEnabled(level)) return;
        logger[level]({ ...(fields === undefined ? {} : redactFields(fields)), event }, redactText(message));
      } catch {
        // A log line that cannot be written must not take down what it was about.
      }
    },
    setLevel(level) {
      logger.level = level;
    },
    flush() {
      try {
        logger.flush();
      } catch {
        // Nothing is buffered, or the other end is gone.
      }
    },
  };
}

function standardOutput(): DestinationStream {
  const stream = pino.destination({ dest: 1, sync: true });
  // EPIPE: whoever read the log went away; the proxy goes on.
  stream.on('error', () => {});
  return stream;
}

/** Line by line, without pino-pretty's own stream, which would end with the process's last line still in it. */
function prettyInto(destination: DestinationStream): DestinationStream {
  const prettify = prettyFactory({
    colorize: process.stdout.isTTY === true,
    translateTime: 'SYS:HH:MM:ss.l',
    messageFormat: '{event}: {msg}',
    ignore: 'event',
  });
  return { write: (line) => destination.write(String(prettify(line))) };
}

export interface RepeatLimiter {
  /** How many lines with this key were held back since the last one; undefined: hold this one back too. */
  admit(key: string): number | undefined;
}

/**
 * For lines that an attacker or an outage can repeat thousands of times: one a second per key, and then how many
 * there were. At most `maxKeys` keys are remembered; beyond, the oldest is forgotten.
 */
export function createRepeatLimiter(nowMs: () => number, intervalMs = 1_000, maxKeys = 1_000): RepeatLimiter {
  const seen = new Map<string, { atMs: number; held: number }>();
  return {
    admit(key) {
      const now = nowMs();
      const entry = seen.get(key);
      if (entry !== undefined && now - entry.atMs < intervalMs) {
        entry.held++;
        return undefined;
      }
      seen.delete(key);
      seen.set(key, { atMs: now, held: 0 });
      if (seen.size > maxKeys) seen.delete(seen.keys().next().value as string);
      return entry?.held ?? 0;
    },
  };
}

/** The same log, with lines of one event and key held to one a second; the next that passes says how many did not. */
export function limitRepeats(log: Log, limiter: RepeatLimiter, keyOf: (message: string) => string = (m) => m): Log {
  return (level, event, message, fields) => {
    const held = limiter.admit(`${event}\0${keyOf(message)}`);
    if (held === undefined) return;
    log(level, event, message, held === 0 ? fields : { ...fields, suppressed: held });
  };
}

/** For limitRepeats: made-up names must not make every line a new one. */
export function withoutNames(message: string): string {
  return message.replace(/"[^"]*"/g, '""');
}
