/**
 * CancelRequests under load, on fewer servers than clients: each stops the statement it was meant for, wherever that is
 * (on a server, in line for one, in a lane with others), and nothing else. WEIR_CANCELS=100000 sends more of them.
 */
import { connect } from 'node:net';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Connection } from '../soak/connection.ts';
import { cancelRequest, query } from '../src/protocol/write.ts';
import { closeClients, connectPg, startWeir, TcpRelay, until, useCluster, weirConfig } from './harness/index.ts';
import type { WeirConfig, WeirProcess } from './harness/index.ts';

const wanted = Number(process.env['WEIR_CANCELS'] ?? 2_000);
let database: string;
let weir: WeirProcess;

beforeAll(async () => {
  database = await useCluster().createDatabase();
});
afterEach(async () => {
  await closeClients();
  await weir.stop();
});
afterAll(() => useCluster().dropDatabase(database));

async function start(more: WeirConfig, primary: { port: number } = useCluster().primary): Promise<void> {
  // Each cancel is a connection of its own, on both sides: without TLS they take no time.
  const base = { auth: { type: 'trust' }, resize: { enabled: false }, tls: { server: { mode: 'disable' } } };
  const config = weirConfig(
    useCluster(),
    { database, primary, replicas: [] },
    { ...base, log: { level: 'warn' }, ...more },
  );
  weir = await startWeir(config);
}

const connectApp = (): Promise<pg.Client> => connectPg(weir.url({ database }));
const codeOf = (error: unknown): string | undefined => (error as { code?: string }).code;

/** Resolves when the other side has closed the connection: then the request has been dealt with. */
function cancel(client: pg.Client): Promise<void> {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const secret = Buffer.alloc(4);
  secret.writeInt32BE(secretKey);
  return new Promise((resolve, reject) => {
    const socket = connect(weir.port, weir.host, () => socket.end(cancelRequest(processID, secret)));
    socket.on('error', reject).once('close', () => resolve());
  });
}

