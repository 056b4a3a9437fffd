/**
 * A server that ends a connection says why, and the client is told in those words: whatever it was doing, in both pool
 * modes, compared with PostgreSQL itself. Where a connection ends straight at PostgreSQL and goes on through Weir, the
 * words are an ERROR; what concerns a server in the pool alone is told to nobody.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Backend } from '../src/protocol/codes.ts';
import { readErrorFields } from '../src/protocol/read.ts';
import { copyData, extended, flush, line, query, sync } from './differential/messages.ts';
import type { Sent } from './differential/messages.ts';
import { RawClient } from './differential/raw-client.ts';
import { PASSWORD, connectPg, startCluster, startWeir, until, users, weirConfig } from './harness/index.ts';
import type { Cluster, WeirProcess } from './harness/index.ts';

type Mode = 'session' | 'transaction';
const modes = ['session', 'transaction'] as const;

let cluster: Cluster;
const weirs = new Map<Mode, WeirProcess>();
const open: RawClient[] = [];
let names = 0;

beforeAll(async () => {
  cluster = await startCluster({ replicas: 0 });
  await cluster.query(`CREATE TABLE line (v text); ALTER TABLE line OWNER TO ${users.app}`);
  for (const mode of modes) {
    const more = { pool_mode: mode, default_pool_size: 20, max_pool_size: 20, resize: { enabled: false } };
    weirs.set(mode, await startWeir(weirConfig(cluster, {}, more)));
  }
});
beforeEach(async () => {
  const isUp = (): Promise<boolean> =>
    cluster.query('SELECT 1').then(
      () => true,
      () => false,
    );
  await until('the server to be back', isUp);
});
afterEach(() => {
  for (const client of open.splice(0)) client.close();
});
afterAll(async () => {
  for (const weir of weirs.values()) await weir.stop();
  await cluster.stop();
});

interface Situation {
  readonly name: string;
  readonly says: readonly Sent[];
  /**
   * The client is there when it has heard this many of that message; 'sleeps': when its server runs pg_sleep;
   * 'copies': when its server waits for the second line, as the last words of a COPY name the line.
   */
  readonly isThere: readonly [type: number, count: number] | 'sleeps' | 'copies';
  /** In transaction mode too, the connection ends with the server. */
  readonly holds: boolean;
}

const sleeps = 'INSERT INTO line SELECT pg_sleep(600)::text';
const ready = (count: number): readonly [number, number] => [Backend.ReadyForQuery, count];

const idle: Situation = {
  name: 'idle, of a session that LISTENs',
  says: [query('LISTEN anything')],
  isThere: ready(1),
  holds: true,
};
const inTransaction: readonly Situation[] = [
  { name: 'in a transaction, idle', says: [query('BEGIN'), query('SELECT 1')], isThere: ready(2), holds: true },
  {
    name: 'in a failed transaction, idle',
    says: [query('BEGIN'), query('SELECT 1/0')],
    isThere: ready(2),
    holds: true,
  },
  {
    name: 'in a transaction, behind a batch',
    says: [...extended('BEGIN'), sync, ...extended('SELECT 1'), sync],
    isThere: ready(2),
    holds: true,
  },
];
const running: readonly Situation[] = [
  { name: 'a statement runs', says: [query(sleeps)], isThere: 'sleeps', holds: false },
  { name: 'a batch runs', says: [...extended(sleeps), ...extended('SELECT 1'), sync], isThere: 'sleeps', holds: false },
  { name: 'in a transaction, a statement runs', says: [query('BEGIN'), query(sleeps)], isThere: 'sleeps', holds: true },
  { name: 'COPY TO', says: [query('COPY (SELECT pg_sleep(600)) TO STDOUT')], isThere: 'sleeps', holds: false },
];
const others: readonly Situation[] = [
  {
    name: 'a batch without its Sync, idle',
    says: [...extended("INSERT INTO line VALUES ('x')"), flush],
    isThere: [Backend.CommandComplete, 1],
    holds: true,
  },
  {
    name: 'COPY FROM',
    says: [query('COPY line FROM STDIN'), copyData('x\n')],
    isThere: 'copies',
    holds: false,
  },
  {
    name: 'COPY FROM in a transaction',
    says: [query('BEGIN'), query('COPY line FROM STDIN'), copyData('x\n')],
    isThere: 'copies',
    holds: true,
  },
];
const everywhere = [idle, ...inTransaction, ...running, ...others];

interface Peer {
  readonly client: RawClient;
  readonly situation: Situation;
  readonly name: string;
}

type At = { readonly host: string; readonly port: number };
const atMode = (mode: Mode): WeirProcess => weirs.get(mode) as WeirProcess;

