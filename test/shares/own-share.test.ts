/** What a Weir lets itself have: while Redis answers, when it does not, and when its own clock has gone on without it. */
import { describe, expect, it } from 'vitest';
import { OwnShare } from '../../src/shares/own-share.ts';
import type { Answer, Others, Usage } from '../../src/shares/types.ts';

const answer = (limit: number): Answer => ({
  ...{ limit, budget: 12, weirs: 2, why: 'need met', atMs: 1, late: [], claimed: [] },
});
const usage = (open: number): Usage => ({ open, need: open, want: open, pids: [] });
const alone: Others = { monitors: [], connections: 0 };

function granted(limit: number): OwnShare {
  const share = new OwnShare('aaaaaaaaaaaa');
  share.setTerms({ budget: 12, fixed: 3 });
  const { seq } = share.say(1_000, usage(0), undefined, false);
  share.hear(seq, answer(limit), 1_050, 0);
  return share;
}

describe('the share of a Weir', () => {
  it('is nothing before Redis has answered', () => {
    const share = new OwnShare('aaaaaaaaaaaa');
    share.setTerms({ budget: 12, fixed: 3 });
    expect(share.limit(1_000, 0)).toBe(0);
    share.shown(1_000, 1_001, 0, alone);
    expect(share.limit(1_000, 0)).toBe(0);
    expect(share.state(1_000)).toBe('starting');
  });

  it('tells of backends only what a ledger can say: a number below 0 would make it nonsense for all Weirs', () => {
    const share = new OwnShare('aaaaaaaaaaaa');
    expect(share.say(1_000, { ...usage(3), pids: [7, -5, 0] }, undefined, false).pids).toEqual([7]);
  });

  it('is what Redis has granted, from before it was asked', () => {
    const share = granted(8);
    expect([share.limit(3_999, 2), share.state(3_999)]).toEqual([8, 'granted']);
    expect([share.limit(4_000, 2), share.state(4_000)]).toEqual([2, 'unseen']);
    expect(share.limit(4_001, 1)).toBe(1);
    expect(share.limit(4_002, 0)).toBe(0);
  });

  it('does not count an answer that is late or overtaken, or more than the budget', () => {
    const share = granted(2);
    const { seq } = share.say(2_000, usage(0), undefined, false);
    share.say(2_500, usage(0), undefined, false);
    share.hear(seq, answer(9), 2_600, 0);
    expect(share.limit(2_600, 0)).toBe(2);
    const late = share.say(3_000, usage(0), undefined, false);
    share.hear(late.seq, answer(9), 6_000, 0);
    expect(share.limit(6_000, 0)).toBe(0);
    const huge = share.say(7_000, usage(0), undefined, false);
    share.hear(huge.seq, answer(1e9), 7_001, 0);
    expect(share.limit(7_001, 0)).toBe(12);
  });

  it('says the most that it may still let itself have', () => {
    const share = granted(8);
    expect(share.say(2_000, usage(2), undefined, false).limit).toBe(8);
    share.shown(3_500, 3_510, 2, alone);
    expect(share.say(5_000, usage(2), undefined, false).limit).toBe(8);
    expect(share.say(6_600, usage(2), undefined, false).limit).toBe(2);
    expect(share.say(6_700, usage(2), undefined, true).limit).toBe(0);
  });

  it('without Redis keeps what is open, and grows to the fixed share at most, while the server sees it', () => {
    const share = granted(8);
    share.isRedisGone = true;
    share.shown(3_900, 3_910, 6, alone);
    expect([share.limit(5_000, 6), share.limit(5_001, 5), share.limit(5_002, 1)]).toEqual([6, 5, 3]);
    expect(share.state(5_000)).toBe('without Redis');
    expect(granted(2).limit(3_000, 0)).toBe(2);
    // A process that was stopped has only what it has left.
    expect(share.limit(60_000, 4)).toBe(4);
    expect(share.limit(60_001, 1)).toBe(1);
    share.shown(60_100, 60_110, 1, alone);
    expect(share.limit(60_120, 1)).toBe(1);
  });

  it('takes its fixed share without ever having heard of Redis, when it has shown it and the others leave it', () => {
    const share = new OwnShare('aaaaaaaaaaaa');
    share.setTerms({ budget: 12, fixed: 4 });
    share.isRedisGone = true;
    const others: Others = { monitors: [{ id: 'b', limit: 9, open: 2 }], connections: 2 };
    share.shown(1_000, 1_010, 0, others);
    expect(share.toShow(1_020, 0)).toMatchObject({ limit: 3 });
    share.shown(2_000, 2_010, 0, others);
    expect(share.limit(2_020, 0)).toBe(0);
    for (let ms = 3_000; ms <= 6_000; ms += 1_000) share.shown(ms, ms + 10, 0, others);
    expect(share.limit(6_020, 0)).toBe(3);
  });

  it('goes to the next supervisor as it is', () => {
    const next = new OwnShare('bbbbbbbbbbbb', granted(8).handOver());
    expect([next.id, next.limit(3_000, 0), next.limit(4_500, 1)]).toEqual(['aaaaaaaaaaaa', 8, 1]);
    expect(next.say(4_600, usage(1), undefined, false).seq).toBe(2);
  });
});
