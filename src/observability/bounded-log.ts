/**
 * No kind of line fills the log, however often clients, servers or Redis give cause for it: so many in a while, the others
 * are counted. Called by the app, which says what a kind is and how many lines of it there may be.
 */
import type { LogLevel } from '../errors.ts';
import type { Log, LogFields } from './types.ts';

export interface BoundedLogOptions {
  readonly nowMs: () => number;
  /** Lines of a kind that are logged within `windowMs`. */
  readonly burst: number;
  readonly windowMs: number;
  /** Lines with the same result are of one kind. */
  readonly kindOf: (event: string, message: string) => string;
  /**
   * The last line held back is said when the while is over, with the number of the others: what the log ends with is how
   * things are. Default true. False: it is dropped, too, and the next line that passes has the number of all.
   */
  readonly isLastSaid?: boolean;
  /** Default false: who asks for level debug wants to see everything. */
  readonly isDebugBounded?: boolean;
}

export interface BoundedLog {
  readonly log: Log;
  /** Logs the held-back lines whose window is over. Must be called now and then, and with `isAll` before the end. */
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

/** Beyond, the oldest is forgotten: kinds are few where `kindOf` is chosen well. */
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

/** For lines that an attacker or an outage can repeat thousands of times, whatever names they make up: one a second. */
export function limitRepeats(log: Log, nowMs: () => number): Log {
  const kindOf = (event: string, message: string): string => `${event}\0${message.replace(/"[^"]*"/g, '""')}`;
  const once = { burst: 1, windowMs: 1_000, kindOf, isLastSaid: false, isDebugBounded: true };
  return boundedLog(log, { nowMs, ...once }).log;
}

/** For `kindOf`: the same words about the same thing, with other figures. */
export function withoutFigures(event: string, message: string): string {
  return `${event} ${message.replace(/\d+(\.\d+)?/g, '0')}`;
}

class Kinds {
  private readonly log: Log;
  private readonly options: BoundedLogOptions;
  private readonly isLastSaid: boolean;
  /** The one that held back a line last is at the end: told in the order in which things happened. */
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
