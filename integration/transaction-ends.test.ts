/**
 * What a commit does to other sessions is decided by what the server says, however the transaction ended and whatever
 * came behind it. Every way to end one x every way to send it x what follows: then a new session reads the table through
 * Weir, with the old row in the cache and on a replica that replays nothing, and must read what the primary has.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Backend, Frontend } from '../src/protocol/codes.ts';
import { FrameScanner } from '../src/protocol/scanner.ts';
import { bindTexts, bindTo, execute, flush, frame, parse, query, sync } from '../src/protocol/write.ts';
import {
  closeClients,
  connectPg,
  connectToEach,
  lastRoute,
  RawClient,
  startCluster,
  startWeir,
  startWorkers,
  until,
  weirConfig,
} from './harness/index.ts';
import type { Cluster, WeirProcess } from './harness/index.ts';

const noTypes = Buffer.alloc(2);
const write = 'UPDATE # SET v = v + 1';

/** How the statements are sent. */
type Delivery = 'queries' | 'one text' | 'queries at once' | 'batches' | 'batches at once' | 'one Sync' | 'Flush';
const deliveries: readonly Delivery[] = [
  'queries',
  'one text',
  'queries at once',
  'batches',
  'batches at once',
  'one Sync',
  'Flush',
];
const ends = ['COMMIT', 'END AND CHAIN', 'ABORT', 'ROLLBACK AND CHAIN'];
const followers = [
  [],
  ['BEGIN'],
  ['BEGIN', 'SELECT 1/0'],
  ['SELECT 1/0'],
  ['BEGIN', write],
  [write, 'BEGIN'],
  ['ROLLBACK', write],
  ['SAVEPOINT s', write, 'ROLLBACK TO s', 'COMMIT', 'BEGIN'],
];
const preludes = [['BEGIN', write], [write], ['BEGIN', 'SAVEPOINT s', write, 'SELECT 1/0', 'ROLLBACK TO s', write]];

interface Form {
  readonly statements: readonly string[];
  readonly delivery: Delivery;
}

const all: readonly Form[] = preludes.flatMap((prelude) =>
  ends.flatMap((end) =>
    followers.flatMap((after) => deliveries.map((delivery) => ({ statements: [...prelude, end, ...after], delivery }))),
  ),
);
/** Every other one: an odd number of ways to send them, so that each of these comes with every second of the rest. */
const forms = all.filter((_, i) => i % 2 === 0);

/** The replica replays only when the test says so. */
const more = { routing: { max_replica_lag: '1h' }, cache: { enabled: true, ttl: '1h' }, auth: { type: 'trust' } };
let cluster: Cluster;
let weir: WeirProcess;
let database: string;
const open = new Set<RawClient>();

beforeAll(async () => {
  cluster = await startCluster({ replicas: 1 });
  database = await cluster.createDatabase();
  const set = `
    SET ROLE app;
    CREATE TABLE control (v int); INSERT INTO control VALUES (0);
    CREATE PROCEDURE twice(t text, fails bool DEFAULT false) LANGUAGE plpgsql AS $$
      BEGIN
        EXECUTE format('UPDATE %I SET v = v + 1', t);
        COMMIT;
        IF fails THEN RAISE division_by_zero; END IF;
        EXECUTE format('UPDATE %I SET v = v + 1', t);
      END $$;
    CREATE FUNCTION bump(t text) RETURNS int LANGUAGE plpgsql AS $$
      BEGIN EXECUTE format('UPDATE %I SET v = v + 1', t); RETURN 1; END $$;`;
  await cluster.query(set, { database });
  weir = await startWeir(weirConfig(cluster, { database }, more));
});
afterEach(() => {
  for (const client of open) client.end();
  open.clear();
  return closeClients();
});
afterAll(async () => {
  await weir.stop();
  await cluster.stop();
});

async function connect(to = weir): Promise<RawClient> {
  const client = await RawClient.connect(to, { user: 'app', database });
  open.add(client);
  return client;
}

function batch(sql: string): Buffer {
  return Buffer.concat([parse('', Buffer.from(sql), noTypes), bindTexts([]), execute(0)]);
}

