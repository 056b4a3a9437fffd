/**
 * A READ ONLY transaction may begin on a replica, where less is allowed and some things mean something else. Its first statement
 * tells where it belongs: each of those in read-only/statements.ts is played straight to the primary and through Weir, in
 * every way in which a client can say it, and the answers must be the same byte for byte. What a replica answers alike stays there.
 */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { expectedOf } from './differential/compare.ts';
import {
  bind,
  describePortal,
  describeStatement,
  execute,
  extended,
  flush,
  functionCall,
  parse,
  query,
  sync,
  type Sent,
} from './differential/messages.ts';
import { play } from './differential/play.ts';
import { a, script, type Step } from './differential/script.ts';
import {
  closeClients,
  connectPg,
  fillOtherWorkers,
  lastRoute,
  PASSWORD,
  startCluster,
  startTestWeir,
  users,
  weirConfig,
} from './harness/index.ts';
import type { Cluster, TestWeir } from './harness/index.ts';
import { untilReplicaTakesAll } from './read-only/on-replica.ts';
import { alike, deeds, fixtures, questions } from './read-only/statements.ts';

let cluster: Cluster;
let weir: TestWeir;

beforeAll(async () => {
  cluster = await startCluster({ replicas: 1 });
  await cluster.query(`GRANT CREATE ON SCHEMA public TO ${users.app}; SET ROLE ${users.app}; ${fixtures}`);
  await cluster.waitForReplicas();
  weir = await startTestWeir(weirConfig(cluster, {}, { auth: { type: 'trust' }, log: { level: 'error' } }));
  // What a replica has replayed is known in one worker before it is in another.
  await fillOtherWorkers(weir);
  probe = new pg.Client({ connectionString: weir.url() });
  await probe.connect();
});
afterEach(closeClients);
afterAll(async () => {
  await probe.end();
  await weir.stop();
  await cluster.stop();
});

let probe: pg.Client;

/** Plays the steps straight and through Weir. */
async function compare(name: string, steps: readonly Step[]): Promise<void> {
  const played = script(name, steps);
  const who = { host: '127.0.0.1', user: users.app, password: PASSWORD, database: 'postgres' };
  await untilReplicaTakesAll(probe);
  const direct = await play(played, { ...who, port: cluster.primary.port });
  const through = await play(played, { ...who, port: weir.port });
  // Two connections that were refused are alike, too.
  const asked = steps.filter((step) => step.do === 'say' && !step.messages.includes(flush)).length;
  expect(direct.filter((line) => line.startsWith('   ReadyForQuery')).length).toBeGreaterThanOrEqual(asked);
  expect(through, name).toEqual(expectedOf(direct, through));
}

const begin = 'BEGIN READ ONLY';
const apart = (sql: string): Sent[][] => [
  [parse('one', sql), sync],
  [bind('', 'one'), describePortal(), execute(), sync],
];

/** How a client says BEGIN READ ONLY and then `sql`. */
const ways: Readonly<Record<string, (sql: string) => Step[]>> = {
  simple: (sql) => [a(begin), a(sql), a('ROLLBACK')],
  extended: (sql) => [a(begin), a(...extended(sql), sync), a('ROLLBACK')],
  'extended, prepared apart': (sql) => [a(begin), ...apart(sql).map((one) => a(...one)), a('ROLLBACK')],
  'extended, the unnamed one prepared apart': (sql) => [
    a(begin),
    a(parse('', sql), sync),
    a(bind('', ''), execute(), sync),
    a('ROLLBACK'),
  ],
  'extended, begun before its Sync': (sql) => [
    a(begin),
    a(parse('', sql), describeStatement(), flush),
    a(bind('', ''), execute(), sync),
    a('ROLLBACK'),
  ],
  'BEGIN is extended, too': (sql) => [a(...extended(begin), sync), a(...extended(sql), sync), a('ROLLBACK')],
  'BEGIN is prepared': (sql) => [...apart(begin).map((one) => a(...one)), a(sql), a('ROLLBACK')],
  'a pipeline of Querys': (sql) => [a(query(begin), query(sql), query('ROLLBACK'))],
  'a pipeline of batches': (sql) => [
    a(...extended(begin), sync, ...extended(sql), sync, ...extended('ROLLBACK'), sync),
  ],
  'one batch': (sql) => [a(...extended(begin), ...extended(sql), sync), a('ROLLBACK')],
  'one text': (sql) => [a(`${begin}; ${sql}`), a('ROLLBACK')],
  'REPEATABLE READ': (sql) => [
    a('START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY'),
    a(sql),
    a('ROLLBACK'),
  ],
  SERIALIZABLE: (sql) => [a('BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY'), a(sql), a('ROLLBACK')],
  'SET TRANSACTION READ ONLY': (sql) => [a('BEGIN'), a('SET TRANSACTION READ ONLY'), a(sql), a('ROLLBACK')],
  default_transaction_read_only: (sql) => [
    a('SET default_transaction_read_only = on'),
    a('BEGIN'),
    a(sql),
    a('ROLLBACK'),
  ],
  default_transaction_isolation: (sql) => [
    a("SET default_transaction_isolation = 'serializable'"),
    a(begin),
    a(sql),
    a('ROLLBACK'),
  ],
  'behind another transaction': (sql) => [
    a(begin),
    a('SELECT count(*) FROM ro_items'),
    a('COMMIT'),
    a(begin),
    a(sql),
    a('ROLLBACK'),
  ],
};

