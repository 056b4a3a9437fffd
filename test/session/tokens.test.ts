/** What a session has written and seen decides how new a replica must be for it. Fails if a token is lost or goes back. */
import { describe, expect, it } from 'vitest';
import { SessionTokens } from '../../src/session/concerns/tokens.ts';
import { createTicker } from '../../src/topology/ticker.ts';
import type { ProbeTicker } from '../../src/topology/ticker.ts';

const newTicker = (): ProbeTicker => createTicker(() => undefined);

function probe(ticker: ProbeTicker, lsn: number): void {
  ticker.finish(ticker.begin(), lsn);
}

describe('tokens of a session', () => {
  it('asks for nothing before it has seen anything', () => {
    const tokens = new SessionTokens();
    expect(tokens.needLsn(newTicker(), 0)).toBe(0);
    expect(tokens.moveLsn(newTicker())).toBe(0);
  });

  it('asks for the first probe sent after a write, not for one that was under way', () => {
    const [tokens, ticker] = [new SessionTokens(), newTicker()];
    const underWay = ticker.begin();
    tokens.wrote(ticker, 'db1');
    ticker.finish(underWay, 100);
    expect(tokens.needLsn(ticker, 0)).toBeUndefined();
    probe(ticker, 200);
    expect(tokens.needLsn(ticker, 0)).toBe(200);
    expect(tokens.moveLsn(ticker)).toBe(200);
  });

  it('asks for the later of its own write and the last write of what it reads', () => {
    const [tokens, ticker] = [new SessionTokens(), newTicker()];
    tokens.wrote(ticker, 'db1');
    probe(ticker, 100);
    const others = ticker.next();
    expect(tokens.needLsn(ticker, others)).toBeUndefined();
    probe(ticker, 200);
    expect(tokens.needLsn(ticker, others)).toBe(200);
  });

  it('is for the primary only after a failover, until the new primary has been asked', () => {
    const [tokens, ticker] = [new SessionTokens(), newTicker()];
    tokens.wrote(ticker, 'db1');
    probe(ticker, 500);
    ticker.newEpoch();
    expect(tokens.needLsn(ticker, 0)).toBe(Infinity);
    expect(tokens.moveLsn(ticker)).toBe(Infinity);
    expect(tokens.needLsn(ticker, 0)).toBeUndefined();
    probe(ticker, 300);
    expect(tokens.needLsn(ticker, 0)).toBe(300);
    expect(tokens.moveLsn(ticker)).toBe(300);
  });

  it('counts anew when a reload has replaced the nodes', () => {
    const [tokens, old, fresh] = [new SessionTokens(), newTicker(), newTicker()];
    for (let lsn = 100; lsn < 200; lsn++) probe(old, lsn);
    tokens.wrote(old, 'db1');
    probe(old, 200);
    probe(fresh, 210);
    expect(tokens.needLsn(fresh, 0)).toBeUndefined();
    probe(fresh, 220);
    expect(tokens.needLsn(fresh, 0)).toBe(220);
    expect(tokens.moveLsn(fresh)).toBe(220);
    // The name may be that of another server now.
    expect(tokens.lastNode).toBe('');
  });
});
