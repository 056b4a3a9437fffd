/**
 * What it costs that each client keeps its own settings on shared servers, counted on the wire: nothing when the server
 * looks right already, one exchange of its own when it does not.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  fillOtherWorkers,
  startWeir,
  TcpRelay,
  useCluster,
  weirConfig,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const cluster = useCluster();
const queryType = 0x51;
let relay: TcpRelay;
let database: string;

beforeAll(async () => {
  database = await cluster.createDatabase();
  relay = await TcpRelay.start(cluster.primary);
});
afterEach(closeClients);
afterAll(async () => {
  await relay.stop();
  await cluster.dropDatabase(database);
});

/** A Weir with so many servers, to each of which it speaks through the relay in plain; all clients are in one process. */
async function weirWith(servers: number): Promise<WeirProcess> {
  const pool = { default_pool_size: servers, max_pool_size: servers, resize: { enabled: false } };
  const weir = await startWeir(
    weirConfig(cluster, { database, primary: relay, replicas: [] }, { ...pool, tls: { server: { mode: 'disable' } } }),
  );
  await fillOtherWorkers(weir);
  return weir;
}

/** The texts of all Query messages on the connection on which `marker` is asked, from there on. */
function queriesFrom(marker: string): string[] {
  const texts: string[] = [];
  let watched: number | undefined;
  relay.onPassed = (bytes, direction, connection) => {
    if (direction !== 'toServer') return;
    if (watched === undefined && bytes.includes(marker)) watched = connection;
    if (connection !== watched) return;
    for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1)) {
      expect(bytes[at]).toBe(queryType);
      texts.push(bytes.toString('utf8', at + 5, at + bytes.readInt32BE(at + 1)));
    }
  };
  return texts;
}

async function zoned(weir: WeirProcess, zone: string): Promise<pg.Client> {
  const client = await connectPg(weir.url({ database }));
  await client.query(`SET TimeZone = '${zone}'`);
  await client.query("SET lock_timeout = '3s'");
  return client;
}

test('one exchange when another client had the server, none when it looks right', async () => {
  const weir = await weirWith(1);
  try {
    const [tokyo, lima] = [await zoned(weir, 'Asia/Tokyo'), await zoned(weir, 'America/Lima')];
    await lima.query('SELECT 0');
    const said = queriesFrom("SELECT 'begin'");
    await lima.query("SELECT 'begin'");
    await lima.query('SELECT 1');
    await tokyo.query('SELECT 2');
    await tokyo.query('SELECT 3');
    expect(said.filter((text) => text.startsWith('SELECT ')).map((text) => text.slice(-1))).toEqual([
      "'",
      '1',
      '2',
      '3',
    ]);
    expect(said).toHaveLength(5);
    expect(said[2]).toContain('Asia/Tokyo');
  } finally {
    relay.onPassed = undefined;
    await weir.stop();
  }
});

test('with a server for each, clients with different settings find their own again', async () => {
  const weir = await weirWith(2);
  try {
    const clients = [await zoned(weir, 'Asia/Tokyo'), await zoned(weir, 'America/Lima')];
    // Both at once, so that there are two servers.
    await Promise.all(clients.map((client) => client.query('SELECT pg_sleep(0.2)')));
    const pid = async (client: pg.Client): Promise<number> =>
      (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid as number;
    const [first, second] = [await pid(clients[0] as pg.Client), await pid(clients[1] as pg.Client)];
    expect(first).not.toBe(second);
    for (let round = 0; round < 5; round++) {
      expect(await pid(clients[0] as pg.Client)).toBe(first);
      expect(await pid(clients[1] as pg.Client)).toBe(second);
    }
  } finally {
    await weir.stop();
  }
});