/** Sends them and waits until all that can be answered is. */
async function run(client: RawClient, { statements, delivery }: Form): Promise<void> {
  const each = async (message: (sql: string) => Buffer, atOnce: boolean): Promise<void> => {
    const answers = statements.map(async (sql) => {
      const answer = client.next();
      if (atOnce) void client.send(message(sql));
      return answer;
    });
    if (atOnce) return void (await Promise.all(answers));
    for (const [i, sql] of statements.entries()) {
      void client.send(message(sql));
      await answers[i];
    }
  };
  switch (delivery) {
    case 'queries':
      return each(query, false);
    case 'queries at once':
      return each(query, true);
    case 'batches':
      return each((sql) => Buffer.concat([batch(sql), sync]), false);
    case 'batches at once':
      return each((sql) => Buffer.concat([batch(sql), sync]), true);
    case 'one text':
      return void (await client.ask(statements.join('; ')));
    case 'one Sync': {
      const answer = client.next();
      void client.send(Buffer.concat([...statements.map(batch), sync]));
      return void (await answer);
    }
    case 'Flush':
      return flushed(client, statements);
  }
}

/** Each statement is answered before the next one is sent, and no Sync comes. */
async function flushed(client: RawClient, statements: readonly string[]): Promise<void> {
  let done = 0;
  let hasFailed = false;
  const scanner = new FrameScanner({
    frame: (type) => {
      if (type === Backend.CommandComplete || type === Backend.ErrorResponse) done++;
      if (type === Backend.ErrorResponse) hasFailed = true;
      return true;
    },
    mayStream: () => false,
    begin: () => true,
    more: () => true,
  });
  client.socket.on('data', (chunk: Buffer) => scanner.push(chunk));
  for (const [i, sql] of statements.entries()) {
    void client.send(Buffer.concat([batch(sql), flush]));
    await until(`an answer to ${sql}`, () => Promise.resolve(done > i), { intervalMs: 1 });
    // What follows is skipped.
    if (hasFailed) return;
  }
}

const read = (table: string): string => `SELECT sum(v) AS v FROM ${table}`;
const readUncached = (table: string): string => `/* weir: cache=off */ ${read(table)}`;

async function route(client: RawClient): Promise<string> {
  return (await client.ask('SHOW weir.last_route')).values[0] ?? '';
}

async function value(client: RawClient, sql: string): Promise<string | undefined> {
  return (await client.ask(sql)).values[0];
}

async function truth(direct: pg.Client, table: string): Promise<string> {
  return (await direct.query<{ v: string }>(read(table))).rows[0]?.v ?? '';
}

/** The old row is in the cache and on the replica, and from there it is answered. */
async function prime(reader: RawClient, names: readonly string[]): Promise<void> {
  for (const table of names) {
    await until(`${table} to be answered by the cache`, async () => {
      await reader.ask(read(table));
      return (await route(reader)).startsWith('cache');
    });
    await until(`${table} to be answered by the replica`, async () => {
      await reader.ask(readUncached(table));
      return (await route(reader)).startsWith('replica');
    });
  }
}

/** The same in each worker, if Weir has several. */
async function primeEach(table: string): Promise<void> {
  for (const client of await connectToEach(() => connectPg(weir.url({ database, user: 'app' })))) {
    await primeOne(client, table);
    await client.end();
  }
}

async function primeOne(client: pg.Client, table: string): Promise<void> {
  for (const [sql, where] of [
    [read(table), 'cache'],
    [readUncached(table), 'replica'],
  ] as const) {
    await until(`${table} to be answered by the ${where}`, async () => {
      await client.query(sql);
      return (await lastRoute(client)).startsWith(where);
    });
  }
}

/** What a session that knows nothing reads through Weir, in both ways; different from the primary = wrong. */
async function compare(table: string, direct: pg.Client, when: string): Promise<string[]> {
  const reader = await connect();
  const isTrue = await truth(direct, table);
  const [cached, plain] = [await value(reader, read(table)), await value(reader, readUncached(table))];
  reader.end();
  open.delete(reader);
  const wrong: string[] = [];
  // What commits meanwhile may be seen or not.
  if (isTrue !== (await truth(direct, table))) return wrong;
  if (cached !== isTrue) wrong.push(`${when}: the cache says ${cached}, the primary ${isTrue}`);
  if (plain !== isTrue) wrong.push(`${when}: a replica says ${plain}, the primary ${isTrue}`);
  return wrong;
}

