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
