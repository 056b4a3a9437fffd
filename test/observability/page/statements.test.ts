/**
 * The top statements of the page: in three orders, few, cut, and none where they are not counted. Fails if one is missing that
 * should be looked at, or if a long text makes the page heavy.
 */
import { describe, expect, it } from 'vitest';
import { topStatements } from '../../../src/observability/page/statements.ts';
import { fakeStatement } from '../../console/fakes.ts';

describe('top statements', () => {
  it('have their figures, and who answered', () => {
    expect(topStatements([fakeStatement()])?.byTime).toEqual([
      {
        ...{ key: '00c0ffee00c0ffee app shop', database: 'shop', user: 'app', text: 'SELECT * FROM a WHERE id = ?' },
        ...{ calls: 100, errors: 2, rows: 99, totalMs: 390, meanMs: 3.9, waitMs: 40, hits: 30, misses: 10 },
        p95Ms: expect.closeTo(27, -1) as number,
        nodes: 'db2 50, cache 30, db1 20',
      },
    ]);
  });

  it('are twenty of each order, and those that never missed are not among the misses', () => {
    const all = Array.from({ length: 100 }, (_, i) =>
      fakeStatement({ queryId: String(i), totalMs: i, calls: 1000 - i, cacheMisses: i < 95 ? 0 : i }),
    );
    const top = topStatements(all);
    const ids = (rows: readonly { readonly key: string }[] = []): string[] =>
      rows.map(({ key }) => key.split(' ')[0] ?? '');
    expect(ids(top?.byTime)).toEqual(Array.from({ length: 20 }, (_, i) => String(99 - i)));
    expect(ids(top?.byCalls)).toEqual(Array.from({ length: 20 }, (_, i) => String(i)));
    expect(ids(top?.byMisses)).toEqual(['99', '98', '97', '96', '95']);
  });

  it('are cut, and absent where statements are not counted', () => {
    expect(topStatements([fakeStatement({ query: 'x'.repeat(1000) })])?.byTime[0]?.text).toBe(`${'x'.repeat(400)} ...`);
    expect(topStatements(undefined)).toBeNull();
    expect(topStatements([])).toEqual({ byTime: [], byCalls: [], byMisses: [] });
  });
});
