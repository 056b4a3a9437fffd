/**
 * DDL beside Weir, or through another Weir, and at once a client prepares a text that others have used before: a server still has
 * what it was to them. The client gets the new one, as from PostgreSQL, and not "cached plan must not change result type";
 * who has used it before the DDL gets that. To see it fail: let runsWithAnew() and renewBorrowed() return false, or peersDdl() do nothing.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Backend } from '../src/protocol/codes.ts';
import { readErrorFields } from '../src/protocol/read.ts';
import {
  bind,
  describePortal,
  describeStatement,
  execute,
  extended,
  parse,
  query,
  sync,
  type Sent,
} from './differential/messages.ts';
import { RawClient } from './differential/raw-client.ts';
import {
  connectPg,
  closeClients,
  connectBesideBy,
  hasRedis,
  startRedis,
  startTestWeir,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import type { Redis, TestWeir } from './harness/index.ts';

const cluster = useCluster();
let database: string;
let redis: Redis | undefined;
let weir: TestWeir;
let other: TestWeir | undefined;
const open: RawClient[] = [];
let tables = 0;

beforeAll(async () => {
  database = await cluster.createDatabase();
  if (hasRedis()) redis = await startRedis();
  const cache = redis === undefined ? {} : { cache: { enabled: true, redis: redis.url } };
  const pool = { default_pool_size: 1, max_pool_size: 1, resize: { enabled: false } };
  const config = weirConfig(cluster, { database, replicas: [] }, { ...pool, ...cache });
  weir = await startTestWeir(config);
  if (redis !== undefined) other = await startTestWeir(config);
});
afterEach(async () => {
  for (const client of open.splice(0)) client.close();
  await closeClients();
});
afterAll(async () => {
  await weir.stop();
  await other?.stop();
  await redis?.stop();
  await cluster.dropDatabase(database);
});

/** Where the DDL comes from. */
const sources: Record<string, (sql: string) => Promise<unknown>> = {
  'beside Weir': (sql) => cluster.query(`SET ROLE ${users.app}; ${sql}`, { database }),
  'through another Weir': async (sql) => {
    const client = await connectPg((other as TestWeir).url({ database }));
    await client.query(sql);
  },
};
const given = Object.entries(sources).filter(([name]) => name === 'beside Weir' || hasRedis());

const ddls: Record<string, (t: string) => string> = {
  'a column more': (t) => `ALTER TABLE ${t} ADD COLUMN j int DEFAULT 5`,
  'another table of that name': (t) =>
    `DROP TABLE ${t}; CREATE TABLE ${t} (i int, j int); INSERT INTO ${t} VALUES (1, 5)`,
};

/** What a client does with a statement that it has never had before: batches, each up to its Sync. */
const conversations: Record<string, (sql: string) => Sent[][]> = {
  'Parse alone, then Describe of the portal': (sql) => [
    [parse('s', sql), sync],
    [bind('', 's'), describePortal(), execute(), sync],
  ],
  'Parse alone, then no Describe': (sql) => [
    [parse('s', sql), sync],
    [bind('', 's'), execute(), sync],
  ],
  'in one batch': (sql) => [[parse('s', sql), bind('', 's'), describePortal(), execute(), sync]],
  'Parse alone, Describe of the statement alone': (sql) => [
    [parse('s', sql), sync],
    [describeStatement('s'), sync],
    [bind('', 's'), execute(), sync],
  ],
  'two names for it': (sql) => [
    [parse('s', sql), parse('r', sql), sync],
    [bind('', 's'), execute(), bind('', 'r'), execute(), sync],
    [bind('', 'r'), execute(), sync],
  ],
};
/** Of these a client cannot be spared the error where Weir does not know of the DDL: it was told, or its transaction has failed. */
const exactOnlyBetweenWeirs: Record<string, (sql: string) => Sent[][]> = {
  'Parse and Describe of the statement': (sql) => [
    [parse('s', sql), describeStatement('s'), sync],
    [bind('', 's'), execute(), sync],
  ],
  'in a transaction block': (sql) => [
    [parse('s', sql), sync],
    [query('BEGIN')],
    [bind('', 's'), describePortal(), execute(), sync],
    [query('COMMIT')],
  ],
};

/** As each was told at its log-in. */
const processIds = new WeakMap<RawClient, number>();

async function rawClient(to: TestWeir = weir): Promise<RawClient> {
  const client = await RawClient.open(
    { host: to.host, port: to.port, user: users.app, password: cluster.password, database },
    {},
  );
  open.push(client);
  await client.until(() => client.received.some(({ type }) => type === Backend.ReadyForQuery));
  const key = client.received.find(({ type }) => type === Backend.BackendKeyData);
  processIds.set(client, key?.body.readInt32BE(0) ?? 0);
  client.received.length = 0;
  return client;
}

/** At the same worker, if there are several: each has servers of its own. */
const rawClientBeside = (other: RawClient, to: TestWeir): Promise<RawClient> =>
  connectBesideBy(
    other,
    () => rawClient(to),
    (client) => ({ processID: processIds.get(client) ?? 0 }),
  );

