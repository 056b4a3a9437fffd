/**
 * Rate limits in front of a real PostgreSQL: what is refused, in which words, and what never is; the same for several workers
 * together, and for several Weirs over a real Redis, while it is there and while it is not.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type pg from 'pg';
import { afterEach, beforeAll, afterAll, describe, expect, test } from 'vitest';
import { query as queryMessage } from '../src/protocol/write.ts';
import { bind, describeStatement, execute, flush, parse, sync, type Sent } from './differential/messages.ts';
import { checkoutDir } from './harness/run-dir.ts';
import {
  askConsole,
  closeClients,
  connectPg,
  linesOf,
  RawClient,
  startRedis,
  startTestWeir,
  startWeir,
  startWorkers,
  until,
  useCluster,
  users,
  weirConfig,
  workersOfTests,
  workersOf,
} from './harness/index.ts';
import type { Redis, TestWeir, WeirAddresses, WeirConfig } from './harness/index.ts';

const cluster = useCluster();
let database: string;
const stops: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  database = await cluster.createDatabase();
  await cluster.query('CREATE TABLE counted (n int)', { database });
  await cluster.query('GRANT ALL ON counted TO PUBLIC', { database });
});
afterEach(async () => {
  await closeClients();
  for (const stop of stops.splice(0)) await stop();
  await cluster.query('TRUNCATE counted', { database });
});
afterAll(() => cluster.dropDatabase(database));

const config = (limits: readonly object[], more: WeirConfig = {}): WeirConfig =>
  weirConfig(cluster, { database }, { limits, ...more });

async function weirWith(limits: readonly object[], more: WeirConfig = {}): Promise<TestWeir> {
  const weir = await startTestWeir(config(limits, { log: { level: 'error' }, ...more }));
  stops.push(() => weir.stop());
  return weir;
}

/** How many connections the Redis has accepted; that of the question is one of them. */
async function connectionsOf(redis: Redis): Promise<number> {
  return Number(/total_connections_received:(\d+)/.exec(await redis.command('INFO stats'))?.[1]);
}

interface Refusal {
  readonly code: string;
  readonly severity: string;
  readonly message: string;
  readonly hint: string;
}

/** The error of a statement or a log-in; undefined: there was none. */
const refusal = (attempt: Promise<unknown>): Promise<Refusal | undefined> =>
  attempt.then(
    () => undefined,
    (error: unknown) => error as Refusal,
  );

const counted = async (): Promise<number> => {
  const [row] = await cluster.query<{ n: string }>('SELECT count(*) AS n FROM counted', { database });
  return Number(row?.n);
};

const console = (weir: WeirAddresses, sql: string): Promise<Record<string, string | null>[]> =>
  connectPg(weir.adminUrl()).then(async (client) => {
    const { rows } = await client.query<Record<string, string | null>>(sql);
    await client.end();
    return rows;
  });

const limitRow = async (weir: WeirAddresses, whom: string | null = null): Promise<Record<string, string | null>> => {
  const rows = await console(weir, 'SHOW LIMITS');
  return rows.find((row) => row['whom'] === whom) ?? {};
};

async function metric(weir: WeirAddresses, name: string): Promise<string[]> {
  const body = await (await fetch(`http://127.0.0.1:${weir.httpPort}/metrics`)).text();
  return body.split('\n').filter((line) => line.startsWith(`${name}{`));
}

const insert = 'INSERT INTO counted VALUES (1)';