async function connect(at: At, options = ''): Promise<{ client: RawClient; name: string }> {
  const name = `last_words_${++names}`;
  const address = { host: at.host, port: at.port, user: users.app, password: PASSWORD, database: 'postgres' };
  const client = await RawClient.open(address, { application_name: name, options });
  open.push(client);
  await client.until(() => client.received.some(({ type }) => type === Backend.ReadyForQuery));
  client.received.length = 0;
  return { client, name };
}

async function backendOf(name: string): Promise<{ pid: number; event: string | null } | undefined> {
  const sql = 'SELECT pid, wait_event AS event FROM pg_stat_activity WHERE application_name = $1';
  const rows = await cluster.query<{ pid: number; event: string | null }>(sql, { values: [name] });
  expect(rows.length).toBeLessThan(2);
  return rows[0];
}

/** Until its server has taken the first line and waits for the second. */
async function untilCopied(name: string): Promise<void> {
  const sql = 'SELECT 1 FROM pg_stat_progress_copy WHERE pid = $1 AND bytes_processed = 2';
  const pid = (await backendOf(name))?.pid;
  await until('its line to be copied', async () => (await cluster.query(sql, { values: [pid] })).length === 1);
  await until('it to wait for the next', async () => (await backendOf(name))?.event === 'ClientRead');
}

/** Forgets what came until it was there. */
async function bring(at: At, situation: Situation, options = ''): Promise<Peer> {
  const { client, name } = await connect(at, options);
  const { says, isThere } = situation;
  // A Query must not come in the middle of a COPY: each waits for the one before.
  let readies = 0;
  for (const [i, message] of says.entries()) {
    client.send(message.bytes);
    const endsBatch = message === sync || message.label === 'BEGIN';
    if (!endsBatch || i === says.length - 1) continue;
    readies++;
    await client.until(() => client.received.filter(({ type }) => type === Backend.ReadyForQuery).length >= readies);
  }
  if (isThere === 'sleeps') {
    await until(`${situation.name}: its sleep`, async () => (await backendOf(name))?.event === 'PgSleep');
  } else if (isThere === 'copies') {
    await client.until(() => client.received.some(({ type }) => type === Backend.CopyInResponse));
    await untilCopied(name);
  } else {
    const [wanted, count] = isThere;
    await client.until(() => client.received.filter(({ type }) => type === wanted).length >= count);
  }
  client.received.length = 0;
  return { client, situation, name };
}

interface Told {
  readonly lines: readonly string[];
  readonly isClosed: boolean;
}

/** Everything until the connection is closed, or goes on. */
async function hear({ client }: Peer): Promise<Told> {
  await client.until(() => client.received.some(({ type }) => type === Backend.ErrorResponse));
  await client.until(() => client.received.some(({ type }) => type === Backend.ReadyForQuery));
  const lines = client.received.splice(0).map(({ type, body }) => line(type, body));
  return { lines, isClosed: client.isClosed };
}

const toEnd = /^(?:ErrorResponse SFATAL|NoticeResponse SWARNING)\|V(?:FATAL|WARNING)\|/;
const weirsHint = '|HThe statement may or may not have taken effect; check before you repeat it.||';

/** What a client is told whose connection goes on, where PostgreSQL says `straight` and closes it. */
function onward({ lines }: Told): Told {
  const last = lines.at(-1) ?? '';
  const error = last.replace(toEnd, 'ErrorResponse SERROR|VERROR|');
  const hasHint = /\|H/.test(error);
  const told = hasHint ? error : error.replace(/\|\|$/, weirsHint);
  // A warning is passed on at once: the server may go on behind it.
  const before = last.startsWith('NoticeResponse') ? lines : lines.slice(0, -1);
  return { lines: [...before, told, 'ReadyForQuery I'], isClosed: false };
}

function expected(straight: Told, mode: Mode, { holds }: Situation): Told {
  return mode === 'session' || holds ? straight : onward(straight);
}

async function expectServed({ client }: Peer): Promise<void> {
  client.send(query("SELECT 'still here'").bytes);
  await client.until(() => client.received.some(({ type }) => type === Backend.ReadyForQuery));
  expect(client.received.map(({ type, body }) => line(type, body)).join()).toContain('still here');
}

