/**
 * Limits how many similar lines are logged in a time window, so that clients, servers or Redis cannot fill the log.
 * The lines above the limit are only counted. Called by the app, which says which lines are similar (`kindOf`) and how
 * many may pass.
 */
import type { LogLevel } from '../errors/errors.ts';
import type { Log, LogFields } from './types.ts';

export interface BoundedLogOptions {
  readonly nowMs: () => number;
  /** Lines of one kind that may pass within `windowMs`. */
  readonly burst: number;
  readonly windowMs: number;
  /** Names the kind of a line. */
  readonly kindOf: (event: string, message: string) => string;
  /**
   * True (the default): when the window is over, logs the last line held back, with the number of the others, so that
   * the log ends with the present state. False: drops it too; the next line that passes has the number of all.
   */
  readonly isLastSaid?: boolean;
  /**
   * Whether lines of level debug are limited as well. Default false, because level debug is meant to show everything.
   */
  readonly isDebugBounded?: boolean;
}

export interface BoundedLog {
  readonly log: Log;
  /**
   * Logs the held-back lines whose window is over. Must be called regularly, and with `isAll` before the process ends.
   */
  flush(isAll?: boolean): void;
}

interface Line {
  readonly level: LogLevel;
  readonly event: string;
  readonly message: string;
  readonly fields: LogFields | undefined;
}

interface Kind {
  sinceMs: number;
  passed: number;
  held: number;
  last: Line | undefined;
}

/** Above this number of kinds, the oldest is forgotten. A well-chosen `kindOf` has few. */
const mostKinds = 1_000;

export function boundedLog(log: Log, options: BoundedLogOptions): BoundedLog {
  const kinds = new Kinds(log, options);
  return {
    log(level, event, message, fields) {
      if (level === 'debug' && options.isDebugBounded !== true) return log(level, event, message, fields);
      kinds.add({ level, event, message, fields });
    },
    flush: (isAll = false) => kinds.flush(isAll),
  };
}

/**
 * Limits to one line a second. For lines that an attacker or an outage can repeat thousands of times: names in double
 * quotes do not make another kind.
 */
export function limitRepeats(log: Log, nowMs: () => number): Log {
  const kindOf = (event: string, message: string): string => `${event}\0${message.replace(/"[^"]*"/g, '""')}`;
  const once = { burst: 1, windowMs: 1_000, kindOf, isLastSaid: false, isDebugBounded: true };
  return boundedLog(log, { nowMs, ...once }).log;
}

/** For `kindOf`: lines of the same event that differ only in numbers are of one kind. */
export function withoutFigures(event: string, message: string): string {
  return `${event} ${message.replace(/\d+(\.\d+)?/g, '0')}`;
}

class Kinds {
  private readonly log: Log;
  private readonly options: BoundedLogOptions;
  private readonly isLastSaid: boolean;
  /** The kind that held back a line last is at the end, so that flush() logs in the order of events. */
  private readonly kinds = new Map<string, Kind>();

  constructor(log: Log, options: BoundedLogOptions) {
    this.log = log;
    this.options = options;
    this.isLastSaid = options.isLastSaid ?? true;
  }

  add(line: Line): void {
    const { burst, windowMs, nowMs, kindOf } = this.options;
    const key = kindOf(line.event, line.message);
    const kind = this.kindNamed(key);
    if (nowMs() - kind.sinceMs >= windowMs) {
      if (this.isLastSaid && kind.held > 0) this.tell(kind);
      else [kind.sinceMs, kind.passed] = [nowMs(), 0];
    }
    if (kind.passed < burst) {
      const { held } = kind;
      kind.passed++;
      kind.held = 0;
      this.write(line, held);
      return;
    }
    kind.held++;
    kind.last = this.isLastSaid ? line : undefined;
    this.kinds.delete(key);
    this.kinds.set(key, kind);
  }

  flush(isAll: boolean): void {
    if (!this.isLastSaid) return;
    const { nowMs, windowMs } = this.options;
    for (const kind of this.kinds.values()) {
      if (kind.held > 0 && (isAll || nowMs() - kind.sinceMs >= windowMs)) this.tell(kind);
    }
  }

  private tell(kind: Kind): void {
    const { last, held } = kind;
    kind.held = 0;
    kind.last = undefined;
    kind.sinceMs = this.options.nowMs();
    kind.passed = 1;
    if (last !== undefined) this.log(last.level, last.event, last.message, { ...last.fields, suppressed: held - 1 });
  }

  private write({ level, event, message, fields }: Line, suppressed: number): void {
    this.log(level, event, message, suppressed === 0 ? fields : { ...fields, suppressed });
  }

  private kindNamed(key: string): Kind {
    const { kinds } = this;
    const known = kinds.get(key);
    if (known !== undefined) return known;
    const kind = { sinceMs: this.options.nowMs(), passed: 0, held: 0, last: undefined };
    kinds.set(key, kind);
    const [oldest] = kinds;
    if (kinds.size > mostKinds && oldest !== undefined) {
      this.tell(oldest[1]);
      kinds.delete(oldest[0]);
    }
    return kind;
  }
}