describe('statements', () => {
  test('over the limit are refused, with the time after which they are not; the session goes on', async () => {
    const weir = await weirWith([{ user: '*', statements: '30/m', burst: 2 }]);
    const client = await connectPg(weir.url({ database }));
    await client.query(insert);
    await client.query(insert);
    const error = await refusal(client.query(insert));
    expect(error).toMatchObject({ code: '53400', severity: 'ERROR' });
    expect(error?.message).toBe('the limit "user=*" of 30 statements/m is reached for user=app');
    expect(error?.hint).toMatch(/^Try again in \d+ ms\.$/);
    const waitMs = Number(/\d+/.exec(error?.hint ?? '')?.[0]);
    expect(waitMs).toBeGreaterThan(0);
    expect(waitMs).toBeLessThanOrEqual(2_000);
    expect(await counted()).toBe(2);
    // Trying again at once costs nothing: it comes through.
    await until('a token', async () => (await refusal(client.query(insert))) === undefined);
    expect(await counted()).toBe(3);
  });

  test('are counted in the extended protocol, and a batch is skipped up to its Sync', async () => {
    const weir = await weirWith([{ user: '*', statements: '1/h', burst: 3 }]);
    const client = await connectPg(weir.url({ database }));
    for (let i = 0; i < 2; i++)
      await client.query({ name: 'one', text: 'INSERT INTO counted VALUES ($1)', values: [i] });
    await client.query('INSERT INTO counted VALUES ($1)', [2]);
    for (let i = 0; i < 3; i++) {
      const named = client.query({ name: 'one', text: 'INSERT INTO counted VALUES ($1)', values: [3] });
      expect(await refusal(named)).toMatchObject({ code: '53400' });
      expect(await refusal(client.query('SELECT $1::int', [1]))).toMatchObject({ code: '53400' });
    }
    expect(await counted()).toBe(3);
    expect(await limitRow(weir)).toMatchObject({ limit: 'user=*', kind: 'statements', rate: '1/h', refused: '6' });
  });

  test('of a pipeline are counted one by one, and answered in order', async () => {
    const weir = await weirWith([{ user: '*', statements: '1/h', burst: 4 }], { auth: { type: 'trust' } });
    const client = await RawClient.connect(weir, { user: users.app, database });
    stops.push(() => Promise.resolve(client.end()));
    const answers = Array.from({ length: 10 }, () => client.next());
    await client.send(Buffer.concat(Array.from({ length: 10 }, (_, i) => queryMessage(`${insert} RETURNING ${i}`))));
    const all = await Promise.all(answers);
    expect(all.map(({ values }) => values.join())).toEqual(['0', '1', '2', '3', '', '', '', '', '', '']);
    expect(all.map(({ sqlstate }) => sqlstate)).toEqual([...Array(4).fill(undefined), ...Array(6).fill('53400')]);
    expect(await counted()).toBe(4);
  });

  test('of a batch are counted each; one that is sent before its Sync is counted once', async () => {
    const weir = await weirWith([{ user: '*', statements: '1/h', burst: 5 }], { auth: { type: 'trust' } });
    const client = await RawClient.connect(weir, { user: users.app, database });
    stops.push(() => Promise.resolve(client.end()));
    const say = (...messages: readonly Sent[]): Promise<void> =>
      client.send(Buffer.concat(messages.map(({ bytes }) => bytes)));
    const three = client.next();
    await say(parse('', insert), bind('', ''), execute(), bind('', ''), execute(), bind('', ''), execute(), sync);
    expect((await three).sqlstate).toBeUndefined();
    expect(await limitRow(weir, 'user=app')).toMatchObject({ tokens: '2' });
    // As asyncpg does it: it waits for the description.
    const states: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      const before = client.receivedBytes;
      const answer = client.next();
      await say(parse('', insert), describeStatement(''), flush);
      await until('an answer before Sync', () => client.receivedBytes > before);
      await say(bind('', ''), execute(), sync);
      states.push((await answer).sqlstate);
    }
    expect(states).toEqual([undefined, undefined, '53400', '53400']);
    expect(await counted()).toBe(5);
    expect(await limitRow(weir, 'user=app')).toMatchObject({ tokens: '0', refused: '2' });
  });

  test('in one text are counted each', async () => {
    const weir = await weirWith([{ user: '*', statements: '1/h', burst: 10 }]);
    const client = await connectPg(weir.url({ database }));
    await client.query(Array(7).fill(insert).join(';'));
    expect(await limitRow(weir, 'user=app')).toMatchObject({ tokens: '3' });
  });

  test('answered from the cache count, too', async () => {
    const weir = await weirWith([{ user: '*', statements: '1/h', burst: 5 }], { cache: { enabled: true } });
    const client = await connectPg(weir.url({ database }));
    for (let i = 0; i < 5; i++) await client.query('SELECT n FROM counted');
    expect(await refusal(client.query('SELECT n FROM counted'))).toMatchObject({ code: '53400' });
  });

  test('of two users have buckets of their own; a rule that names one takes it out of *', async () => {
    const weir = await weirWith([
      { user: '*', statements: '1/h', burst: 2 },
      { user: users.app2, database, statements: '1/h', burst: 4 },
    ]);
    const [app, app2] = await Promise.all(
      [users.app, users.app2].map((user) => connectPg(weir.url({ database, user }))),
    );
    const passed = async (client: pg.Client | undefined): Promise<number> => {
      for (let i = 0; ; i++) if ((await refusal((client as pg.Client).query('SELECT 1'))) !== undefined) return i;
    };
    expect([await passed(app), await passed(app2)]).toEqual([2, 4]);
  });
});

