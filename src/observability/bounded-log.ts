/**
 * No kind of line fills the log, however often clients, servers or Redis give cause for it: so many in a while, the others are
 * counted. The last of those is said when the while is over, with the count: what the log ends with is how things are.
 */
import type { LogLevel } from '../errors.ts';
import type { Log, LogFields } from './types.ts';

export interface BoundedLogOptions {
  readonly nowMs: () => number;
  /** So many lines of a kind within `windowMs`. */
  readonly burst: number;
  readonly windowMs: number;
  readonly kindOf: (event: string, message: string) => string;
}

export interface BoundedLog {
  readonly log: Log;
  /** Says what was held back and is due. To be called now and then; with `isAll` at the end. */
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

/** For `kindOf`: the same words about the same thing, with other figures. */
export function withoutFigures(event: string, message: string): string {
  return `${event} ${message.replace(/\d+(\.\d+)?/g, '0')}`;
}

/** Beyond, the oldest is forgotten: kinds are few where `kindOf` is chosen well. */
const mostKinds = 1_000;

export function boundedLog(log: Log, { nowMs, burst, windowMs, kindOf }: BoundedLogOptions): BoundedLog {
  /** The one that held back a line last is at the end: told in the order in which things happened. */
  const kinds = new Map<string, Kind>();

  function tell(kind: Kind): void {
    const { last, held } = kind;
    kind.held = 0;
    kind.last = undefined;
    kind.sinceMs = nowMs();
    kind.passed = 1;
    if (last !== undefined) log(last.level, last.event, last.message, { ...last.fields, suppressed: held - 1 });
  }

  function kindNamed(key: string): Kind {
    const known = kinds.get(key);
    if (known !== undefined) return known;
    const kind = { sinceMs: nowMs(), passed: 0, held: 0, last: undefined };
    kinds.set(key, kind);
    const [oldest] = kinds;
    if (kinds.size > mostKinds && oldest !== undefined) {
      tell(oldest[1]);
      kinds.delete(oldest[0]);
    }
    return kind;
  }

  return {
    log(level, event, message, fields) {
      // Who asks for this level wants to see everything.
      if (level === 'debug') return log(level, event, message, fields);
      const key = kindOf(event, message);
      const kind = kindNamed(key);
      if (nowMs() - kind.sinceMs >= windowMs) {
        if (kind.held > 0) tell(kind);
        else [kind.sinceMs, kind.passed] = [nowMs(), 0];
      }
      if (kind.passed < burst) {
        kind.passed++;
        return log(level, event, message, fields);
      }
      kind.held++;
      kind.last = { level, event, message, fields };
      kinds.delete(key);
      kinds.set(key, kind);
    },
    flush(isAll = false) {
      for (const kind of kinds.values()) {
        if (kind.held > 0 && (isAll || nowMs() - kind.sinceMs >= windowMs)) tell(kind);
      }
    },
  };
}
