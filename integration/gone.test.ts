/**
 * Whoever is gone is noticed, against real PostgreSQL: whatever it was doing, whether or not Weir reads its socket at that
 * moment, by an end or a reset, on every kind of socket. What it began is stopped and its place is free.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { query, sslRequest, startupMessage, sync } from '../src/protocol/write.ts';
import { bind, copyData, execute, parseText } from '../test/fuzz/frames.ts';
import {
  CertificateAuthority,
  closeClients,
  connectPg,
  currentRun,
  startWeir,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const cluster = useCluster();
let sockets: string;
let database: string;
/** Has servers for everybody. */
let wide: WeirProcess;
/** Has one. */
let narrow: WeirProcess;
const open: Socket[] = [];

beforeAll(async () => {
  database = await cluster.createDatabase();
  const dir = mkdtempSync(join(currentRun().dir, 'tls-'));
  sockets = mkdtempSync(join(currentRun().dir, 'sockets-'));
  const { cert, key } = new CertificateAuthority().server();
  writeFileSync(join(dir, 'cert.pem'), cert);
  writeFileSync(join(dir, 'key.pem'), key, { mode: 0o600 });
  const start = (size: number): Promise<WeirProcess> =>
    startWeir(
      weirConfig(
        cluster,
        { database, replicas: [] },
        {
          auth: { type: 'trust' },
          tls: { client: { mode: 'prefer', cert: join(dir, 'cert.pem'), key: join(dir, 'key.pem') } },
          unix_socket_dir: sockets,
          default_pool_size: size,
          max_pool_size: size,
          query_wait_timeout: '10m',
          resize: { enabled: false },
        },
      ),
    );
  [wide, narrow] = await Promise.all([start(20), start(1)]);
  await cluster.query(
    `CREATE TABLE line (v text); ALTER TABLE line OWNER TO app;
     CREATE TABLE slow (v text); ALTER TABLE slow OWNER TO app;
     CREATE FUNCTION sleeps() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(600); RETURN new; END';
     CREATE TRIGGER sleeps BEFORE INSERT ON slow FOR EACH ROW EXECUTE FUNCTION sleeps()`,
    { database },
  );
});
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await closeClients();
});
afterAll(async () => {
  // Both throw if the watchdog had to notice somebody.
  await Promise.all([wide.stop(), narrow.stop()]);
  await cluster.dropDatabase(database);
});

type Way = 'TCP' | 'TLS' | 'a Unix socket';
type Ending = 'an end' | 'a reset';

interface Peer {
  /** What is spoken on. */
  readonly stream: Socket;
  leave(ending: Ending): void;
}

async function connect(weir: WeirProcess, way: Way, name: string): Promise<Peer> {
  const plain =
    way === 'a Unix socket' ? connectTcp(join(sockets, `.s.PGSQL.${weir.port}`)) : connectTcp(weir.port, weir.host);
  open.push(plain);
  plain.on('error', () => undefined);
  let stream = plain;
  if (way === 'TLS') {
    plain.write(sslRequest);
    await new Promise((resolve) => plain.once('data', resolve));
    stream = connectTls({ socket: plain, rejectUnauthorized: false });
    stream.on('error', () => undefined);
  }
  const ready = new Promise<void>((resolve) => {
    let heard = Buffer.alloc(0);
    stream.on('data', (chunk: Buffer) => {
      if (heard.length < 10_000) heard = Buffer.concat([heard, chunk]);
      if (heard.includes(Buffer.from('Z\0\0\0\x05I'))) resolve();
    });
  });
  stream.write(startupMessage({ user: users.app, database, application_name: name }));
  await ready;
  return {
    stream,
    leave: (ending) => {
      if (ending === 'a reset') plain.resetAndDestroy();
      else plain.destroy();
    },
  };
}

interface Situation {
  readonly name: string;
  /** In SHOW CLIENTS, when it has got there. */
  readonly state: string;
  readonly says: readonly Buffer[];
  readonly isDeaf?: boolean;
}

/** Kept in the queues of the kernel, but more than Weir keeps. */
const muchAhead = Array.from({ length: 100 }, () => query(`SELECT '${'x'.repeat(10_000)}'`));
/** More than all queues take. */
const hugeAhead = Array.from({ length: 40 }, () => query(`SELECT '${'x'.repeat(1_000_000)}'`));
const sleep = (name: string): Buffer => query(`/* weir: route=primary */ SELECT pg_sleep(600) /* ${name} */`);
const rows = (name: string): Buffer =>
  query(`SELECT repeat('x', 1000) FROM generate_series(1, 10000000) /* ${name} */`);
const half = (message: Buffer): Buffer => message.subarray(0, message.length >> 1);

