/**
 * What functions leave in a session, however they are called: the next client of the server sees nothing of it, and the
 * client itself still has it where the source says so. Walks language x volatility x caller x kind of state; what
 * PostgreSQL does in each case is asked of PostgreSQL, without Weir.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  fillOtherWorkers,
  startWeir,
  until,
  useCluster,
  weirConfig,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';
import { callers, leaves, schemaOf } from './corpus/nested.ts';
import type { Leaf } from './corpus/nested.ts';

const cluster = useCluster();
let weir: WeirProcess;
let database: string;
const role = `nested_${process.pid}`;
const hasPerl = new Set<string>();

beforeAll(async () => {
  database = await cluster.createDatabase();
  const sql = (text: string): Promise<unknown> => cluster.query(text, { database });
  await sql(
    `CREATE ROLE ${role}; GRANT ${role} TO app; CREATE SEQUENCE counter; GRANT ALL ON SEQUENCE counter TO PUBLIC`,
  );
  await sql('CREATE EXTENSION plperl').then(
    () => hasPerl.add('plperl'),
    () => undefined,
  );
  for (const leaf of testable()) await sql(schemaOf(leaf, role));
  weir = await startWeir(
    weirConfig(
      cluster,
      { database, replicas: [] },
      { default_pool_size: 1, max_pool_size: 1, resize: { enabled: false } },
    ),
  );
  // A server changes its clients only within a worker.
  await fillOtherWorkers(weir);
}, 120_000);
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await cluster.dropDatabase(database);
  await cluster.query(`DROP ROLE ${role}`);
});

const testable = (): readonly Leaf[] => leaves.filter(({ language }) => language !== 'plperl' || hasPerl.size > 0);

/** All that one session can leave to the next. */
async function stateOf(client: pg.Client, asksSequence: boolean): Promise<string> {
  const { rows } = await client.query<Record<string, unknown>>(`
    SELECT nullif(pg_catalog.current_setting('app.tenant', true), '') AS tenant,
      pg_catalog.current_setting('search_path') AS path, pg_catalog.current_setting('statement_timeout') AS timeout,
      current_user AS role, pg_catalog.to_regclass('pg_temp.left_behind') IS NOT NULL AS temp,
      (SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks
        WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()) AS locks,
      (SELECT pg_catalog.count(*) FROM pg_catalog.pg_listening_channels()) AS channels,
      (SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_statements WHERE from_sql) AS prepared`);
  if (!asksSequence) return JSON.stringify(rows[0]);
  const lastval = await client.query('SELECT pg_catalog.lastval() IS NOT NULL AS has').then(
    () => 'has lastval',
    () => 'no lastval',
  );
  return JSON.stringify({ ...rows[0], lastval });
}

/** Dynamic SQL may have changed the catalog: then it is read again, and nothing is known until it is. */
async function knowsCatalog(client: pg.Client): Promise<void> {
  await until('the catalog', async () => {
    await client.query('SELECT 1');
    const { rows } = await client.query<Record<string, string>>('SHOW weir.last_route');
    return rows[0]?.['weir.last_route']?.includes('catalog') === false;
  });
}

test('whoever calls what: nothing is left for the next client, and the own client keeps it', async () => {
  const direct = await connectPg(cluster.url(cluster.primary, { database }));
  let next = await connectPg(weir.url({ database }));
  const plain = { false: await stateOf(next, false), true: await stateOf(direct, true) };
  const [leaked, lost]: [string[], string[]] = [[], []];
  let cells = 0;
  for (const leaf of testable()) {
    const isSequence = leaf.state === 'sequence';
    const untouched = plain[`${isSequence}`];
    for (const [caller, call] of callers(leaf)) {
      await direct.query(call);
      const expected = await stateOf(direct, isSequence);
      await direct.query('DISCARD ALL');
      // PostgreSQL itself runs nothing there, e.g. a call that is planned away.
      if (expected === untouched) continue;
      cells++;
      const cell = `${leaf.language} ${leaf.volatility} ${leaf.state} by ${caller}`;
      await knowsCatalog(next);
      const own = await connectPg(weir.url({ database }));
      await own.query(call);
      if (!isSequence && leaf.isPlain && (await stateOf(own, false)) !== expected) lost.push(cell);
      await own.end();
      const seen = await stateOf(next, isSequence);
      if (seen !== untouched) {
        leaked.push(cell);
        await next.query('DISCARD ALL');
      }
      // Who has asked for what a sequence gave keeps its server.
      if (!isSequence) continue;
      await next.end();
      next = await connectPg(weir.url({ database }));
    }
  }
  expect(cells).toBeGreaterThan(800);
  expect({ leaked, lost }).toEqual({ leaked: [], lost: [] });
}, 240_000);
