/**
 * Up to when the writes around Weir are known, for each database whose WAL is decoded (docs/consistency.md, rule 17). An answer is
 * shown only while that is not too long ago. Told by app/decodings.ts, asked by cache.ts.
 */
import type { Tag } from '../binding/plan.ts';
import type { TagState } from './tag-state.ts';

/** Answers may be shown before this moment, in monotonic milliseconds. */
export interface Covered {
  readonly untilMs: number;
}

/** Nobody looks for writes around Weir: only the time to live bounds what they make wrong. */
export const unwatched: Covered = { untilMs: Infinity };
/** Writes around Weir to one of the tables are never seen. */
export const uncovered: Covered = { untilMs: -Infinity };

interface OfDatabase {
  untilMs: number;
  /** Tags of the tables whose writes are seen. */
  tables: ReadonlySet<Tag>;
}

export class Coverage {
  private readonly databases = new Map<string, OfDatabase>();

  /**
   * @param untilMs from then on answers are not shown without another word
   * @returns true if these are other tables than before
   */
  cover(prefix: string, untilMs: number, tables: ReadonlySet<Tag>): boolean {
    const known = this.of(prefix);
    known.untilMs = Math.max(known.untilMs, untilMs);
    const isOther =
      tables !== known.tables &&
      (tables.size !== known.tables.size || [...tables].some((tag) => !known.tables.has(tag)));
    if (isOther) known.tables = tables;
    return isOther;
  }

  /** @returns the same object for as long as the tables are the same; its time changes */
  ofAnswer(states: readonly TagState[]): Covered {
    let covered: OfDatabase | undefined;
    for (const { tag, kind, all } of states) {
      if (kind !== 'relation' || all === undefined) continue;
      covered = this.of(all.tag.slice(0, -'all'.length));
      if (!covered.tables.has(tag)) return uncovered;
    }
    return covered ?? uncovered;
  }

  private of(prefix: string): OfDatabase {
    let known = this.databases.get(prefix);
    if (known === undefined) this.databases.set(prefix, (known = { untilMs: -Infinity, tables: new Set() }));
    return known;
  }
}
