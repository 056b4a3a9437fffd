/**
 * The log: one line per event, as JSON or text, with secrets removed. The only file that uses pino. Made once by the
 * app, which passes its `log` function to the rest. Never throws, and never ends the process.
 */
import { pino } from 'pino';
import type { DestinationStream, Logger as Pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import type { LogLevel } from '../errors/errors.ts';
import { pgbouncerLine } from './pgbouncer-lines.ts';
import { redactFields, redactText } from './redact.ts';
import type { Log } from './types.ts';

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: 'json' | 'pretty' | 'pgbouncer';
  /** Default: standard output. */
  readonly destination?: DestinationStream | undefined;
  /** Fields of every line. */
  readonly fields?: Readonly<Record<string, string | number>>;
}

export interface Logger {
  readonly log: Log;
  /** Takes effect at once (reload). */
  setLevel(level: LogLevel): void;
  /** Writes buffered lines. Must be called before the process ends. */
  flush(): void;
}

export function createLogger(options: LoggerOptions): Logger {
  const destination = options.destination ?? standardOutput();
  const stream = formats[options.format](destination);
  const logger: Pino = pino(
    {
      level: options.level,
      base: options.fields ?? null,
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
        // An error of the log must not affect the caller.
      }
    },
    setLevel(level) {
      logger.level = level;
    },
    flush() {
      try {
        logger.flush();
      } catch {
        // Nothing is buffered, or the reader of the log has closed it.
      }
    },
  };
}

/** Each writes the JSON lines of pino in its own form. */
const formats: Readonly<Record<LoggerOptions['format'], (to: DestinationStream) => DestinationStream>> = {
  json: (to) => to,
  pretty: prettyInto,
  pgbouncer: (to) => ({ write: (line) => to.write(pgbouncerLine(line, process.pid)) }),
};

function standardOutput(): DestinationStream {
  const stream = pino.destination({ dest: 1, sync: true });
  // EPIPE: the reader of the log has closed it. Weir goes on without.
  stream.on('error', () => {});
  return stream;
}

/** Formats line by line. pino-pretty's own stream would lose the last line when the process ends. */
function prettyInto(destination: DestinationStream): DestinationStream {
  const prettify = prettyFactory({
    colorize: process.stdout.isTTY === true,
    translateTime: 'SYS:HH:MM:ss.l',
    messageFormat: '{event}: {msg}',
    ignore: 'event',
  });
  return { write: (line) => destination.write(String(prettify(line))) };
}
