/** What is counted of statements: times, rows, nodes; that memory is bounded and the least used go. */
import { describe, expect, it } from 'vitest';
import type { QueryFacts } from '../../src/sql/facts.ts';
import { StatementStats } from '../../src/statements/stats.ts';
import { statementBoundsMs, statementBucketOf, type StatementEnd } from '../../src/statements/types.ts';
import { quantileOf } from '../../src/util/histogram.ts';

const factsOf = (template: string): QueryFacts =>
  ({ template, statements: [{ kind: 'select', verb: 'SELECT' }], unparsed: undefined }) as unknown as QueryFacts;

const endOf = (change: Partial<StatementEnd> = {}): StatementEnd => ({
  ...{ waitMs: 1, serverMs: 2, rows: 3, hasError: false, cache: 'off', node: 'db1' },
  ...change,
});

function scene(max = 100) {
  const stats = new StatementStats(max, () => 1_700_000_000_000);
  const account = stats.accountOf('shop', 'app');
  const count = (facts: QueryFacts, change?: Partial<StatementEnd>): void =>
    stats.entryOf(account, facts, 0).count(endOf(change));
  return { stats, account, count };
}

describe('a statement', () => {
  it('is counted with its time, rows, errors, cache and node', () => {
    const { stats, count } = scene();
    const facts = factsOf('SELECT 1');
    count(facts);
    count(facts, { hasError: true, rows: 0, waitMs: 10, cache: 'miss', node: 'db2' });
    count(facts, { cache: 'hit', node: 'cache', waitMs: 0.5, serverMs: 0 });
    expect(stats.figures()).toMatchObject([
      {
        ...{ database: 'shop', user: 'app', query: 'SELECT 1', calls: 3, errors: 1, rows: 6 },
        ...{ totalMs: 15.5, maxMs: 12, waitMs: 11.5, serverMs: 4, cacheHits: 1, cacheMisses: 1 },
        ...{ nodes: { db1: 1, db2: 1, cache: 1 }, sinceMs: 1_700_000_000_000 },
      },
    ]);
  });

  it('is the same one when its template was learned anew, and another one of another user', () => {
    const { stats, count } = scene();
    count(factsOf('SELECT 1'));
    count(factsOf('SELECT 1'));
    stats.entryOf(stats.accountOf('shop', 'bob'), factsOf('SELECT 1'), 0).count(endOf());
    expect(stats.figures().map(({ user, calls }) => [user, calls])).toEqual([
      ['app', 2],
      ['bob', 1],
    ]);
  });

  it('of many nodes: the last ones are counted together', () => {
    const { stats, count } = scene();
    const facts = factsOf('SELECT 1');
    for (let i = 0; i < 40; i++) count(facts, { node: `db${i}` });
    const nodes = stats.figures()[0]?.nodes ?? {};
    expect(Object.keys(nodes)).toHaveLength(16);
    expect(nodes['other']).toBe(25);
  });
});

describe('memory is bounded', () => {
  it('the statements that are used least go', () => {
    const { stats, count } = scene(100);
    const often = Array.from({ length: 50 }, (_, i) => factsOf(`SELECT often_${i}`));
    for (let i = 0; i < 5_000; i++) {
      for (const facts of often.slice(0, 5)) count(facts);
      count(often[i % 50] as QueryFacts);
      count(factsOf(`SELECT once_${i}`));
      if (i % 500 === 0) expect(stats.figures().length).toBeLessThanOrEqual(100);
    }
    const left = stats.figures().map(({ query }) => query);
    expect(left.length).toBeLessThanOrEqual(100);
    for (let i = 0; i < 50; i++) expect(left).toContain(`SELECT often_${i}`);
  });

  it('what went and comes back begins anew, also by the same template', () => {
    const { stats, count } = scene(1);
    const facts = factsOf('SELECT 1');
    count(facts);
    count(factsOf('SELECT 2'));
    count(facts);
    expect(stats.figures()).toMatchObject([{ query: 'SELECT 1', calls: 1 }]);
  });

  it('resize() and reset() take effect at once', () => {
    const { stats, count } = scene(100);
    const facts = Array.from({ length: 80 }, (_, i) => factsOf(`SELECT a${i}`));
    for (const each of facts) count(each);
    stats.resize(10);
    expect(stats.figures()).toHaveLength(10);
    stats.reset();
    expect(stats.figures()).toEqual([]);
    count(facts[0] as QueryFacts);
    expect(stats.figures()).toMatchObject([{ calls: 1 }]);
  });

  it('more users than are remembered are still counted as one each', () => {
    const { stats } = scene(10);
    const facts = factsOf('SELECT 1');
    const first = stats.accountOf('shop', 'user 0');
    for (let i = 0; i < 3_000; i++) stats.accountOf('shop', `user ${i}`);
    stats.entryOf(first, facts, 0).count(endOf());
    stats.entryOf(stats.accountOf('shop', 'user 0'), facts, 0).count(endOf());
    expect(stats.figures()).toMatchObject([{ user: 'user 0', calls: 2 }]);
  });
});

describe('the histogram', () => {
  it('has each value in the bucket whose bound it does not exceed', () => {
    for (const ms of [0, 0.02, 0.021, 0.5, 1, 17, 1_000, 119_000, 1e9]) {
      const at = statementBucketOf(ms);
      expect(ms).toBeLessThanOrEqual((statementBoundsMs[at] ?? Infinity) * 1.000001);
      if (at > 0) expect(ms).toBeGreaterThan((statementBoundsMs[at - 1] as number) * 0.999999);
    }
  });

  it('gives percentiles to within 20 %', () => {
    const { stats, count } = scene();
    const facts = factsOf('SELECT 1');
    for (let i = 1; i <= 1_000; i++) count(facts, { waitMs: 0, serverMs: i / 10 });
    const p95 = quantileOf(statementBoundsMs, stats.figures()[0]?.durations ?? [], 0.95) ?? 0;
    expect(p95).toBeGreaterThan(95 / 1.2);
    expect(p95).toBeLessThan(95 * 1.2);
  });
});
