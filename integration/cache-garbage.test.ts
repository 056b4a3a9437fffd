/**
 * Somebody else writes to the Redis of the cache: entries are damaged, exchanged, replaced by frames that no server would send,
 * while clients read. Every answer is right, what was found is removed, counted and said.
 */
import { createHash } from 'node:crypto';
import { Redis as Client } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { closeClients, connectPg, hasRedis, startRedis, startWeir, until } from './harness/index.ts';
import { useCluster, weirConfig } from './harness/index.ts';
import type { Redis, WeirProcess } from './harness/index.ts';

const cluster = useCluster();
const rows = 40;

/** Stamp text, digest of 16 bytes, u32 key length, key, f64 life, frames. */
function forged(value: Buffer, change: (frames: Buffer) => Buffer): Buffer {
  const stamps = value.indexOf('|', value.indexOf('|') + 1) + 1;
  const start = stamps + 16;
  const frames = start + 4 + value.readUInt32BE(start) + 8;
  const rest = Buffer.concat([value.subarray(start, frames), change(Buffer.from(value.subarray(frames)))]);
  const head = value.subarray(0, stamps);
  const digest = createHash('sha256').update(head).update(rest).digest().subarray(0, 16);
  return Buffer.concat([head, digest, rest]);
}

function flipped(value: Buffer, at: number): Buffer {
  const changed = Buffer.from(value);
  changed[at]! ^= 1;
  return changed;
}

/** As long as a Weir's: what has been damaged already is not always damaged again. */
function isEntry(value: Buffer): boolean {
  const stamps = value.indexOf('|', value.indexOf('|') + 1) + 1;
  if (stamps === 0 || value.length < stamps + 20) return false;
  return value.length > stamps + 16 + 4 + value.readUInt32BE(stamps + 16) + 8 + 40;
}

const damages: readonly [string, (value: Buffer, other: Buffer) => Buffer][] = [
  ['a bit of the last value', (value) => flipped(value, value.length - 22)],
  ['a bit of the digest', (value) => flipped(value, value.indexOf('|', value.indexOf('|') + 1) + 3)],
  ['cut', (value) => value.subarray(0, value.length - 1)],
  ['longer', (value) => Buffer.concat([value, Buffer.from('x')])],
  ["another's entry under these stamps", (value, other) => Buffer.concat([value.subarray(0, 50), other.subarray(50)])],
  ['nothing of a Weir', () => Buffer.from('hello world')],
  ['frames without an end', (value) => forged(value, (frames) => frames.subarray(0, frames.length - 20))],
  [
    'a second ReadyForQuery',
    (value) => forged(value, (frames) => Buffer.concat([frames, Buffer.from('Z\0\0\0\x05I')])),
  ],
  ['a row too many', (value) => forged(value, (frames) => frames.fill('9', frames.length - 8, frames.length - 7))],
  ['no frames', (value) => forged(value, () => Buffer.alloc(0))],
];