describe('a transaction', () => {
  const limits = [{ user: '*', statements: '1/h', burst: 1 }];

  test('that is open is never refused, nor is its end; both are counted', async () => {
    const weir = await weirWith(limits);
    const client = await connectPg(weir.url({ database }));
    await client.query('BEGIN');
    for (let i = 0; i < 5; i++) await client.query(insert);
    for (let i = 0; i < 5; i++) await client.query('INSERT INTO counted VALUES ($1)', [i]);
    await client.query('COMMIT');
    expect(await counted()).toBe(10);
    expect(await refusal(client.query(insert))).toMatchObject({ code: '53400' });
    // Outside of a transaction, too: whoever wants to end one must be able to.
    await client.query('ROLLBACK');
    await client.query('COMMIT');
    expect(await limitRow(weir, 'user=app')).toMatchObject({ refused: '1' });
    // The debt is bounded.
    expect(Number((await limitRow(weir, 'user=app'))['tokens'])).toBeGreaterThanOrEqual(-1);
  });

  test('that has failed can be ended', async () => {
    const weir = await weirWith(limits);
    const client = await connectPg(weir.url({ database }));
    await client.query('BEGIN');
    expect(await refusal(client.query('SELECT 1/0'))).toMatchObject({ code: '22012' });
    expect(await refusal(client.query('SELECT 1'))).toMatchObject({ code: '25P02' });
    await client.query('ROLLBACK');
    expect(await refusal(client.query('SELECT 1'))).toMatchObject({ code: '53400' });
  });

  test('that is sent as one pipeline is not refused in the middle', async () => {
    const weir = await weirWith(limits, { auth: { type: 'trust' } });
    const client = await RawClient.connect(weir, { user: users.app, database });
    stops.push(() => Promise.resolve(client.end()));
    const texts = ['BEGIN', insert, insert, 'COMMIT', insert];
    const answers = texts.map(() => client.next());
    await client.send(Buffer.concat(texts.map((text) => queryMessage(text))));
    const states = (await Promise.all(answers)).map(({ sqlstate }) => sqlstate);
    expect(states).toEqual([undefined, undefined, undefined, undefined, '53400']);
    expect(await counted()).toBe(2);
  });

  test('whose BEGIN is refused does not run without it', async () => {
    const weir = await weirWith(limits, { auth: { type: 'trust' } });
    const client = await RawClient.connect(weir, { user: users.app, database });
    stops.push(() => Promise.resolve(client.end()));
    expect((await client.ask('SELECT 1')).sqlstate).toBeUndefined();
    const answer = client.next();
    await client.send(Buffer.concat(['BEGIN', insert, 'COMMIT'].map((text) => queryMessage(text))));
    await expect(answer).rejects.toThrow('53400');
    expect(await counted()).toBe(0);
  });
});

describe('what is free', () => {
  test('texts without a statement; COMMIT PREPARED and ROLLBACK PREPARED are not refused', async () => {
    const weir = await weirWith([{ user: '*', statements: '1/h', burst: 2 }]);
    const client = await connectPg(weir.url({ database }));
    const empty = ['', ';', '-- nothing', '/* nothing */ ;'];
    for (const text of empty) await client.query(text);
    await client.query({ name: 'empty', text: '' });
    // It has no bucket yet.
    expect(await limitRow(weir, 'user=app')).toEqual({});
    await client.query('SELECT 1; ; SELECT 2');
    expect(await limitRow(weir, 'user=app')).toMatchObject({ tokens: '0' });
    expect(await refusal(client.query('SELECT 1'))).toMatchObject({ code: '53400' });
    for (const text of empty) await client.query(text);
    for (const sql of ["COMMIT PREPARED 'none'", "ROLLBACK PREPARED 'none'"]) {
      const error = await refusal(client.query(sql));
      expect(error?.code).not.toBe('53400');
      expect(error).toBeDefined();
    }
  });
});