/** A session for each: what it is shown first decides where it may read then. */
async function serves(table: string): Promise<{ cache: boolean; replica: boolean }> {
  const isFrom = async (where: string, sql: string): Promise<boolean> => {
    const reader = await connect();
    await reader.ask(sql);
    const is = (await route(reader)).startsWith(where);
    reader.end();
    open.delete(reader);
    return is;
  };
  return { cache: await isFrom('cache', read(table)), replica: await isFrom('replica', readUncached(table)) };
}

async function makeTables(count: number, prefix: string): Promise<string[]> {
  const names = Array.from({ length: count }, (_, i) => `${prefix}${i}`);
  const sql = names.map((name) => `CREATE TABLE ${name} (v int); INSERT INTO ${name} VALUES (0);`).join('\n');
  const maker = await connect();
  const { sqlstate } = await maker.ask(sql);
  expect(sqlstate).toBeUndefined();
  await cluster.waitForReplicas();
  return names;
}

test('a new session reads what the server says was committed, however it ended and whatever came behind', async () => {
  const names = await makeTables(forms.length, 't');
  const direct = await connectPg(cluster.url(cluster.primary, { database }));
  await prime(await connect(), names);
  await primeEach('control');
  await cluster.pauseReplay(cluster.replicas[0]!);
  const wrong: string[] = [];
  const untouched: string[] = [];
  for (const [i, form] of forms.entries()) {
    const table = names[i]!;
    const client = await connect();
    const statements = form.statements.map((sql) => sql.replaceAll('#', table));
    const found: string[] = [];
    await run(client, { ...form, statements }).catch((cause: unknown) => {
      throw new Error(`${form.delivery}: ${statements.join('; ')}`, { cause });
    });
    found.push(...(await compare(table, direct, 'at once')));
    const before = await truth(direct, table);
    // The transaction that may be open ends in one of three ways.
    const last = ['COMMIT', 'ROLLBACK', 'leave'][i % 3]!;
    if (last === 'leave') {
      client.end();
    } else {
      const answers = form.delivery === 'Flush' ? [client.next(), client.next()] : [client.next()];
      void client.send(form.delivery === 'Flush' ? Buffer.concat([sync, query(last)]) : query(last));
      await Promise.all(answers).catch((cause: unknown) => {
        throw new Error(`${last} behind ${form.delivery}: ${statements.join('; ')}`, { cause });
      });
      client.end();
    }
    open.delete(client);
    found.push(...(await compare(table, direct, `after ${last}`)));
    if (before === '0' && (await truth(direct, table)) === '0' && last !== 'leave') untouched.push(table);
    for (const one of found) wrong.push(`${form.delivery}: ${form.statements.join('; ')}: ${one}`);
  }
  expect(wrong).toEqual([]);
  // The rest of the world has gone on being answered from the cache and the replica.
  expect(await serves('control')).toEqual({ cache: true, replica: true });
  // And what was rolled back has cost nothing.
  const served = [];
  for (const table of untouched) served.push(await serves(table));
  expect(untouched.length).toBeGreaterThan(25);
  const share = served.filter(({ cache }) => cache).length / served.length;
  expect(share).toBeGreaterThan(0.5);
}, 300_000);

interface Special {
  readonly name: string;
  /** Before the old row is in the cache and on the replica. */
  readonly before?: readonly string[];
  readonly run: (client: RawClient, table: string) => Promise<unknown>;
}

const text =
  (...statements: readonly string[]): Special['run'] =>
  (client, table) =>
    run(client, { statements: statements.map((sql) => sql.replaceAll('#', table)), delivery: 'queries' });
const inBatch =
  (...statements: readonly string[]): Special['run'] =>
  (client, table) =>
    run(client, { statements: statements.map((sql) => sql.replaceAll('#', table)), delivery: 'one Sync' });