const inTransactions = [...questions, ...deeds, ...alike];

describe.each(Object.entries(ways))('%s', (_way, steps) => {
  test.each(inTransactions)('%s', (sql) => compare(sql, steps(sql)));
});

test.each(Object.entries(ways))('PREPARE TRANSACTION: %s', (way, steps) =>
  compare(way, [...steps("PREPARE TRANSACTION 'ro'"), a("ROLLBACK PREPARED 'ro'")]),
);

// pg_is_in_recovery()
test('by its OID', () => compare('by its OID', [a(begin), a(functionCall(3810)), a('ROLLBACK')]));

test('behind a BEGIN that is longer than what is kept of a text', () => {
  const long = `BEGIN ${Array.from({ length: 200 }, () => 'READ ONLY').join(', ')}`;
  return compare('long', [a(long), a('SELECT pg_is_in_recovery()'), a('ROLLBACK')]);
});

test.each([
  ['BEGIN', '/* weir: route=replica */ BEGIN READ ONLY', 'SELECT pg_is_in_recovery() AS there'],
  ['the statement', 'BEGIN READ ONLY', '/* weir: route=replica */ SELECT pg_is_in_recovery() AS there'],
])('stays on the replica if %s asks for one by name', async (_which, opening, sql) => {
  await untilReplicaTakesAll(probe);
  const client = await connectPg(weir.url());
  await client.query(opening);
  expect((await client.query<{ there: boolean }>(sql)).rows[0]?.there).toBe(true);
  await client.query('ROLLBACK');
});

/** What they leave in the session keeps a server beyond the transaction: not that of a replica, which takes no writes. */
test.each([
  'PREPARE ro_p AS SELECT 1',
  'DECLARE ro_c CURSOR WITH HOLD FOR SELECT id FROM ro_items',
  'SELECT pg_advisory_lock_shared(7404)',
])('a write behind a transaction that begins with %s', (sql) =>
  compare(sql, [
    a(begin),
    a(sql),
    a('COMMIT'),
    a('INSERT INTO ro_items VALUES (98)'),
    a('DELETE FROM ro_items WHERE id = 98'),
  ]),
);

test('a BEGIN within a transaction begins nothing that could begin again elsewhere', async () => {
  await untilReplicaTakesAll(probe);
  const client = await connectPg(weir.url());
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  await client.query('SELECT count(*) FROM ro_items');
  expect(await lastRoute(client)).toMatch(/^replica1/);
  await client.query('BEGIN READ ONLY');
  // As documented of a second statement: its snapshot must not become another one unnoticed.
  await expect(client.query('LISTEN ro_news')).rejects.toMatchObject({ code: '25006' });
  await client.query('ROLLBACK');
});

test.each([
  ['Querys', query('COMMIT'), query('INSERT INTO ro_items VALUES (99)')],
  ['a transaction', query('COMMIT'), query('BEGIN'), query('INSERT INTO ro_items VALUES (99)'), query('COMMIT')],
  ['batches', ...extended('COMMIT'), sync, ...extended('INSERT INTO ro_items VALUES (99)'), sync],
  ['one after a ROLLBACK', query('ROLLBACK'), query('INSERT INTO ro_items VALUES (99)')],
] as const)('a write pipelined behind the end of the transaction: %s', (what, ...messages) =>
  compare(what, [a(begin), a('SELECT 1'), a(...messages), a('DELETE FROM ro_items WHERE id = 99')]),
);

describe('outside of a transaction', () => {
  test.each(questions)('%s', async (sql) => {
    await compare(`simple: ${sql}`, [a(sql)]);
    await compare(`extended: ${sql}`, [a(...extended(sql), sync)]);
  });

  test.each([...questions, ...deeds])('with default_transaction_read_only: %s', (sql) =>
    compare(sql, [a('SET default_transaction_read_only = on'), a(sql), a(...extended(sql), sync)]),
  );
});

describe('stays on the replica', () => {
  test.each(alike)('%s', async (sql) => {
    for (const opening of [begin, 'START TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY']) {
      await untilReplicaTakesAll(probe);
      const client = await connectPg(weir.url());
      await client.query(opening);
      await client.query(sql);
      expect(await lastRoute(client)).toMatch(/^replica1/);
      const { rows } = await client.query<{ here: boolean }>('SELECT pg_is_in_recovery() AS here');
      expect(rows[0]?.here).toBe(true);
      await client.query('ROLLBACK');
    }
  });
});
