/** What a look at pg_stat_activity tells of other Weirs, and what Redis may have in the place of a ledger. */
import { describe, expect, it } from 'vitest';
import { formatLedger, parseLedger } from '../../src/shares/ledger-format.ts';
import { othersIn, seenIn, shownName } from '../../src/shares/look.ts';
import type { Answer, Ledger } from '../../src/shares/types.ts';

const own = '000000000000';
const dead = 'dddddddddddd';
const row = (pid: number, name: string, ageMs: number | null = 60_000): Record<string, unknown> => ({
  ...{ pid, application_name: name, age_ms: ageMs },
});
const answer = (late: Answer['late'], claimed: readonly number[] = []): Answer => ({
  ...{ limit: 1, budget: 9, weirs: 1, why: 'need met', atMs: 5_000, late, claimed },
});

describe('a look at the server', () => {
  it('finds the monitors of other Weirs, and who else is connected', () => {
    const rows = [
      row(1, shownName({ id: dead, limit: 7, open: 3 })),
      row(2, shownName({ id: dead, limit: 5, open: 4 })),
      row(3, shownName({ id: own, limit: 5, open: 4 })),
      row(4, 'weir monitor DROP TABLE 1 2'),
      row(5, 'shop'),
      row(6, 'shop'),
    ];
    const others = { monitors: [{ id: dead, limit: 7, open: 4 }], connections: 1 };
    expect(othersIn(rows, own, [6])).toEqual(others);
    expect(shownName({ id: own, limit: Infinity, open: 1 })).toBe(`weir monitor ${own} 999999 1`);
  });

  it('counts what a silent Weir has told of, whatever name its client has given it', () => {
    const late = [{ id: dead, seq: 4, pids: [1], silentMs: 10_000, absentForMs: 8_000 }];
    expect(seenIn([row(1, 'weir monitor')], answer(late), 0, own, []).absent[0]?.left).toBe(1);
  });

  it('counts what may be of a silent Weir: what it has told of, and what began while it was silent', () => {
    const late = [{ id: dead, seq: 4, pids: [1, 2], silentMs: 10_000, absentForMs: 8_000 }];
    const rows = [
      row(1, 'shop'),
      row(2, 'another process since', 1_000),
      row(3, 'of another Weir', 12_000),
      row(4, 'long before', 60_000),
      row(5, 'told of by nobody', 12_000),
      row(6, 'after its end', 1_000),
      row(7, 'of unknown age', null),
      row(8, 'weir monitor', 12_000),
    ];
    expect(seenIn(rows, answer(late, [3]), 0, own, []).absent).toEqual([{ id: dead, seq: 4, left: 3 }]);
    expect(seenIn(rows, answer(late, [3]), 0, own, [5, 7]).absent).toEqual([{ id: dead, seq: 4, left: 1 }]);
    const longGone = late.map((each) => ({ ...each, absentForMs: 31_000, silentMs: 33_000 }));
    expect(seenIn([row(1, 'shop'), row(7, 'shop', null)], answer(longGone), 0, own, []).absent[0]?.left).toBe(1);
    const shown = row(9, shownName({ id: dead, limit: 2, open: 2 }));
    expect(seenIn([...rows, shown], answer(late), 0, own, [])).toEqual({
      ...{ askedMs: 5_000, absent: [], monitors: [{ id: dead, limit: 2, open: 2 }] },
    });
  });
});

describe('a ledger as text', () => {
  const member = {
    ...{ id: dead, seq: 3, limit: 4, open: 5, need: 6, want: 7, budget: undefined, pids: [8, 9], lastMs: 10 },
    ...{ absentMs: 11, isLeaving: true },
  };
  const ledger: Ledger = { sinceMs: 1, lastMs: 2, run: 'ab12', members: new Map([[dead, member]]) };

  it('is read as it was written', () => {
    expect(parseLedger(formatLedger(ledger))).toEqual(ledger);
  });

  it.each([
    '',
    'x',
    '{}',
    '[]',
    '[1]',
    '[2,1,2,"ab",[]]',
    '[1,1,2,"a b",[]]',
    '[1,-1,2,"ab",[]]',
    '[1,1,1e300,"ab",[]]',
  ])('is none: %s', (text) => expect(parseLedger(text)).toBeUndefined());

  it.each([
    ['negative', 'limit', -1],
    ['huge', 'limit', 1e12],
    ['a fraction', 'open', 0.5],
    ['a name', 'id', '../..'],
    ['a pid', 'pids', [-4]],
  ])('is none with a member that is nonsense: %s', (_what, field, value) => {
    const members = new Map([[dead, { ...member, [field]: value }]]);
    expect(parseLedger(formatLedger({ ...ledger, members }))).toBeUndefined();
  });

  it('is none with too many members', () => {
    const members = new Map(Array.from({ length: 201 }, (_each, index) => [String(index), member]));
    expect(parseLedger(formatLedger({ ...ledger, members }))).toBeUndefined();
  });
});