function portal(name: string, sql: string): Buffer {
  return Buffer.concat([parse(name, Buffer.from(sql), noTypes), bindTo(name, name)]);
}

async function callFunction(client: RawClient, table: string): Promise<void> {
  const oid = Number((await client.ask("SELECT 'bump'::regproc::oid::int")).values[0]);
  const argument = Buffer.from(table);
  const head = Buffer.alloc(14);
  head.writeUInt32BE(oid, 0);
  head.writeUInt16BE(1, 6);
  head.writeUInt32BE(argument.length, 8);
  const answer = client.next();
  await client.send(frame(Frontend.FunctionCall, Buffer.concat([head.subarray(0, 12), argument, Buffer.alloc(2)])));
  await answer;
}

async function withPortals(client: RawClient, table: string): Promise<void> {
  await client.ask('BEGIN');
  await client.ask(write.replace('#', table));
  for (const bytes of [portal('end', 'COMMIT'), Buffer.concat([execute(0, 'end'), batch('BEGIN')])]) {
    const answer = client.next();
    void client.send(Buffer.concat([bytes, sync]));
    await answer;
  }
}

async function suspended(client: RawClient, table: string): Promise<void> {
  await client.ask('BEGIN');
  for (const bytes of [
    Buffer.concat([portal('rows', `UPDATE ${table} SET v = v + 1 RETURNING v`), execute(1, 'rows')]),
    execute(1, 'rows'),
  ]) {
    const answer = client.next();
    void client.send(Buffer.concat([bytes, sync]));
    await answer;
  }
  await client.ask('COMMIT; BEGIN');
}

async function copyIn(client: RawClient, table: string): Promise<void> {
  const answer = client.next();
  const data = [frame(Frontend.CopyData, Buffer.from('7\n')), frame(Frontend.CopyDone)];
  void client.send(Buffer.concat([query(`BEGIN; COPY ${table} FROM STDIN; COMMIT; BEGIN`), ...data]));
  await answer;
}

const doBlock = (fails: boolean): string =>
  `DO $$ BEGIN UPDATE # SET v = v + 1; COMMIT; ${fails ? 'RAISE division_by_zero;' : 'UPDATE # SET v = v + 1;'} END $$`;

const specials: readonly Special[] = [
  {
    name: 'COMMIT PREPARED by another session',
    before: ['BEGIN', write, "PREPARE TRANSACTION '#'"],
    run: text("COMMIT PREPARED '#'", 'BEGIN'),
  },
  { name: 'a procedure that commits', run: text("CALL twice('#')", 'BEGIN') },
  { name: 'a procedure that commits and fails', run: text("CALL twice('#', true)", 'BEGIN') },
  { name: 'the same in a batch', run: inBatch("CALL twice('#', true)", 'BEGIN') },
  { name: 'a procedure in a batch that fails behind it', run: inBatch("CALL twice('#')", 'SELECT 1/0') },
  { name: 'a procedure at the beginning of a transaction', run: inBatch("CALL twice('#')", 'BEGIN') },
  { name: 'DO', run: text(doBlock(false), 'BEGIN') },
  { name: 'DO that fails', run: text(doBlock(true)) },
  {
    name: 'a constraint that fails at COMMIT',
    before: ['ALTER TABLE # ADD UNIQUE (v) DEFERRABLE INITIALLY DEFERRED'],
    run: text('BEGIN; INSERT INTO # SELECT v FROM #', 'COMMIT; BEGIN'),
  },
  {
    name: 'a constraint that fails at Sync',
    before: ['ALTER TABLE # ADD UNIQUE (v) DEFERRABLE INITIALLY DEFERRED'],
    run: inBatch('INSERT INTO # SELECT v FROM #', 'SELECT 1'),
  },
  { name: 'COMMIT in a portal of an earlier batch', run: withPortals },
  { name: 'a portal executed twice, with rows left', run: suspended },
  { name: 'PREPARE and EXECUTE', run: text(`PREPARE u AS ${write}`, 'BEGIN', 'EXECUTE u', 'COMMIT; BEGIN') },
  { name: 'COPY', run: copyIn },
  { name: 'a FunctionCall', run: callFunction },
  {
    name: 'a text that is too long to be read',
    run: text(`BEGIN; ${write}; COMMIT; BEGIN /* ${'x'.repeat(2_000_000)} */`),
  },
  {
    name: 'a savepoint, in a text that is too long',
    run: text(
      `BEGIN; ${write}; SAVEPOINT s; SELECT 1; ROLLBACK TO s /* ${'x'.repeat(2_000_000)} */`,
      'COMMIT AND CHAIN',
    ),
  },
  { name: 'DDL', run: text('BEGIN', 'ALTER TABLE # ADD COLUMN w int; UPDATE # SET v = v + 1', 'COMMIT AND CHAIN') },
];

