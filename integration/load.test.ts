/**
 * Much of everything: values of a gigabyte, clients that do not read, ten thousand clients on twenty servers. Weir runs
 * as a process of its own; what it takes is asked of its own /metrics.
 */
import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { frame, query, sync } from '../src/protocol/write.ts';
import { fillOtherWorkers, RawClient, startWeir, until, useCluster, users, weirConfig } from './harness/index.ts';
import type { WeirConfig, WeirProcess } from './harness/index.ts';

const MB = 1024 * 1024;
let database: string;
let weir: WeirProcess;
let raw: RawClient[] = [];

beforeAll(async () => {
  database = await useCluster().createDatabase();
});
afterEach(async () => {
  for (const client of raw) client.end();
  raw = [];
  await weir.stop();
});
afterAll(() => useCluster().dropDatabase(database));

async function start(more: WeirConfig): Promise<void> {
  const base = {
    auth: { type: 'trust' },
    resize: { enabled: false },
    cache: { enabled: false },
    log: { level: 'error' },
  };
  weir = await startWeir(weirConfig(useCluster(), { database, replicas: [] }, { ...base, ...more }));
}

async function connectRaw(): Promise<RawClient> {
  const client = await RawClient.connect(weir, { user: users.app, database });
  raw.push(client);
  return client;
}

async function memory(): Promise<number> {
  const { body } = await weir.http();
  const [, value] = /^weir_process_resident_memory_bytes(?:\{.*\})? (\S+)$/m.exec(body) ?? [];
  if (value === undefined) throw new Error(`no memory in\n${body.slice(0, 2000)}`);
  return Number(value);
}

/** By how much Weir's memory grew at most while `work` was done. */
async function growth(work: () => Promise<void>): Promise<number> {
  const before = await memory();
  let most = before;
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      most = Math.max(most, await memory());
      await sleep(50);
    }
  })();
  watching.catch(() => undefined);
  try {
    await work();
  } finally {
    isOver = true;
  }
  await watching;
  return most - before;
}

/** What the server connections of this database are doing, but those of the topology. */
async function backends(): Promise<{ state: string; wait: string | null }[]> {
  return useCluster().query(
    `SELECT state, wait_event AS wait FROM pg_stat_activity
     WHERE datname = $1 AND usename = $2 AND application_name <> 'weir monitor'`,
    { values: [database, users.app] },
  );
}

describe('a value that is larger than memory should be', { timeout: 600_000 }, () => {
  test('passes to the client with flat memory', async () => {
    await start({ default_pool_size: 2 });
    const client = await connectRaw();
    await client.ask("SELECT repeat('x', 10000000)");
    const size = 600_000_000;
    const before = client.receivedBytes;
    const grown = await growth(async () => {
      await client.ask(`SELECT repeat('x', ${size})`);
    });
    expect(client.receivedBytes - before).toBeGreaterThan(size);
    expect(client.receivedBytes - before).toBeLessThan(size + 1_000);
    expect(grown).toBeLessThan(100 * MB);
  });

  test('passes to the server with flat memory: as a parameter, and as COPY data', async () => {
    await start({ default_pool_size: 2 });
    const client = await connectRaw();
    const chunk = Buffer.alloc(MB, 'x');
    const chunks = 300;
    const grown = await growth(async () => {
      const answer = client.next();
      const text = (value: string): Buffer => Buffer.from(`${value}\0`);
      const noTypes = Buffer.from([0, 0]);
      await client.send(frame(0x50, Buffer.concat([text(''), text('SELECT length($1::text)'), noTypes])));
      const head = Buffer.concat([text(''), text(''), Buffer.from([0, 0, 0, 1]), int32(chunks * chunk.length)]);
      const tail = Buffer.from([0, 0]);
      await client.send(
        Buffer.concat([Buffer.from('B'), int32(4 + head.length + chunks * chunk.length + tail.length), head]),
      );
      for (let i = 0; i < chunks; i++) await client.send(chunk);
      await client.send(Buffer.concat([tail, frame(0x45, Buffer.from([0, 0, 0, 0, 0])), sync]));
      expect((await answer).values).toEqual([String(chunks * chunk.length)]);

      await client.ask('CREATE UNLOGGED TABLE large (value text)');
      const copied = client.next();
      await client.send(query('COPY large FROM STDIN'));
      const row = frame(0x64, Buffer.concat([chunk, Buffer.from('\n')]));
      for (let i = 0; i < chunks; i++) await client.send(row);
      await client.send(frame(0x63));
      expect(await copied).toEqual({ values: [], sqlstate: undefined });
      expect((await client.ask('SELECT sum(length(value)) FROM large')).values).toEqual([
        String(chunks * chunk.length),
      ]);
    });
    expect(grown).toBeLessThan(100 * MB);
  });
});

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