interface Told {
  readonly errors: readonly string[];
  /** Number of columns of each row and of each description. */
  readonly widths: readonly number[];
}

async function ask(client: RawClient, messages: readonly Sent[]): Promise<Told> {
  client.send(Buffer.concat(messages.map(({ bytes }) => bytes)));
  const isThere = await client.until(() => client.received.at(-1)?.type === Backend.ReadyForQuery);
  expect(isThere, 'ReadyForQuery').toBe(true);
  const [errors, widths]: [string[], number[]] = [[], []];
  for (const { type, body } of client.received.splice(0)) {
    if (type === Backend.ErrorResponse) errors.push(readErrorFields(body, 0, body.length).get('C') ?? '');
    if (type === Backend.DataRow || type === Backend.RowDescription) widths.push(body.readInt16BE(0));
  }
  return { errors, widths };
}

async function askAll(client: RawClient, batches: readonly (readonly Sent[])[]): Promise<Told> {
  const [errors, widths]: [string[], number[]] = [[], []];
  for (const batch of batches) {
    const told = await ask(client, batch);
    errors.push(...told.errors);
    widths.push(...told.widths);
  }
  return { errors, widths };
}

const use = [bind('', 's'), execute(), sync];
const statements: Record<string, (t: string) => string> = {
  // What is cached is shown until Weir has noticed the DDL.
  read: (t) => `/* weir: cache=off */ SELECT * FROM ${t}`,
  // It never runs again by itself.
  write: (t) => `UPDATE ${t} SET i = i RETURNING *`,
};

/** A table of one column, and a client that has used `sql` on it; every server has it from there. */
async function scene(kind: string): Promise<{ t: string; sql: string; old: RawClient }> {
  const t = `t${++tables}`;
  await cluster.query(`SET ROLE ${users.app}; CREATE TABLE ${t} (i int); INSERT INTO ${t} VALUES (1)`, { database });
  const client = await connectPg(weir.url({ database }));
  await until('Weir to know the table', async () => {
    await client.query(`SELECT i FROM ${t}`);
    const { rows } = await client.query<Record<string, string>>('SHOW weir.last_route');
    return !/unknown|not known/.test(String(Object.values(rows[0] ?? {})[0]));
  });
  const sql = statements[kind]!(t);
  const old = await rawClient();
  expect(await askAll(old, [[parse('s', sql), sync], use])).toEqual({ errors: [], widths: [1] });
  return { t, sql, old };
}

describe.each(given)('DDL %s', (where, run) => {
  describe.each(Object.entries(ddls))('%s', (_name, ddl) => {
    const isExact = where !== 'beside Weir';
    test.each(Object.entries({ ...conversations, ...(isExact ? exactOnlyBetweenWeirs : {}) }))(
      'a read: %s',
      async (_shape, batches) => {
        const { t, sql, old } = await scene('read');
        const late = await rawClient();
        await run(ddl(t));
        const told = await askAll(late, batches(sql));
        expect(told.errors).toEqual([]);
        expect(new Set(told.widths)).toEqual(new Set([2]));
        expect(await ask(late, use)).toEqual({ errors: [], widths: [2] });
        expect((await ask(old, [...use])).errors).toEqual(['0A000']);
        expect((await ask(old, [...use])).errors).toEqual(['0A000']);
        expect(await ask(late, use)).toEqual({ errors: [], widths: [2] });
      },
    );

    test.each(Object.entries({ ...conversations, ...exactOnlyBetweenWeirs }))('a write: %s', async (shape, batches) => {
      const { t, sql, old } = await scene('write');
      const late = await rawClient();
      await run(ddl(t));
      const told = await askAll(late, batches(sql));
      // What may have been executed cannot run again: the client may be told once.
      if (isExact) expect(told.errors).toEqual([]);
      else expect(told.errors.filter((sqlstate) => sqlstate !== '0A000')).toEqual([]);
      if (isExact) expect(new Set(told.widths)).toEqual(new Set([2]));
      if (!isExact && shape === 'Parse and Describe of the statement') return;
      expect(await ask(late, use)).toEqual({ errors: [], widths: [2] });
      expect((await ask(old, [...use])).errors).toEqual(['0A000']);
      expect(await ask(late, use)).toEqual({ errors: [], widths: [2] });
    });
  });
});

test.each(Object.entries(statements))(
  'another search_path behind such a Parse, and there a table of another type: the error, as from PostgreSQL (%s)',
  async (_kind, text) => {
    const [client, ddl] = [await rawClient(), await connectPg(weir.url({ database }))];
    const t = `t${++tables}`;
    await ddl.query(
      `CREATE SCHEMA one_${t}; CREATE TABLE one_${t}.${t} (i int); INSERT INTO one_${t}.${t} VALUES (1);
       CREATE SCHEMA two_${t}; CREATE TABLE two_${t}.${t} (i bigint); INSERT INTO two_${t}.${t} VALUES (1);`,
    );
    const path = (schema: string): Sent[] => [query(`SET search_path = ${schema}_${t}`)];
    const first = await rawClient();
    expect(await askAll(first, [path('one'), [parse('s', text(t)), sync], use])).toEqual({ errors: [], widths: [1] });
    expect((await askAll(client, [path('one'), [parse('s', text(t)), sync], path('two')])).errors).toEqual([]);
    for (let i = 0; i < 3; i++) expect(await ask(client, use)).toEqual({ errors: ['0A000'], widths: [] });
    expect(await askAll(client, [path('one'), use])).toEqual({ errors: [], widths: [1] });
  },
);