/** Brings a client of each kind there, lets `end` happen to all of them, and compares what they are told. */
async function compare(
  situations: readonly Situation[],
  sqlstate: string,
  options: string,
  end: (peers: readonly Peer[]) => Promise<void>,
): Promise<void> {
  const ways = [cluster.primary, atMode('session'), atMode('transaction')];
  const peers: Peer[] = [];
  for (const situation of situations) for (const at of ways) peers.push(await bring(at, situation, options));
  await end(peers);
  const told: Told[] = [];
  for (const peer of peers) told.push(await hear(peer));
  for (const [i, situation] of situations.entries()) {
    const [straight, ...through] = told.slice(3 * i, 3 * i + 3);
    expect(straight?.lines.at(-1), situation.name).toContain(`|C${sqlstate}|`);
    expect(straight?.isClosed, situation.name).toBe(true);
    for (const [at, mode] of modes.entries()) {
      const where = `${situation.name}, ${mode} mode`;
      expect(through[at], where).toEqual(expected(straight as Told, mode, situation));
      if (through[at]?.isClosed === false) await expectServed(peers[3 * i + 1 + at] as Peer);
    }
  }
}

const nothing = (): Promise<void> => Promise.resolve();

test('57P01: the backend is terminated', async () => {
  await compare(everywhere, '57P01', '', async (peers) => {
    for (const { name } of peers) {
      const backend = await backendOf(name);
      expect(backend, name).toBeDefined();
      await cluster.query('SELECT pg_terminate_backend($1)', { values: [backend?.pid] });
    }
  });
});

test('25P03: idle_in_transaction_session_timeout', () =>
  compare(inTransaction, '25P03', '-c idle_in_transaction_session_timeout=1000', nothing));

test('25P04: transaction_timeout', async () => {
  if (cluster.majorVersion < 17) return;
  // A failed transaction has no such limit any more.
  const limited = [...inTransaction, ...running].filter(({ name }) => !name.includes('failed'));
  await compare(limited, '25P04', '-c transaction_timeout=3000', nothing);
});

test('25P04 of a read: it has had its time, and is not tried again', async () => {
  if (cluster.majorVersion < 17) return;
  const ended = async (): Promise<number> => {
    const [row] = await cluster.query<{ n: string }>(
      "SELECT sessions_fatal AS n FROM pg_stat_database WHERE datname = 'postgres'",
    );
    return Number(row?.n);
  };
  const holder = await connectPg(cluster.url(cluster.primary, { user: users.app }));
  await holder.query('BEGIN; LOCK TABLE line');
  const before = await ended();
  const { client } = await connect(atMode('transaction'), '-c transaction_timeout=1000');
  client.send(query('SELECT v FROM line').bytes);
  await client.until(() => client.received.some(({ type }) => type === Backend.ReadyForQuery));
  const [error] = client.received;
  expect(readErrorFields(error?.body ?? Buffer.alloc(0), 0, error?.body.length ?? 0).get('C')).toBe('25P04');
  await until('its end to be counted', async () => (await ended()) > before);
  expect((await ended()) - before).toBe(1);
  await holder.end();
});

test('57P05: idle_session_timeout', () => compare([idle], '57P05', '-c idle_session_timeout=1000', nothing));

test('57P05 of a server in the pool is told to nobody', async () => {
  const { client, name } = await connect(atMode('transaction'), '-c idle_session_timeout=300');
  client.send(query('SELECT 1').bytes);
  await client.until(() => client.received.some(({ type }) => type === Backend.ReadyForQuery));
  await until('its server to be gone', async () => (await backendOf(name)) === undefined);
  client.received.length = 0;
  const peer = { client, name, situation: idle };
  await expectServed(peer);
  expect(client.received.some(({ type }) => type === Backend.ErrorResponse)).toBe(false);
});

describe('the whole server', () => {
  test('57P02: another process has crashed', async () => {
    const victim = await bring(cluster.primary, inTransaction[0] as Situation);
    await compare(everywhere, '57P02', '', async () => {
      process.kill((await backendOf(victim.name))?.pid ?? 0, 'SIGKILL');
    });
  });

  test('57P01: it is stopped at once', async () => {
    await compareStopped('immediate');
  });

  test('57P01: it is stopped', async () => {
    await compareStopped('fast');
  });

  async function compareStopped(how: 'immediate' | 'fast'): Promise<void> {
    await compare(everywhere, '57P01', '', async () => {
      await cluster.stopNode(cluster.primary, how);
      await cluster.start(cluster.primary);
    });
  }
});

test('57P03: it does not take connections yet, and the wait for it is over', async () => {
  const weir = await startWeir(weirConfig(cluster, {}, { query_wait_timeout: '2s' }));
  const { client } = await connect(weir);
  await cluster.stopNode(cluster.primary);
  client.send(query('INSERT INTO line VALUES (1)').bytes);
  await client.until(() => client.received.some(({ type }) => type === Backend.ReadyForQuery));
  const [error] = client.received;
  expect(readErrorFields(error?.body ?? Buffer.alloc(0), 0, error?.body.length ?? 0).get('C')).toBe('57P03');
  await cluster.start(cluster.primary);
  await weir.stop();
});