describe('bytes', () => {
  test('over the limit refuse the next statement, not the answer that is under way', async () => {
    const weir = await weirWith([{ user: '*', bytes: '1KB/h', burst: '200KB' }]);
    const client = await connectPg(weir.url({ database }));
    const { rows } = await client.query<{ x: string }>("SELECT repeat('x', 400000) AS x");
    expect(rows[0]?.x).toHaveLength(400_000);
    const error = await refusal(client.query('SELECT 1'));
    expect(error).toMatchObject({ code: '53400' });
    expect(error?.message).toContain('of 1KB/h is reached for user=app');
  });

  test('that a client sends count', async () => {
    const weir = await weirWith([{ user: '*', bytes: '1KB/h', burst: '200KB' }]);
    const client = await connectPg(weir.url({ database }));
    await client.query(`SELECT length('${'x'.repeat(150_000)}')`);
    await client.query('SELECT length($1)', ['x'.repeat(150_000)]).catch(() => undefined);
    expect(await refusal(client.query('SELECT 1'))).toMatchObject({ code: '53400' });
  });
});

describe('connections', () => {
  const limits = [{ address: '*', connections: '1/h', burst: 3 }];

  /** Several workers hear of each other a moment later. */
  const most = workersOfTests() === undefined ? 3 : 9;

  test('over the limit are refused at log-in, also with wrong passwords; operators come in', async () => {
    const weir = await weirWith(limits);
    const wrong = weir.url({ database }).replace(/:[^:@/]+@/, ':wrong@');
    expect(await refusal(connectPg(wrong))).toMatchObject({ code: '28P01' });
    let accepted = 1;
    let error: Refusal | undefined;
    for (; error === undefined && accepted <= most; accepted++)
      error = await refusal(connectPg(weir.url({ database })));
    expect(accepted - 1).toBeLessThanOrEqual(most);
    expect(error).toMatchObject({ code: '53400', severity: 'FATAL' });
    expect(error?.message).toBe('the limit "address=*" of 1 connections/h is reached for address=127.0.0.1');
    expect(error?.hint).toMatch(/^Try again in \d+ ms\.$/);
    await until('the same with a wrong password', async () => (await refusal(connectPg(wrong)))?.code === '53400');
    const { kind, refused } = await limitRow(weir);
    expect([kind, Number(refused) >= 2]).toEqual(['connections', true]);
  });

  test('of each address are counted by themselves; a cancel is none', async () => {
    const weir = await weirWith([{ address: '127.0.0.2/32', connections: '1/h', burst: 1 }]);
    const from = (address: string): Promise<pg.Client> => {
      const stream = new Socket();
      // node-postgres connects what it is given.
      const dial = stream.connect.bind(stream) as (options: object) => Socket;
      stream.connect = ((port: number, host: string) =>
        dial({ port, host, localAddress: address })) as unknown as typeof stream.connect;
      return connectPg(weir.url({ database }), { stream: () => stream });
    };
    const client = await from('127.0.0.2');
    expect((await client.query('SELECT 1')).rowCount).toBe(1);
    let error: Refusal | undefined;
    await until('a refusal', async () => (error = await refusal(from('127.0.0.2'))) !== undefined);
    expect(error).toMatchObject({ code: '53400' });
    await from('127.0.0.1');
    const cancel = connect(weir.port, '127.0.0.1');
    cancel.end(Buffer.from([0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1, 0, 0, 0, 1]));
    await new Promise((resolve) => cancel.once('close', resolve).resume());
    expect(await limitRow(weir)).toMatchObject({ buckets: '1' });
  });
});