const served: readonly Situation[] = [
  { name: 'runs', state: 'active', says: [sleep('runs')] },
  { name: 'runs half', state: 'active', says: [sleep('runs half'), half(query('SELECT 1'))] },
  { name: 'runs much', state: 'active', says: [sleep('runs much'), ...muchAhead] },
  { name: 'runs huge', state: 'active', says: [sleep('runs huge'), ...hugeAhead] },
  {
    name: 'batch',
    state: 'active',
    says: [parseText('', 'SELECT pg_sleep(600) /* batch */'), bind('', ''), execute(''), sync],
  },
  {
    name: 'batch huge',
    state: 'active',
    says: [
      parseText('', 'SELECT pg_sleep(600) /* batch huge */'),
      bind('', ''),
      execute(''),
      ...Array.from({ length: 40 }, () => [
        parseText('', `SELECT '${'x'.repeat(1_000_000)}'`),
        bind('', ''),
        execute(''),
      ]).flat(),
    ],
  },
  { name: 'copies', state: 'active', says: [query('COPY line FROM STDIN /* copies */'), copyData(Buffer.from('1\n'))] },
  {
    name: 'copies half',
    state: 'active',
    says: [query('COPY line FROM STDIN /* copies half */'), half(copyData(Buffer.alloc(1_000_000, '1\n')))],
  },
  {
    name: 'copies huge',
    state: 'active',
    says: [
      query('COPY slow FROM STDIN /* copies huge */'),
      ...Array.from({ length: 40 }, () => copyData(Buffer.alloc(1_000_000, '1\n'))),
    ],
  },
  { name: 'deaf', state: 'active', says: [rows('deaf')], isDeaf: true },
  { name: 'deaf huge', state: 'active', says: [rows('deaf huge'), ...hugeAhead], isDeaf: true },
  {
    name: 'half',
    state: 'active',
    says: [query('BEGIN; SELECT pg_backend_pid() /* half */'), half(query('SELECT 1'))],
  },
  {
    name: 'half huge',
    state: 'active',
    says: [query('BEGIN; SELECT pg_backend_pid() /* half huge */'), half(query(`SELECT '${'x'.repeat(3_000_000)}'`))],
  },
];

const unserved: readonly Situation[] = [
  { name: 'waits', state: 'waiting', says: [sleep('waits')] },
  { name: 'waits half', state: 'waiting', says: [sleep('waits half'), half(query('SELECT 1'))] },
  { name: 'waits much', state: 'waiting', says: [sleep('waits much'), ...muchAhead] },
  { name: 'waits huge', state: 'waiting', says: [sleep('waits huge'), ...hugeAhead] },
  {
    name: 'waits batch huge',
    state: 'waiting',
    says: [
      parseText('', `SELECT '${'x'.repeat(3_000_000)}'`),
      bind('', '', Buffer.alloc(30_000_000, 'v')),
      execute(''),
      sync,
    ],
  },
];

/** Resolves when as much is on its way as the queues take. */
async function say(peer: Peer, { name, says, isDeaf = false }: Situation): Promise<void> {
  if (isDeaf) peer.stream.pause();
  for (const message of says) peer.stream.write(message);
  let before = -1;
  await until(
    `what ${name} says to be on its way`,
    () => {
      const left = peer.stream.writableLength;
      const isStill = left === before;
      before = left;
      return isStill;
    },
    { intervalMs: 300 },
  );
}

const ways: readonly [Way, Ending][] = [
  ['TCP', 'an end'],
  ['TCP', 'a reset'],
  ['TLS', 'an end'],
  ['TLS', 'a reset'],
  ['a Unix socket', 'an end'],
];

describe.each(ways)('by %s, with %s', (way, ending) => {
  test.each([
    ['who has a server', served],
    ['who waits for one', unserved],
  ])('the end of one %s is noticed', { timeout: 300_000 }, async (_what, situations) => {
    const weir = situations === served ? wide : narrow;
    const console = await connectPg(weir.adminUrl());
    const states = async (): Promise<Map<string, string>> => {
      const shown = await console.query<{ application_name: string; state: string }>('SHOW CLIENTS');
      return new Map(shown.rows.map((row) => [row.application_name, row.state]));
    };
    // Logging in may need the server, too.
    const peers = await Promise.all(situations.map(({ name }) => connect(weir, way, name)));
    const holder = situations === unserved ? await connectPg(weir.url({ database })) : undefined;
    // BEGIN alone needs none.
    await holder?.query('BEGIN; LOCK TABLE line IN ACCESS SHARE MODE');
    await Promise.all(situations.map((situation, i) => say(peers[i] as Peer, situation)));
    for (const { name, state } of situations)
      await until(`${name} to be ${state}`, async () => (await states()).get(name) === state).catch(async () =>
        expect([...(await states())]).toContainEqual([name, state]),
      );
    for (const peer of peers) peer.leave(ending);

    const left = async (): Promise<string[]> => {
      const there = await states();
      return situations.map(({ name }) => name).filter((name) => there.has(name));
    };
    await until('all of them to be gone', async () => (await left()).length === 0).catch(async () =>
      expect(await left()).toEqual([]),
    );
    const isBusy = `SELECT query FROM pg_stat_activity WHERE datname = $1 AND state <> 'idle' AND query ~ $2`;
    const marks = `/[*] (${situations.map(({ name }) => name).join('|')}) [*]/`;
    await until(
      'what they began to be stopped',
      async () => (await cluster.query(isBusy, { values: [database, marks] })).length === 0,
    );
    await holder?.query('COMMIT');
    // The one server serves whoever comes next, and nothing of it happened.
    const next = holder ?? (await connectPg(weir.url({ database })));
    const { rows: lines } = await next.query('SELECT count(*)::int AS n FROM line');
    expect(lines).toEqual([{ n: 0 }]);
  });
});
