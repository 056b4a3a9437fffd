/**
 * How far a replica lags, in milliseconds, from positions in the WAL. Fails if a node looks fresher than it is, or an idle
 * primary makes it look old.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLagHistory } from '../../src/topology/lag.ts';

describe('lag history', () => {
  it('knows nothing of a node that is behind everything it has seen', () => {
    const history = createLagHistory();
    expect(history.caughtUpAt(100)).toBe(-Infinity);
    history.note(1, 100);
    expect(history.caughtUpAt(99)).toBe(-Infinity);
    expect(history.caughtUpAt(0)).toBe(-Infinity);
  });

  it('says the last moment whose position was replayed', () => {
    const history = createLagHistory();
    history.note(10, 100);
    history.note(20, 200);
    history.note(30, 300);
    expect(history.caughtUpAt(100)).toBe(10);
    expect(history.caughtUpAt(250)).toBe(20);
    expect(history.caughtUpAt(300)).toBe(30);
    expect(history.newestLsn()).toBe(300);
  });

  it('shows no lag while the primary is idle for an hour', () => {
    const history = createLagHistory();
    for (let t = 0; t <= 3_600_000; t += 500) history.note(t, 100);
    expect(history.caughtUpAt(100)).toBe(3_600_000);
  });

  it('forgets positions that a crash has taken back', () => {
    const history = createLagHistory();
    history.note(10, 100);
    history.note(20, 200);
    history.note(30, 150);
    expect(history.newestLsn()).toBe(150);
    expect(history.caughtUpAt(200)).toBe(30);
    expect(history.caughtUpAt(120)).toBe(10);
  });

  it('never claims more than the truth, however much it has thinned out', () => {
    const growth = fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(growth, fc.integer({ min: 2, max: 16 }), (steps, capacity) => {
        const history = createLagHistory(capacity);
        const truth: { at: number; lsn: number }[] = [];
        let lsn = 1;
        for (const [at, step] of steps.entries()) {
          lsn += step;
          history.note(at, lsn);
          truth.push({ at, lsn });
        }
        for (let x = 0; x <= lsn; x++) {
          const exact = truth.findLast((entry) => entry.lsn <= x)?.at ?? -Infinity;
          expect(history.caughtUpAt(x)).toBeLessThanOrEqual(exact);
        }
        expect(history.caughtUpAt(lsn)).toBe(steps.length - 1);
      }),
    );
  });

  it('remembers a long lag in bounded memory', () => {
    const history = createLagHistory(64);
    for (let t = 0; t < 100_000; t++) history.note(t, t + 1);
    const lag = 99_999 - history.caughtUpAt(50_000);
    expect(lag).toBeGreaterThanOrEqual(50_000);
    expect(lag).toBeLessThan(100_000);
  });
});