describe('a cancel', () => {
  const someoneWaits = async (console: pg.Client): Promise<boolean> =>
    (await console.query<{ state: string }>('SHOW CLIENTS')).rows.some(({ state }) => state === 'waiting');
  /** It has a server to itself, until its COMMIT. */
  const connectHolder = async (): Promise<pg.Client> => {
    const holder = await connectApp();
    await holder.query('BEGIN');
    await holder.query('SELECT 1');
    return holder;
  };

  test('of a statement that waits in line is answered at once, and the client goes on', async () => {
    await start({ default_pool_size: 1, max_pool_size: 1 });
    const [holder, waits] = [await connectHolder(), await connectApp()];
    const waiting = waits.query("INSERT INTO pg_temp.nowhere VALUES ('never')");
    const refused = expect(waiting).rejects.toMatchObject({ code: '57014' });
    const console = await connectPg(weir.adminUrl());
    await until('it to wait', () => someoneWaits(console));
    await cancel(waits);
    await refused;
    await holder.query('COMMIT');
    expect((await waits.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
  });

  test.each([
    ['a cancel', '30s', (piped: Connection) => piped.cancel()],
    ['query_wait_timeout', '1s', () => undefined],
  ])('%s of a BEGIN that waits: nothing that was sent behind it runs on its own', async (_what, timeout, stop) => {
    await useCluster().query('CREATE TABLE IF NOT EXISTS left_alone (n int); GRANT ALL ON left_alone TO app', {
      database,
    });
    await start({ default_pool_size: 1, max_pool_size: 1, query_wait_timeout: timeout });
    const holder = await connectHolder();
    const piped = await Connection.open(weir, { user: 'app', database });
    const statements = ['BEGIN', 'INSERT INTO left_alone VALUES (1)', 'INSERT INTO left_alone VALUES (2)', 'COMMIT'];
    const lost = expect(piped.send(Buffer.concat(statements.map((sql) => query(sql))), 4)).rejects.toThrow(
      /ended \w{5} /,
    );
    const console = await connectPg(weir.adminUrl());
    await until('it to wait', () => someoneWaits(console));
    stop(piped);
    await until('the answer', () => piped.isLost);
    await holder.query('COMMIT');
    await lost;
    expect((await holder.query('SELECT n FROM left_alone')).rows).toEqual([]);
  });

  test('of a read that has lost its server and waits for another is answered at once, too', async () => {
    await start({ default_pool_size: 2, max_pool_size: 2 });
    const [holder, reads] = [await connectHolder(), await connectApp()];
    const reading = reads.query('SELECT count(*) FROM generate_series(1, 1000000000)');
    const refused = expect(reading).rejects.toMatchObject({ code: '57014' });
    const console = await connectPg(weir.adminUrl());
    const isCounting = `datname = '${database}' AND state = 'active' AND query LIKE 'SELECT count%'`;
    const counting = (what: string) => useCluster().query(`SELECT ${what} FROM pg_stat_activity WHERE ${isCounting}`);
    await until('it to run', async () => (await counting('pid')).length === 1);
    await console.query(`RESIZE POOL ${database} MAX 1`);
    expect(await counting('pg_terminate_backend(pid)')).toHaveLength(1);
    await until('it to wait', () => someoneWaits(console));
    await cancel(reads);
    await refused;
    await holder.query('COMMIT');
    expect((await reads.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
  });

  test('gets through when as many clients are connected as may be', async () => {
    await start({ default_pool_size: 1, max_pool_size: 1, max_client_conn: 2 });
    const [sleeps, other] = [await connectApp(), await connectApp()];
    const running = new Promise((resolve) => sleeps.once('notice', resolve));
    const refused = expect(sleeps.query(sleep)).rejects.toMatchObject({ code: '57014' });
    await running;
    await expect(connectApp()).rejects.toMatchObject({ code: '53300' });
    await cancel(sleeps);
    await refused;
    expect((await other.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
  });

  test('that does not get through to the server is sent again, as long as what it is for runs', async () => {
    const relay = await TcpRelay.start(useCluster().primary);
    await start({ default_pool_size: 1, max_pool_size: 1 }, relay);
    const sleeps = await connectApp();
    const running = new Promise((resolve) => sleeps.once('notice', resolve));
    const refused = expect(sleeps.query(sleep)).rejects.toMatchObject({ code: '57014' });
    await running;
    relay.setMode('refuse');
    const cancelled = cancel(sleeps);
    await until('it to fail', () => weir.logs.some((line) => line['event'] === 'cancel_failed'));
    relay.pass();
    await cancelled;
    await refused;
    expect((await sleeps.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
    await relay.stop();
  });

  test('with a key that is nobody’s, or with a wrong secret, does nothing', async () => {
    await start({ default_pool_size: 1, max_pool_size: 1 });
    const sleeps = await connectApp();
    const running = new Promise((resolve) => sleeps.once('notice', resolve));
    const refused = expect(sleeps.query(sleep)).rejects.toMatchObject({ code: '57014' });
    await running;
    const { processID, secretKey } = sleeps as unknown as { processID: number; secretKey: number };
    const wrong = [
      { processID, secretKey: secretKey ^ 1 },
      { processID: processID + 1, secretKey },
    ];
    for (const key of wrong) await cancel(key as unknown as pg.Client);
    const isSleeping = `SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'PgSleep'`;
    expect(await useCluster().query(isSleeping, { values: [database] })).toHaveLength(1);
    await cancel(sleeps);
    await refused;
  });
});

/** Says when it has begun, and would take longer than any test. */
const sleep = "DO $$ BEGIN RAISE NOTICE 'begun'; PERFORM pg_sleep(3600); END $$";

interface Tally {
  sent: number;
  /** Statements that had begun, or waited for a server, and were stopped. */
  onServer: number;
  inLine: number;
  /** Cancels that had to be sent again, because the server had not begun. */
  again: number;
  /** Reads that may have been over before the cancel came, and those that were not. */
  tooLate: number;
  inTime: number;
}

/** Cancels what runs for an hour. */
async function stopSleeper(client: pg.Client, statement: pg.QueryConfig, tally: Tally): Promise<void> {
  let hasBegun = false;
  const beginning = new Promise<undefined>((resolve) => {
    client.once('notice', () => {
      hasBegun = true;
      resolve(undefined);
    });
  });
  const outcome = client.query(statement).then(() => 'went through', codeOf);
  // Some cancels wait until it runs; the others find it in line, or on its way to a server.
  const isPatient = Math.random() < 0.5;
  if (isPatient) await Promise.race([beginning, outcome]);
  tally.sent++;
  await cancel(client);
  let answer = await (isPatient ? soon(outcome, 120_000) : Promise.race([outcome, beginning]));
  if (answer === undefined && !isPatient) {
    // It may have come before the server had begun, as with PostgreSQL; a second one cannot.
    answer = await soon(outcome, 200);
    if (answer === undefined) {
      tally.sent++;
      tally.again++;
      await cancel(client);
      answer = await soon(outcome, 120_000);
    }
  }
  expect(answer, `the cancel was lost${undelivered()}`).toBe('57014');
  client.removeAllListeners('notice');
  if (hasBegun) tally.onServer++;
  else tally.inLine++;
}

/** What Weir says of cancels that the server did not take from it in time. */
function undelivered(): string {
  const said = weir.logs.filter((line) => line['event'] === 'cancel_failed').map((line) => String(line['msg']));
  return said.length === 0 ? '' : `, or not delivered: ${said.join('; ')}`;
}

/** Undefined if it takes longer. */
async function soon<T>(outcome: Promise<T>, timeoutMs: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), timeoutMs)));
  try {
    return await Promise.race([outcome, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Cancels a read that runs in a lane with others', at any moment of its short life. */
async function stopRead(client: pg.Client, i: number, tally: Tally): Promise<void> {
  const read = client.query<{ i: number }>('SELECT $1::int AS i, count(*) FROM generate_series(1, 20000)', [i]);
  const outcome = read.then(({ rows: [row] }) => row?.i, codeOf);
  tally.sent++;
  await cancel(client);
  const answer = await outcome;
  expect([i, '57014']).toContain(answer);
  if (answer === i) tally.tooLate++;
  else tally.inTime++;
}

async function suffer(client: pg.Client, isOver: () => boolean, tally: Tally): Promise<void> {
  for (let i = 0; !isOver(); i++) {
    switch (i % 4) {
      case 0:
        await stopSleeper(client, { text: sleep }, tally);
        break;
      case 1:
        await stopSleeper(client, { name: 'by name', text: sleep }, tally);
        break;
      case 2:
        await client.query('BEGIN');
        await stopSleeper(client, { text: sleep, values: [] }, tally);
        await client.query('ROLLBACK');
        break;
      default:
        await stopRead(client, i, tally);
    }
    // The cancel has been dealt with: what comes next is no concern of it.
    expect((await client.query<{ i: number }>('SELECT $1::int AS i', [i])).rows).toEqual([{ i }]);
  }
}

async function work(client: pg.Client, isOver: () => boolean): Promise<number> {
  let i = 0;
  for (; !isOver(); i++) {
    const values = [i];
    const answers = [
      await client.query<{ i: number }>('SELECT $1::int AS i', values),
      await client.query<{ i: number }>({ name: 'by name', text: 'SELECT $1::int AS i, 1', values }),
      await client.query<{ i: number }>('SELECT $1::int AS i, pg_sleep(0.002)', values),
    ];
    await client.query('BEGIN');
    answers.push(await client.query<{ i: number }>('SELECT $1::int AS i FROM generate_series(1, 500)', values));
    await client.query('COMMIT');
    for (const { rows } of answers) expect(rows[0]?.i).toBe(i);
  }
  return i;
}

describe('cancels at random', () => {
  test.each([
    { how: 'by ten clients on four servers', size: 4, count: Math.ceil(wanted * 0.8) },
    { how: 'by ten clients on one server', size: 1, count: Math.ceil(wanted * 0.2) },
  ])(
    '$count of them, $how: none is lost, and nobody else notices',
    async ({ size, count }) => {
      // Who cancels in the queue has given up. With so many of them it would be an overload, and bystanders refused early.
      const patient = { query_wait_timeout: '10m', queue_target: 0 };
      await start({ default_pool_size: size, max_pool_size: size, ...patient });
      const bystanders = await Promise.all(Array.from({ length: 6 }, connectApp));
      const victims = await Promise.all(Array.from({ length: 10 }, connectApp));
      const tally: Tally = { sent: 0, onServer: 0, inLine: 0, again: 0, tooLate: 0, inTime: 0 };
      let hasFailed = false;
      const isOver = (): boolean => hasFailed || tally.sent >= count;
      const suffering = victims.map((client) => suffer(client, isOver, tally));
      const working = bystanders.map((client) => work(client, isOver));
      // The rest would go on for ever.
      for (const one of [...suffering, ...working]) one.catch(() => (hasFailed = true));
      await Promise.all([...suffering, ...working]);
      expect(tally.onServer + tally.inLine, JSON.stringify(tally)).toBeGreaterThan(count / 2);
      expect(tally.inLine, JSON.stringify(tally)).toBeGreaterThan(count / 100);
      expect(Math.min(...(await Promise.all(working))), 'what the slowest bystander did').toBeGreaterThan(0);
      if (process.env['WEIR_CANCELS'] !== undefined) process.stderr.write(`${JSON.stringify(tally)}\n`);
    },
    240_000 + 100 * wanted,
  );
});