describe('what is shown', () => {
  test('SHOW LIMITS, weir limits and the metrics tell who was refused; labels do not', async () => {
    const weir = await weirWith([{ name: 'everybody', user: '*', statements: '1/h', burst: 2 }]);
    const client = await connectPg(weir.url({ database }));
    for (let i = 0; i < 5; i++) await refusal(client.query('SELECT 1'));
    expect(await limitRow(weir)).toMatchObject({
      limit: 'everybody',
      burst: '2',
      buckets: '1',
      tokens: null,
      refused: '3',
    });
    expect(await limitRow(weir, 'user=app')).toMatchObject({ tokens: '0', refused: '3', rate: '1/h' });
    const labels = 'limit="everybody",kind="statements"';
    expect(await metric(weir, 'weir_limit_refusals_total')).toEqual([`weir_limit_refusals_total{${labels}} 3`]);
    expect(await metric(weir, 'weir_limit_buckets')).toEqual([`weir_limit_buckets{${labels}} 1`]);
    const args = [join(checkoutDir, 'bin/weir.js'), 'limits', '--url', weir.adminUrl(), '--json'];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(JSON.parse(stdout)).toHaveLength(2);
  });

  test('without limits there is nothing', async () => {
    const weir = await weirWith([]);
    const client = await connectPg(weir.url({ database }));
    for (let i = 0; i < 100; i++) await client.query('SELECT 1');
    expect(await console(weir, 'SHOW LIMITS')).toEqual([]);
    expect(await metric(weir, 'weir_limit_refusals_total')).toEqual([]);
  });
});

describe('a reload', () => {
  const everybody = { user: '*', statements: '1/h', burst: 2 };

  test('keeps the buckets of rules that stay, and concerns clients that are connected', async () => {
    const weir = await startWeir(config([everybody]));
    stops.push(() => weir.stop());
    const now = JSON.parse(readFileSync(weir.configFile, 'utf8')) as WeirConfig;
    const reload = async (limits: readonly object[]): Promise<void> => {
      weir.rewriteConfig({ ...now, limits });
      await console(weir, 'RELOAD');
    };
    const client = await connectPg(weir.url({ database }));
    for (let i = 0; i < 2; i++) await client.query('SELECT 1');
    expect(await refusal(client.query('SELECT 1'))).toMatchObject({ code: '53400' });

    await reload([everybody, { database, statements: '9/s' }]);
    expect(await refusal(client.query('SELECT 1'))).toMatchObject({ code: '53400' });
    await reload([]);
    for (let i = 0; i < 5; i++) await client.query('SELECT 1');
    await reload([{ ...everybody, burst: 3 }]);
    for (let i = 0; i < 3; i++) await client.query('SELECT 1');
    expect(await refusal(client.query('SELECT 1'))).toMatchObject({ code: '53400' });

    const wrong = await refusal(reload([{ user: '*', statements: 'many' }]));
    expect(wrong?.message).toContain('rule 1: statements is not a rate');
    expect(await refusal(client.query('SELECT 1'))).toMatchObject({ code: '53400' });
    expect(linesOf(weir, 'limit_refused')).not.toEqual([]);
  });
});

/** Statements of all clients at once, as fast as they can, until `isOver`. */
async function hammer(
  clients: readonly pg.Client[],
  isOver: () => boolean,
): Promise<{ passed: number; refused: number }> {
  const sum = { passed: 0, refused: 0 };
  const one = async (client: pg.Client): Promise<void> => {
    while (!isOver()) {
      const error = await refusal(client.query('SELECT 1'));
      if (error === undefined) sum.passed++;
      else if (error.code === '53400') sum.refused++;
      else throw new Error(error.message);
    }
  };
  await Promise.all(clients.map(one));
  return sum;
}

const clientsAt = (weirs: readonly WeirAddresses[], each: number): Promise<pg.Client[]> =>
  Promise.all(weirs.flatMap((weir) => Array.from({ length: each }, () => connectPg(weir.url({ database })))));

/** Hammers until `total` statements were refused. @returns how many passed, and how many tokens came in meanwhile */
async function outcome(
  clients: readonly pg.Client[],
  total: number,
): Promise<{ passed: number; refused: number; filled: number }> {
  const from = performance.now();
  let asked = 0;
  const sum = await hammer(clients, () => asked++ > total);
  return { ...sum, filled: ((performance.now() - from) / 1000) * 20 };
}

