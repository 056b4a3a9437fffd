/**
 * The log of one app, no kind of line of which fills it: so many lines of an event, and fewer of the cache's connection,
 * which may be lost and found again several times a second. Made by app.ts; flushed by the sweeper and at the end.
 */
import { boundedLog, withoutFigures, type BoundedLog } from '../observability/bounded-log.ts';
import type { Logger } from '../observability/logger.ts';
import type { Log } from '../observability/types.ts';
import type { LogLevel } from '../errors.ts';

export class Logs {
  readonly log: Log;
  readonly cacheLog: Log;
  private readonly logger: Logger;
  private readonly lines: BoundedLog;
  private readonly cacheLines: BoundedLog;

  constructor(logger: Logger, nowMs: () => number) {
    this.logger = logger;
    this.lines = boundedLog(logger.log, { nowMs, burst: 50, windowMs: 10_000, kindOf: (event) => event });
    this.log = this.lines.log;
    this.cacheLines = boundedLog(this.log, { nowMs, burst: 1, windowMs: 5_000, kindOf: withoutFigures });
    this.cacheLog = this.cacheLines.log;
  }

  setLevel(level: LogLevel): void {
    this.logger.setLevel(level);
  }

  /** Says what was held back and is due. */
  flush(): void {
    this.cacheLines.flush();
    this.lines.flush();
  }

  /** Says what is held back still, and the very last line. */
  end(event: string, message: string): void {
    this.cacheLines.flush(true);
    this.lines.flush(true);
    this.log('info', event, message);
    this.logger.flush();
  }
}