test('in a READ ONLY transaction on a replica, behind its first statement: it has failed, as nothing of it runs again', async () => {
  const pool = { default_pool_size: 1, max_pool_size: 1, resize: { enabled: false } };
  const replicating = await startTestWeir(
    weirConfig(
      cluster,
      { database, replicas: [cluster.replicas[0]!] },
      { ...pool, routing: { max_replica_lag: '1h' } },
    ),
  );
  try {
    const t = `t${++tables}`;
    await cluster.query(`SET ROLE ${users.app}; CREATE TABLE ${t} (i int); INSERT INTO ${t} VALUES (1)`, { database });
    await cluster.waitForReplicas();
    const old = await rawClient(replicating);
    const late = await rawClientBeside(old, replicating);
    const routed = async (client: RawClient): Promise<string> => {
      client.send(query('SHOW weir.last_route').bytes);
      await client.until(() => client.received.at(-1)?.type === Backend.ReadyForQuery);
      return client.received
        .splice(0)
        .map(({ body }) => body.toString('latin1'))
        .join('');
    };
    const sql = `SELECT * FROM ${t}`;
    await ask(old, [parse('s', sql), sync]);
    await until('the replica to be used', async () => {
      expect(await ask(old, use)).toEqual({ errors: [], widths: [1] });
      return (await routed(old)).includes('replica');
    });
    await cluster.query(`ALTER TABLE ${t} ADD COLUMN j int DEFAULT 5`, { database });
    await cluster.waitForReplicas();
    expect(await ask(late, [parse('s', sql), sync])).toEqual({ errors: [], widths: [] });
    expect((await ask(late, [query('BEGIN READ ONLY')])).errors).toEqual([]);
    expect(await routed(late)).toMatch(/replica/);
    const [one, two] = [[...extended('SELECT 1'), sync], use];
    late.send(Buffer.concat([...one, ...two].map(({ bytes }) => bytes)));
    const readies = (): number => late.received.filter(({ type }) => type === Backend.ReadyForQuery).length;
    expect(await late.until(() => readies() === 2)).toBe(true);
    const errors = late.received.splice(0).filter(({ type }) => type === Backend.ErrorResponse);
    expect(errors.map(({ body }) => readErrorFields(body, 0, body.length).get('C'))).toEqual(['0A000']);
    expect((await ask(late, [query('SELECT 1')])).errors).toEqual(['25P02']);
    expect((await ask(late, [query('ROLLBACK')])).errors).toEqual([]);
    expect(await ask(late, use)).toEqual({ errors: [], widths: [2] });
  } finally {
    await replicating.stop();
  }
});

test('DDL through this Weir, behind the Parse that was answered without a server: the error, as from PostgreSQL', async () => {
  const { t, sql } = await scene('read');
  const [late, ddl] = [await rawClient(), await connectPg(weir.url({ database }))];
  await ask(late, [parse('s', sql), sync]);
  await ddl.query(`ALTER TABLE ${t} ADD COLUMN j int DEFAULT 5`);
  expect(await ask(late, use)).toEqual({ errors: ['0A000'], widths: [] });
  expect(await ask(late, use)).toEqual({ errors: ['0A000'], widths: [] });
});

/**
 * Two reasons to have the answer dropped meet in one request: the unnamed statement is no longer what it was, and with it a
 * statement is bound that the client was given without asking a server.
 */
test('in one batch with an unnamed statement whose table has changed: one answer, the error', async () => {
  const other = `t${++tables}`;
  await cluster.query(`SET ROLE ${users.app}; CREATE TABLE ${other} AS SELECT 2 AS k`, { database });
  const { t, sql } = await scene('read');
  const [late, between, old] = [await rawClient(), await rawClient(), await rawClient()];
  const use = (statement: string): Sent[] => [bind('', statement), describePortal(), execute(), sync];
  await ask(old, [parse('k', `SELECT * FROM ${other}`), sync]);
  await until('the statement to be one that others may be given', async () => {
    return (await ask(old, use('k'))).errors.length === 0;
  });
  await ask(late, [parse('', sql), sync]);
  await ask(late, [parse('s', `SELECT * FROM ${other}`), sync]);
  // The server has another client's unnamed statement now, and has to be given this client's anew.
  await ask(between, [...extended('SELECT 1'), sync]);
  await cluster.query(`SET ROLE ${users.app}; ALTER TABLE ${t} ADD COLUMN j int DEFAULT 5`, { database });
  const batch = [bind('p', 's'), bind('', ''), execute(), sync];
  expect(await ask(late, batch)).toEqual({ errors: ['0A000'], widths: [] });
  expect(await ask(late, [query('SELECT 1, 2, 3')])).toEqual({ errors: [], widths: [3, 3] });
  expect(late.received).toEqual([]);
});