const twenty = { user: '*', statements: '20/s', burst: 100 };

describe('several workers', () => {
  test('have a limit together', async () => {
    const weir = await startWorkers(3, config([twenty]));
    stops.push(() => weir.stop());
    const clients = await clientsAt([weir], 6);
    expect((await workersOf(weir)).map((worker) => worker.clients)).toEqual([2, 2, 2]);
    const { passed, refused, filled } = await outcome(clients, 3_000);
    // Each by itself would have given out 300.
    expect(passed).toBeGreaterThanOrEqual(100);
    expect(passed).toBeLessThanOrEqual(100 + filled + 100);
    expect(refused).toBeGreaterThan(0);
    const [row] = await askConsole<Record<string, string>>(weir, 'SHOW LIMITS');
    expect(Number(row?.['refused'])).toBe(refused);
    expect(await metric(weir, 'weir_limit_refusals_total')).toEqual([
      `weir_limit_refusals_total{limit="user=*",kind="statements"} ${refused}`,
    ]);
  });

  test('that begin anew know what was spent', async () => {
    const weir = await startWorkers(2, config([{ user: '*', statements: '1/h', burst: 50 }]));
    stops.push(() => weir.stop());
    const clients = await clientsAt([weir], 4);
    const before = await outcome(clients, 400);
    expect(before.passed).toBeLessThanOrEqual(100);
    const done = await askConsole(weir, 'RESTART').then(() =>
      until('the restart', async () => {
        const [last] = await askConsole<Record<string, string>>(weir, 'SHOW RESTARTS');
        return last?.['state'] === 'done';
      }),
    );
    expect(done).toBe(true);
    const after = await outcome(clients, 400);
    // Two new workers: each by itself would have given out 50. Now, what it spends before it has heard.
    expect(after.passed).toBeLessThan(50);
    expect(after.refused).toBeGreaterThan(0);
  });
});

