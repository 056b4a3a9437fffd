/**
 * The log of one app, with limits per event so that none floods it. The limit for the connection of the cache is lower,
 * because it may be lost and made again several times a second. Made by app.ts; flushed by sweeper.ts and at the end.
 */
import { boundedLog, withoutFigures, type BoundedLog } from '../observability/bounded-log.ts';
import type { Logger } from '../observability/logger.ts';
import type { Log } from '../observability/types.ts';
import type { LogLevel } from '../errors/errors.ts';

export class Logs {
  readonly log: Log;
  readonly cacheLog: Log;
  /** Without limits: for what an operator does. */
  readonly whole: Log;
  private readonly logger: Logger;
  private readonly lines: BoundedLog;
  private readonly cacheLines: BoundedLog;

  constructor(logger: Logger, nowMs: () => number) {
    this.logger = logger;
    this.whole = logger.log;
    this.lines = boundedLog(logger.log, { nowMs, burst: 50, windowMs: 10_000, kindOf: (event) => event });
    this.log = this.lines.log;
    this.cacheLines = boundedLog(this.log, { nowMs, burst: 1, windowMs: 5_000, kindOf: withoutFigures });
    this.cacheLog = this.cacheLines.log;
  }

  setLevel(level: LogLevel): void {
    this.logger.setLevel(level);
  }

  /** Opens the file of the log anew: it may have been moved away. */
  reopen(): void {
    this.logger.reopen?.();
  }

  /** Writes the held-back lines that are due. */
  flush(): void {
    this.cacheLines.flush();
    this.lines.flush();
  }

  /** Writes all held-back lines, then the last line of the log. */
  end(event: string, message: string): void {
    this.cacheLines.flush(true);
    this.lines.flush(true);
    this.log('info', event, message);
    this.logger.flush();
  }
}
