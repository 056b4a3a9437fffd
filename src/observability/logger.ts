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

export type LogFormat = 'json' | 'pretty' | 'pgbouncer';

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Instead of standard output and the file. */
  readonly destination?: DestinationStream | undefined;
  /** Lines are appended to it. */
  readonly file?: string | undefined;
  /** Default: true. */
  readonly stdout?: boolean;
  /** Fields of every line. */
  readonly fields?: Readonly<Record<string, string | number>>;
}

export interface Logger {
  readonly log: Log;
  /** Takes effect at once (reload). */
  setLevel(level: LogLevel): void;
  /** Opens the file anew, which may have been moved away. */
  reopen?(): void;
  /** Writes buffered lines. Must be called before the process ends. */
  flush(): void;
}

export function createLogger(options: LoggerOptions): Logger {
  const { destination, file, stdout = true } = options;
  const inFile =
    destination === undefined && file !== undefined ? pino.destination({ dest: file, sync: true }) : undefined;
  // A full disk, or a directory that is gone: Weir goes on without.
  inFile?.on('error', () => {});
  const shaped = formats[options.format];
  const streams = [
    ...(destination === undefined && !stdout ? [] : [shaped(destination ?? standardOutput(), isTerminal())]),
    ...(inFile === undefined ? [] : [shaped(inFile, false)]),
  ];
  const stream = streams.length === 1 && streams[0] !== undefined ? streams[0] : toAll(streams);
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
    reopen() {
      try {
        inFile?.reopen();
      } catch {
        // It goes on to the file that it has.
      }
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
const formats: Readonly<Record<LogFormat, (to: DestinationStream, colorize: boolean) => DestinationStream>> = {
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

const isTerminal = (): boolean => process.stdout.isTTY === true;

function toAll(streams: readonly DestinationStream[]): DestinationStream {
  return {
    write(line) {
      for (const stream of streams) stream.write(line);
    },
  };
}

/** Formats line by line. pino-pretty's own stream would lose the last line when the process ends. */
function prettyInto(destination: DestinationStream, colorize: boolean): DestinationStream {
  const prettify = prettyFactory({
    colorize,
    translateTime: 'SYS:HH:MM:ss.l',
    messageFormat: '{event}: {msg}',
    ignore: 'event',
  });
  return { write: (line) => destination.write(String(prettify(inOneLine(line)))) };
}

/** Its message may have names that clients chose: with a line break, they could look like another line of the log. */
function inOneLine(json: string): string | Record<string, unknown> {
  const line = JSON.parse(json) as Record<string, unknown>;
  if (typeof line['msg'] === 'string') line['msg'] = line['msg'].replace(controlCharacters, escaped);
  return line;
}

const controlCharacters = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

function escaped(character: string): string {
  if (character === '\n') return '\\n';
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