describe('a client that does not read', () => {
  test('slows its server down, not Weir, and gets everything when it reads on', async () => {
    await start({ default_pool_size: 2 });
    const client = await connectRaw();
    await client.ask("SELECT repeat('x', 10000000)");
    const rows = 300_000;
    const before = client.receivedBytes;
    const answer = client.next();
    const grown = await growth(async () => {
      client.socket.write(query(`SELECT repeat('x', 1000) FROM generate_series(1, ${rows})`));
      client.socket.pause();
      await until('the server to wait for its client', async () =>
        (await backends()).some(({ state, wait }) => state === 'active' && wait === 'ClientWrite'),
      );
      // Others are served meanwhile.
      const other = await connectRaw();
      for (let i = 0; i < 50; i++) expect((await other.ask(`SELECT ${i}`)).values).toEqual([String(i)]);
    });
    expect(grown).toBeLessThan(80 * MB);
    client.socket.resume();
    await answer;
    expect(client.receivedBytes - before).toBeGreaterThan(rows * 1_000);
    expect((await client.ask('SELECT 7')).values).toEqual(['7']);
  });

  test('but goes on asking holds up nobody who uses the same server, and is not read from any more', async () => {
    await start({ default_pool_size: 1, max_pool_size: 1 });
    // Where the server goes from worker to worker, several of its questions are sent at once.
    await fillOtherWorkers(weir);
    const client = await connectRaw();
    const other = await connectRaw();
    const questions = 3_000;
    const before = { bytes: client.receivedBytes, readies: client.readies };
    client.socket.pause();
    for (let i = 0; i < questions; i++) {
      client.socket.write(query(`SELECT repeat('x', 7000) || ${i}`));
      expect(await other.ask(`SELECT ${i}`)).toEqual({ values: [String(i)], sqlstate: undefined });
    }
    const { body } = await weir.http();
    const [, answered] = /^weir_queries_total\{.*route="primary".*result="ok".*\} (\d+)$/m.exec(body) ?? [];
    expect(Number(answered)).toBeLessThan(2 * questions);
    client.socket.resume();
    await until('all answers', () => client.readies - before.readies === questions);
    expect(client.receivedBytes - before.bytes).toBeGreaterThan(questions * 7_000);
  });

  test('and leaves is cleared away, with its statement', async () => {
    await start({ default_pool_size: 1 });
    const client = await connectRaw();
    client.socket.write(query('SELECT generate_series(1, 1000000000)'));
    client.socket.pause();
    await until('the server to wait for its client', async () =>
      (await backends()).some(({ wait }) => wait === 'ClientWrite'),
    );
    client.end();
    const other = await connectRaw();
    expect((await other.ask('SELECT 1')).values).toEqual(['1']);
    await until('the statement to end', async () => (await backends()).every(({ state }) => state === 'idle'));
  });
});

describe('very many clients', () => {
  /** This process and Weir each need a socket for every client. */
  function affordable(wanted: number): number {
    const limit = Number(spawnSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).stdout) || Infinity;
    if (limit >= wanted + 500) return wanted;
    process.stderr.write(
      `only ${limit} open files are allowed here (ulimit -n): ${limit - 500} clients, not ${wanted}\n`,
    );
    return limit - 500;
  }

  async function crowd(count: number): Promise<RawClient[]> {
    const clients: RawClient[] = [];
    while (clients.length < count) {
      const some = Math.min(250, count - clients.length);
      clients.push(...(await Promise.all(Array.from({ length: some }, connectRaw))));
    }
    return clients;
  }

  test('ten thousand on twenty servers: each asks and is answered, and none costs much while idle', async () => {
    const count = affordable(10_000);
    await start({ default_pool_size: 20, max_pool_size: 20, max_client_conn: 15_000 });
    await crowd(200);
    const before = await memory();
    const clients = await crowd(count - 200);
    const each = ((await memory()) - before) / clients.length;
    const answers = await Promise.all(clients.map((client, i) => client.ask(`SELECT ${i}`)));
    expect(answers.filter(({ values, sqlstate }, i) => sqlstate !== undefined || values[0] !== String(i))).toEqual([]);
    expect((await backends()).length).toBeLessThanOrEqual(20);
    // What it is really is a figure of the bench; this is what nobody should ever see.
    expect(each).toBeLessThan(25 * 1024);
  });
});