test.each(specials)('$name', async ({ name, before = [], run: play }) => {
  const table = `s${specials.findIndex((one) => one.name === name)}`;
  const direct = await connectPg(cluster.url(cluster.primary, { database }));
  await cluster.resumeReplay(cluster.replicas[0]!);
  const client = await connect();
  await client.ask(`CREATE TABLE ${table} (v int); INSERT INTO ${table} VALUES (0), (10)`);
  for (const sql of before) expect((await client.ask(sql.replaceAll('#', table))).sqlstate).toBeUndefined();
  await cluster.waitForReplicas();
  await primeEach(table);
  await cluster.pauseReplay(cluster.replicas[0]!);
  expect(await serves(table)).toEqual({ cache: true, replica: true });
  await play(client, table);
  expect(await compare(table, direct, 'at once')).toEqual([]);
  await client.ask('ROLLBACK');
  expect(await compare(table, direct, 'after ROLLBACK')).toEqual([]);
});

test.each(['COMMIT; BEGIN', 'COMMIT AND CHAIN'])('a client that leaves without waiting for %s', async (end) => {
  const table = end === 'COMMIT AND CHAIN' ? 'left1' : 'left2';
  const direct = await connectPg(cluster.url(cluster.primary, { database }));
  await cluster.resumeReplay(cluster.replicas[0]!);
  const client = await connect();
  await client.ask(`CREATE TABLE ${table} (v int); INSERT INTO ${table} VALUES (0)`);
  await cluster.waitForReplicas();
  await prime(await connect(), [table]);
  await cluster.pauseReplay(cluster.replicas[0]!);
  await client.ask(`BEGIN; UPDATE ${table} SET v = 1`);
  await client.send(query(end));
  client.end();
  await until('it to be over', async () => {
    expect(await compare(table, direct, 'meanwhile')).toEqual([]);
    const busy = "SELECT 1 FROM pg_stat_activity WHERE query LIKE $1 AND state <> 'idle'";
    return (await direct.query(busy, [`${end}%`])).rows.length === 0;
  });
  expect(await compare(table, direct, 'afterwards')).toEqual([]);
});

test('what a batch has committed before its Sync is read through every worker', async () => {
  const direct = await connectPg(cluster.url(cluster.primary, { database }));
  await cluster.resumeReplay(cluster.replicas[0]!);
  await direct.query('CREATE TABLE early (v int); ALTER TABLE early OWNER TO app; INSERT INTO early VALUES (0)');
  await cluster.waitForReplicas();
  const workers = 3;
  const several = await startWorkers(workers, weirConfig(cluster, { database }, more));
  try {
    const readers = await connectToEach(() => connectPg(several.url({ database, user: 'app' })), workers);
    for (const reader of readers) await primeOne(reader, 'early');
    await cluster.pauseReplay(cluster.replicas[0]!);
    const writer = await connect(several);
    await flushed(writer, ['UPDATE early SET v = 1', 'COMMIT', 'BEGIN', 'SELECT 1/0']);
    for (const reader of readers)
      for (const sql of [read('early'), readUncached('early')])
        await until(
          `the commit to be seen by ${sql}`,
          async () => (await reader.query<{ v: string }>(sql)).rows[0]!.v === '1',
        );
    writer.end();
  } finally {
    await several.stop();
  }
});
