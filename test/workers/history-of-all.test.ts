/**
 * What workers have noted for the page is added up once each, and outlives a worker and a supervisor. Fails if the page shows
 * traffic twice, or forgets what a dead worker did.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { slotAt } from '../../src/observability/page/history.ts';
import { indexOf, rowLength, slotMs } from '../../src/observability/page/noted.ts';
import type { Slot } from '../../src/observability/page/slot-types.ts';
import { HistoryOfAll } from '../../src/workers/history-of-all.ts';

let nowMs: number;
let history: HistoryOfAll;

function slotsOf(from: number, counts: readonly number[]): Slot[] {
  return counts.map((count, i) => {
    const row = new Float64Array(rowLength);
    row[indexOf('primary')] = count;
    return { slot: from + i, row };
  });
}

const shown = (of = history): (readonly [number, number | undefined])[] =>
  (of.asked('page-full') ?? []).map(({ slot, row }) => [slot, row[indexOf('primary')]] as const);

beforeEach(() => {
  nowMs = 1_000 * slotMs + 500;
  history = new HistoryOfAll(() => nowMs);
});

describe('what all workers have noted', () => {
  it('is added up, each slot of a worker once, however often it says it', () => {
    history.note(11, slotsOf(990, [1, 2, 3]));
    history.note(12, slotsOf(991, [10, 10]));
    history.note(11, slotsOf(991, [2, 3, 4]));
    history.note(11, slotsOf(991, [2, 3, 4]));
    expect(shown()).toEqual([
      [990, 1],
      [991, 12],
      [992, 13],
      [993, 4],
    ]);
  });

  it('stays when a worker is gone, and the next process begins anew', () => {
    history.note(11, slotsOf(990, [5]));
    history.left(11);
    history.note(13, slotsOf(990, [1]));
    expect(shown()).toEqual([[990, 6]]);
  });

  it('does not show a slot until every worker has had the time to note it', () => {
    const last = slotAt(nowMs) - 1;
    history.note(11, slotsOf(last, [5]));
    expect(shown()).toEqual([]);
    nowMs += 600;
    expect(shown()).toEqual([[last, 5]]);
  });

  it('goes on in the next supervisor', () => {
    history.note(11, slotsOf(990, [5, 6]));
    const next = new HistoryOfAll(() => nowMs, structuredClone(history.state()));
    next.note(11, slotsOf(990, [5, 6, 7]));
    expect(shown(next)).toEqual([
      [990, 5],
      [991, 6],
      [992, 7],
    ]);
  });

  it('is for the page only, the last seconds or all', () => {
    history.note(11, slotsOf(900, Array<number>(90).fill(1)));
    expect(history.asked('totals')).toBeUndefined();
    expect(history.asked('counts')).toBeUndefined();
    expect(history.asked('page')).toHaveLength(1);
    expect(history.asked('page-full')).toHaveLength(90);
  });
});
