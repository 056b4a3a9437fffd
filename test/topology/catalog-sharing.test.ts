/** Making a catalog of what another process has recorded. */
import { describe, expect, test } from 'vitest';
import type { Catalog } from '../../src/catalog/types.ts';
import { record, sharedReading } from '../../src/topology/catalog-sharing.ts';
import type { ProbeQuery, ProbeRow } from '../../src/topology/samples.ts';

const node = { name: 'db1' } as never;

/** Asks `queries` one after the other; the result has the rows as its notes. */
const asking =
  (queries: (previous?: Catalog) => readonly string[]) =>
  async (query: ProbeQuery, previous?: Catalog): Promise<Catalog> => {
    const notes: string[] = [];
    for (const sql of queries(previous)) notes.push(JSON.stringify(await query(sql)));
    return { notes } as unknown as Catalog;
  };

const server: ProbeQuery = (sql) =>
  sql === 'forbidden' ? Promise.reject(new Error('permission denied')) : Promise.resolve([{ of: sql }]);

async function readThrough(
  recorded: readonly ProbeRow[],
  queries: (previous?: Catalog) => readonly string[],
  previous?: Catalog,
): Promise<Catalog> {
  const shared = { askCatalog: () => Promise.resolve(recorded), releaseCatalog: () => undefined };
  const reading = sharedReading(shared, 'db', { fingerprint: undefined, readCatalog: asking(queries) });
  const connection = await reading.connect(node, () => undefined, new AbortController().signal);
  return reading.readCatalog(connection.query, previous);
}

describe('a catalog that another process has read', () => {
  test('is made of what the server has said there, refusals included', async () => {
    const recorded = await record(
      server,
      asking(() => ['a', 'b']),
    );
    expect((await readThrough(recorded, () => ['a', 'b'])).notes).toEqual(['[{"of":"a"}]', '[{"of":"b"}]']);
    const refused: ProbeRow[] = [{ sql: 'forbidden', problem: 'permission denied' }];
    await expect(readThrough(refused, () => ['forbidden'])).rejects.toThrow('permission denied');
  });

  test('needs no question of which this process knows the answer', async () => {
    const recorded = await record(
      server,
      asking(() => ['a', 'b', 'c']),
    );
    const previous = {} as Catalog;
    const queries = (known?: Catalog): string[] => (known === previous ? ['a', 'c'] : ['a', 'b', 'c']);
    expect((await readThrough(recorded, queries, previous)).notes).toEqual(['[{"of":"a"}]', '[{"of":"c"}]']);
    expect((await readThrough(recorded, queries)).notes).toHaveLength(3);
  });

  test.each([
    ['a question that was not asked there', ['a', 'x']],
    ['another order', ['b', 'a']],
    ['one too many', ['a', 'b', 'b']],
  ])('is refused: %s', async (_what, queries) => {
    const recorded = await record(
      server,
      asking(() => ['a', 'b']),
    );
    await expect(readThrough(recorded, () => queries)).rejects.toThrow('another version of Weir');
  });
});