describe('several Weirs with one Redis', () => {
  let redis: Redis;
  beforeAll(async () => void (redis = await startRedis()));
  afterAll(() => redis.stop());

  const shared = async (fail: string, rule: object = twenty, count = 2): Promise<TestWeir[]> => {
    if (!redis.isRunning) await redis.start();
    await redis.command('FLUSHALL');
    const more = { limits_redis: redis.url, limits_fail: fail };
    return Promise.all(Array.from({ length: count }, () => weirWith([rule], more)));
  };

  test('have a limit together', async () => {
    const weirs = await shared('open');
    const clients = await clientsAt(weirs, 3);
    const { passed, refused, filled } = await outcome(clients, 3_000);
    expect(passed).toBeGreaterThanOrEqual(100);
    expect(passed).toBeLessThan(100 + filled + 100);
    const rows = await Promise.all(weirs.map((weir) => limitRow(weir)));
    expect(rows.reduce((sum, row) => sum + Number(row['refused']), 0)).toBe(refused);
    expect(rows.map((row) => row['problem'])).toEqual([null, null]);
  });

  test('what one has spent, the other may not spend again', async () => {
    const [one, two] = (await shared('open', { user: '*', statements: '1/h', burst: 20 })) as [TestWeir, TestWeir];
    const [first, second] = (await clientsAt([one, two], 1)) as [pg.Client, pg.Client];
    for (let i = 0; i < 20; i++) await first.query('SELECT 1');
    let passed = 0;
    await until('the other to know', async () => {
      if ((await refusal(second.query('SELECT 1'))) !== undefined) return true;
      passed++;
      return false;
    });
    expect(passed).toBeLessThan(20);
  });

  test('go on by themselves while Redis is gone, if limits_fail is open', async () => {
    const weirs = await shared('open', { user: '*', statements: '1/h', burst: 30 });
    const clients = await clientsAt(weirs, 1);
    await Promise.all(clients.map((client) => client.query('SELECT 1')));
    await redis.kill();
    const problems = (): Promise<unknown[]> =>
      Promise.all(weirs.map(async (weir) => (await limitRow(weir))['problem']));
    await until('both to know', async () => (await problems()).every((problem) => problem !== null));
    for (const client of clients) {
      let passed = 1;
      while ((await refusal(client.query('SELECT 1'))) === undefined) passed++;
      expect(passed).toBeGreaterThan(20);
      expect(passed).toBeLessThanOrEqual(30);
    }
    await redis.start();
    await until('Redis to be used again', async () => (await problems()).every((problem) => problem === null));
    expect(await refusal((clients[0] as pg.Client).query('SELECT 1'))).toMatchObject({ code: '53400' });
  });

  test('refuse while Redis is gone, if limits_fail is closed; transactions end, operators come in', async () => {
    const [weir] = (await shared('closed', { user: '*', statements: '1000/s' }, 1)) as [TestWeir];
    const [client, other] = (await clientsAt([weir], 2)) as [pg.Client, pg.Client];
    await client.query('SELECT 1');
    await other.query('BEGIN');
    await redis.kill();
    let error: Refusal | undefined;
    await until('a refusal', async () => (error = await refusal(client.query('SELECT 1'))) !== undefined);
    expect(error).toMatchObject({ code: '53400', severity: 'ERROR' });
    expect(error?.message).toContain('their Redis (limits_redis) is gone');
    await other.query(insert);
    await other.query('COMMIT');
    expect(await counted()).toBe(1);
    expect(Number((await limitRow(weir))['refused'])).toBeGreaterThan(0);
    await redis.start();
    await until('Redis to be used again', async () => (await refusal(client.query('SELECT 1'))) === undefined);
  });

  test.each([
    ['is full', 'CONFIG SET maxmemory 1', 'CONFIG SET maxmemory 0', 'OOM'],
    ['is a replica', 'REPLICAOF 127.0.0.1 1', 'REPLICAOF NO ONE', 'READONLY'],
  ])('a Redis that %s is gone: with limits_fail closed, nothing passes', async (_what, breaks, mends, why) => {
    const [weir] = (await shared('closed', { user: '*', statements: '1000/s' }, 1)) as [TestWeir];
    const [client] = (await clientsAt([weir], 1)) as [pg.Client];
    await client.query('SELECT 1');
    await redis.command(breaks);
    try {
      await until('a refusal', async () => (await refusal(client.query('SELECT 1'))) !== undefined);
      expect((await limitRow(weir))['problem']).toContain(why);
      const before = await connectionsOf(redis);
      await until('Weir to try again, twice', async () => {
        expect(await refusal(client.query('SELECT 1'))).toMatchObject({ code: '53400' });
        return (await connectionsOf(redis)) >= before + 4;
      });
    } finally {
      await redis.command(mends);
    }
    await until('Redis to be used again', async () => (await refusal(client.query('SELECT 1'))) === undefined);
  });

  test('a key of the wrong type is overwritten', async () => {
    const [weir] = (await shared('closed', { user: '*', statements: '1/h', burst: 20 }, 1)) as [TestWeir];
    const [client] = (await clientsAt([weir], 1)) as [pg.Client];
    await client.query('SELECT 1');
    const bucket = /weir:limit:(?!probe)\S+/;
    const key = await until('its bucket', async () => bucket.exec(await redis.command('KEYS *'))?.[0]);
    await redis.command(`DEL ${key}`);
    await redis.command(`LPUSH ${key} x`);
    await client.query('SELECT 1');
    await until('a bucket again', async () => (await redis.command(`TYPE ${key}`)) === '+string\r\n');
    expect((await limitRow(weir))['problem']).toBeNull();
  });

  test('a Redis that is frozen holds nobody up', async () => {
    const [weir] = (await shared('open', twenty, 1)) as [TestWeir];
    const [client] = (await clientsAt([weir], 1)) as [pg.Client];
    redis.pause();
    try {
      for (let i = 0; i < 50; i++) await client.query('SELECT 1');
      await until('it to count as gone', async () => (await limitRow(weir))['problem'] !== null);
      expect((await limitRow(weir))['problem']).toBe('it does not answer');
    } finally {
      redis.resume();
    }
    await until('Redis to be used again', async () => (await limitRow(weir))['problem'] === null);
  });
});
