/** Ticks and the WAL positions that they stand for. Fails if a replica counts as having replayed what it has not. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTicker } from '../../src/topology/ticker.ts';

const silent = (): void => undefined;

describe('LSN ticker', () => {
  it('resolves a tick by a probe that was sent after it, not by one already under way', () => {
    const ticker = createTicker(silent);
    const early = ticker.begin();
    const tick = ticker.next();
    ticker.finish(early, 100);
    expect(ticker.lsnOf(tick)).toBeUndefined();
    ticker.finish(ticker.begin(), 200);
    expect(ticker.lsnOf(tick)).toBe(200);
    expect(ticker.lsnOf(early)).toBe(100);
  });

  it('wakes the prober once per probe, however many ask', () => {
    let wakes = 0;
    const ticker = createTicker(() => wakes++);
    const ticks = [ticker.next(), ticker.next(), ticker.next()];
    expect(new Set(ticks).size).toBe(1);
    expect(wakes).toBe(1);
    expect(ticker.isDemanded()).toBe(true);
    ticker.begin();
    expect(ticker.isDemanded()).toBe(false);
    ticker.next();
    expect(wakes).toBe(2);
  });

  it('lets the next finished probe answer for one that failed', () => {
    const ticker = createTicker(silent);
    const tick = ticker.next();
    ticker.begin();
    ticker.finish(ticker.begin(), 300);
    expect(ticker.lsnOf(tick)).toBe(300);
  });

  it('gives the first probe at or after the tick, and the oldest kept for older ones', () => {
    const ticker = createTicker(silent, 4);
    const ticks: number[] = [];
    for (let lsn = 1; lsn <= 10; lsn++) {
      ticks.push(ticker.next());
      ticker.finish(ticker.begin(), lsn * 10);
    }
    expect(ticks.map((tick) => ticker.lsnOf(tick))).toEqual([70, 70, 70, 70, 70, 70, 70, 80, 90, 100]);
  });

  it('is not confused by a probe that comes back after a later one', () => {
    const ticker = createTicker(silent);
    const [first, second] = [ticker.begin(), ticker.begin()];
    ticker.finish(second, 20);
    ticker.finish(first, 10);
    expect(ticker.lsnOf(first)).toBe(20);
    expect(ticker.lsnOf(second)).toBe(20);
    ticker.finish(ticker.begin(), 30);
    expect(ticker.lsnOf(second)).toBe(20);
  });

  it('answers Infinity for every tick of an older epoch, whatever probe comes back late', () => {
    const ticker = createTicker(silent);
    ticker.finish(ticker.begin(), 10);
    const given = ticker.next();
    const flying = ticker.begin();
    const pending = ticker.next();
    ticker.newEpoch();
    ticker.finish(flying, 999);
    for (const tick of [1, given, flying, pending]) expect(ticker.lsnOf(tick)).toBe(Infinity);
    const fresh = ticker.next();
    expect(ticker.lsnOf(fresh)).toBeUndefined();
    ticker.finish(ticker.begin(), 20);
    expect(ticker.lsnOf(fresh)).toBe(20);
    expect(ticker.lsnOf(pending)).toBe(Infinity);
  });

  it('never gives an LSN older than the tick asked for', () => {
    const step = fc.constantFrom('next', 'begin', 'finish', 'fail', 'write', 'epoch');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const ticker = createTicker(silent, 8);
        let insert = 1;
        let epoch = 0;
        let flying: { tick: number; lsn: number } | undefined;
        const demands: { tick: number; lsn: number; epoch: number }[] = [];
        for (const what of steps) {
          if (what === 'write') insert++;
          else if (what === 'next') demands.push({ tick: ticker.next(), lsn: insert, epoch });
          else if (what === 'begin' && flying === undefined) flying = { tick: ticker.begin(), lsn: insert };
          else if (what === 'finish' && flying !== undefined) {
            ticker.finish(flying.tick, flying.lsn);
            flying = undefined;
          } else if (what === 'fail') flying = undefined;
          else if (what === 'epoch') {
            ticker.newEpoch();
            epoch++;
            flying = undefined;
          }
          for (const demand of demands) {
            const lsn = ticker.lsnOf(demand.tick);
            if (demand.epoch < epoch) expect(lsn).toBe(Infinity);
            else if (lsn !== undefined) expect(lsn).toBeGreaterThanOrEqual(demand.lsn);
          }
        }
      }),
    );
  });
});
