/**
 * Replication connections of which one end is gone while Weir does not read it, against real PostgreSQL: it is noticed, both
 * ends leave the lists and their places are free.
 */
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { query, startupMessage } from '../src/protocol/write.ts';
import {
  TcpRelay,
  closeClients,
  connectPg,
  startCluster,
  startWeir,
  until,
  users,
  weirConfig,
} from './harness/index.ts';
import type { Cluster, WeirProcess } from './harness/index.ts';

let cluster: Cluster;
let relay: TcpRelay;
let weir: WeirProcess;
const sockets: Socket[] = [];

beforeAll(async () => {
  cluster = await startCluster({ replicas: 0 });
});
beforeEach(async () => {
  relay = await TcpRelay.start(cluster.primary);
  weir = await startWeir(
    weirConfig(
      cluster,
      { serverUser: null, primary: relay, replicas: [] },
      { auth: { type: 'trust', user: users.monitor }, shutdown_timeout: '1s' },
    ),
  );
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  cluster.primary.thaw();
  relay.pass();
  await closeClients();
  await weir.stop();
  await relay.stop();
});
afterAll(() => cluster.stop());

interface Peer {
  readonly socket: Socket;
  heard(): string;
  isEnded(): boolean;
}

/** Logged in. */
async function walk(replication: string): Promise<Peer> {
  const socket = connect(weir.port, weir.host);
  sockets.push(socket);
  let heard = '';
  let isEnded = false;
  socket.on('error', () => undefined).on('close', () => (isEnded = true));
  socket.on('data', (chunk: Buffer) => {
    if (heard.length < 100_000) heard += chunk.toString('latin1');
  });
  socket.write(startupMessage({ user: users.replicator, database: 'postgres', replication }));
  await until('the log-in', () => heard.endsWith('Z\0\0\0\x05I'));
  return { socket, heard: () => heard, isEnded: () => isEnded };
}

/** 64 MB of WAL. */
const writes = `SELECT pg_logical_emit_message(true, 'weir', repeat('x', 1000000)) FROM generate_series(1, 64)`;

/** How many of them an operator sees. */
async function listed(): Promise<{ clients: number; servers: number }> {
  const console = await connectPg(weir.adminUrl());
  const of = async (sql: string): Promise<number> => {
    const { rows } = await console.query<{ user: string }>(sql);
    return rows.filter(({ user }) => user === users.replicator).length;
  };
  const counts = { clients: await of('SHOW CLIENTS'), servers: await of('SHOW SERVERS') };
  await console.end();
  return counts;
}

/** One that streams, reads no more, and has more to read than all queues take: each socket's may grow to tens of MB. */
async function deaf(): Promise<Peer> {
  const peer = await walk('true');
  // What is inserted may not be flushed yet, and a walsender does not begin ahead of that.
  const [at] = await cluster.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn() AS lsn');
  peer.socket.write(query(`START_REPLICATION ${at!.lsn}`));
  await until('the stream', () => peer.heard().includes('W\0\0\0\x07'));
  peer.socket.pause();
  let before = '';
  await until(
    'the walsender to be stuck',
    async () => {
      const [row] = await cluster.query<{ sent: string; left: boolean }>(
        `SELECT sent_lsn::text AS sent, sent_lsn < pg_current_wal_flush_lsn() AS left FROM pg_stat_replication
         WHERE usename = '${users.replicator}'`,
      );
      if (row?.left === false) await cluster.query(writes);
      const isStuck = row !== undefined && row.left && row.sent === before;
      before = row?.sent ?? '';
      return isStuck;
    },
    { intervalMs: 700 },
  );
  expect(await listed()).toEqual({ clients: 1, servers: 1 });
  return peer;
}

describe('the server, while the client does not read', () => {
  test.each<[string, () => unknown]>([
    ['has reset its connection', () => relay.reset()],
    ['is behind a pulled cable', () => relay.blackhole()],
    ['is frozen', () => cluster.primary.freeze()],
  ])('%s', { timeout: 200_000 }, async (_what, happens) => {
    const peer = await deaf();
    await happens();
    await until('both to leave the lists', async () => (await listed()).servers === 0);
    expect(await listed()).toEqual({ clients: 0, servers: 0 });
    peer.socket.resume();
    await until('the client to be ended', () => peer.isEnded());
    expect(weir.logs.filter(({ event }) => event === 'replication_ended')).toHaveLength(1);
  });

  test('is there: nobody is ended, and everything comes', { timeout: 200_000 }, async () => {
    const peer = await deaf();
    const sinceMs = performance.now();
    // Longer than it takes to notice a server that is gone.
    await until('some time to pass', () => performance.now() - sinceMs > 15_000);
    expect(await listed()).toEqual({ clients: 1, servers: 1 });
    let received = 0;
    peer.socket.on('data', (chunk: Buffer) => (received += chunk.length)).resume();
    await until('all of it', () => received > 60_000_000);
  });
});

describe('the client, while it is not read', () => {
  test.each<[string, (socket: Socket) => unknown]>([
    ['has ended its connection', (socket) => socket.destroy()],
    ['has reset its connection', (socket) => socket.resetAndDestroy()],
  ])('%s', { timeout: 200_000 }, async (_what, leaves) => {
    const peer = await walk('database');
    peer.socket.write(query('SELECT pg_sleep(600)'));
    let before = 0;
    await until(
      'the queues to be full',
      () => {
        if (peer.socket.writableLength === 0) {
          for (let i = 0; i < 40; i++) peer.socket.write(query(`SELECT '${'x'.repeat(1_000_000)}'`));
        }
        const isFull = peer.socket.writableLength === before && before > 0;
        before = peer.socket.writableLength;
        return isFull;
      },
      { intervalMs: 700 },
    );
    expect(await listed()).toEqual({ clients: 1, servers: 1 });
    leaves(peer.socket);
    await until('both to leave the lists', async () => (await listed()).clients === 0);
    const mine = `SELECT 1 FROM pg_stat_activity WHERE usename = '${users.replicator}'`;
    await until('its process to end', async () => (await cluster.query(mine)).length === 0);
  });
});