describe.skipIf(!hasRedis())('entries overwritten in Redis', () => {
  let redis: Redis;
  let vandal: Client;
  let database: string;
  const weirs: WeirProcess[] = [];

  beforeAll(async () => {
    redis = await startRedis();
    vandal = new Client(redis.url);
    database = await cluster.createDatabase();
    const sql = `SET ROLE app; CREATE TABLE items AS SELECT id, 'item ' || id AS name FROM generate_series(1, ${rows}) id`;
    await cluster.query(sql, { database });
    const cache = { enabled: true, redis: redis.url };
    for (let i = 0; i < 2; i++) weirs.push(await startWeir(weirConfig(cluster, { database, replicas: [] }, { cache })));
  });
  afterAll(async () => {
    await closeClients();
    await Promise.all(weirs.map((weir) => weir.stop()));
    vandal.disconnect();
    await redis.stop();
  });

  async function figure(weir: WeirProcess, name: string): Promise<number> {
    const { body } = await weir.http();
    return Number(new RegExp(`^weir_cache_${name} (\\d+)`, 'm').exec(body)?.[1]);
  }

  const entries = async (): Promise<string[]> => (await vandal.keys('{weir1}:e:*')).sort();

  test('clients get right answers, each damaged entry is removed and counted', async () => {
    const [fills, reads] = weirs as [WeirProcess, WeirProcess];
    const [filler, reader] = [await connectPg(fills.url({ database })), await connectPg(reads.url({ database }))];
    await until(
      'leases',
      async () => (await figure(fills, 'lease_valid')) + (await figure(reads, 'lease_valid')) === 2,
    );
    const ask = async (client: typeof filler, id: number): Promise<unknown> => {
      const simple = `SELECT name FROM items WHERE id = ${id}`;
      const extended = { text: 'SELECT name FROM items WHERE id = $1::int', values: [id] };
      const { rows: got } = await client.query<{ name: string }>(id % 2 === 0 ? simple : extended);
      return got[0]?.name;
    };
    for (let id = 1; id <= rows; id++)
      await until('the entry to be in Redis', async () => {
        expect(await ask(filler, id)).toBe(`item ${id}`);
        return (await entries()).length >= id;
      });

    // Half are damaged, the others are hits: of the second level, since this Weir has never read them.
    const names = await entries();
    expect(names).toHaveLength(rows);
    const values = await Promise.all(names.map((name) => vandal.getBuffer(name)));
    for (let i = 0; i < rows; i += 2) {
      const [, damage] = damages[(i / 2) % damages.length]!;
      await vandal.set(names[i]!, damage(values[i]!, values[(i + 2) % rows]!), 'PX', 60_000);
    }
    for (let id = 1; id <= rows; id++) expect(await ask(reader, id)).toBe(`item ${id}`);
    expect(await figure(reads, 'second_level_hits_total')).toBe(rows / 2);
    expect(await figure(reads, 'malformed_entries_total')).toBe(rows / 2);
    expect(reads.logs.filter(({ event }) => event === 'cache_entry')).toHaveLength(1);
    const { rows: shown } = await (await connectPg(reads.adminUrl())).query<Record<string, string>>('SHOW CACHE');
    expect(Number(shown[0]?.['malformed_entries'])).toBe(rows / 2);

    // Filled anew, and good for the other one.
    for (let id = 1; id <= rows; id++) expect(await ask(reader, id)).toBe(`item ${id}`);
    await until('new entries', async () => (await entries()).length === rows);
    for (let id = 1; id <= rows; id++) expect(await ask(filler, id)).toBe(`item ${id}`);
    expect(await figure(fills, 'malformed_entries_total')).toBe(0);
  });

  /** Damages whatever is there until it is told to stop; says how much. */
  async function vandalise(isOver: () => boolean): Promise<number> {
    let done = 0;
    while (!isOver()) {
      for (const [i, name] of (await entries()).entries()) {
        // Every third is left alone, so that there are hits as well.
        if (i % 3 === 0) continue;
        const value = await vandal.getBuffer(name).catch(() => null);
        if (value === null || !isEntry(value)) continue;
        const [, damage] = damages[done++ % damages.length]!;
        if (done % 11 === 0) await vandal.multi().del(name).rpush(name, 'a list').exec();
        else if (done % 13 === 0) await vandal.persist(name);
        else await vandal.set(name, damage(value, value), 'PX', 60_000);
      }
    }
    return done;
  }

  test('every answer is right while it goes on', async () => {
    const clients = await Promise.all(weirs.map((weir) => connectPg(weir.url({ database }))));
    const sum = async (name: string): Promise<number> =>
      (await Promise.all(weirs.map((weir) => figure(weir, name)))).reduce((a, b) => a + b);
    const names = ['second_level_hits_total', 'malformed_entries_total'];
    const before = await Promise.all(names.map(sum));
    let isOver = false;
    const vandalism = vandalise(() => isOver);
    vandalism.catch(() => undefined);
    const isEnough = async (): Promise<boolean> => {
      const now = await Promise.all(names.map(sum));
      return now.every((count, i) => count >= before[i]! + rows);
    };
    try {
      for (let round = 1; round <= 8 || !(await isEnough()); round++) {
        expect(round).toBeLessThan(200);
        // Another text each time, so that no first level has it; now the one is first, now the other.
        const text = `SELECT name, ${round} AS round FROM items WHERE id = $1::int`;
        for (const client of round % 2 === 0 ? clients : clients.toReversed())
          for (let id = 1; id <= rows; id++) {
            const { rows: got } = await client.query<{ name: string }>({ text, values: [id] });
            expect(got).toEqual([{ name: `item ${id}`, round }]);
          }
      }
    } finally {
      isOver = true;
    }
    expect(await vandalism).toBeGreaterThan(damages.length);
    for (const weir of weirs) {
      expect(weir.isRunning).toBe(true);
      expect(await figure(weir, 'redis_up')).toBe(1);
    }
  });
});
