/**
 * Every kind of answer that may be cached, from a real server: what one Weir has stored in Redis, another gives out byte for byte
 * as PostgreSQL itself would. A check of entries that refuses real answers would switch the second level off and nothing else
 * would notice: so hits are counted.
 */
import type { Socket } from 'node:net';
import { Redis as Client } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Frontend } from '../src/protocol/codes.ts';
import { describe as describeMessage, execute, frame, parse, query, strings, sync } from '../src/protocol/write.ts';
import { closeClients, connectPg, hasRedis, startRedis, startWeir, until } from './harness/index.ts';
import { useCluster, weirConfig } from './harness/index.ts';
import type { Redis, WeirProcess } from './harness/index.ts';

const cluster = useCluster();

interface Statement {
  readonly what: string;
  readonly sql: string;
  /** Texts, null, or a number: four bytes in binary. */
  readonly values: readonly (string | number | null)[];
  readonly columns: number;
}

const statements: readonly Statement[] = [
  { what: 'one row', sql: 'SELECT id, name FROM items WHERE id = $1::int', values: ['7'], columns: 2 },
  { what: 'a binary value', sql: 'SELECT id, name FROM items WHERE id = $1::int', values: [8], columns: 2 },
  {
    what: 'a null among the values',
    sql: 'SELECT id FROM items WHERE id = $1::int OR name = $2::text',
    values: ['3', null],
    columns: 1,
  },
  { what: 'no rows', sql: 'SELECT id, name FROM items WHERE id < 0', values: [], columns: 2 },
  { what: 'nulls and empty texts', sql: 'SELECT id, missing, blank FROM items WHERE id <= 3', values: [], columns: 3 },
  {
    what: 'many rows',
    sql: 'SELECT a.id, b.name FROM items a, items b WHERE b.id <= $1::int',
    values: ['20'],
    columns: 2,
  },
  { what: 'many columns', sql: 'SELECT * FROM wide', values: [], columns: 1_000 },
  { what: 'a large row', sql: "SELECT repeat('x', 200000) || name FROM items WHERE id = 1", values: [], columns: 1 },
  { what: 'no columns', sql: 'SELECT FROM items WHERE id <= 3', values: [], columns: 0 },
  {
    what: 'many types',
    sql: "SELECT id = 1, id::int8, id::numeric / 7, ARRAY[id, NULL], to_jsonb(items), '\\x00ff'::bytea, id::float8 FROM items WHERE id <= 5",
    values: [],
    columns: 7,
  },
  { what: 'TABLE', sql: 'TABLE items', values: [], columns: 4 },
  { what: 'WITH', sql: 'WITH w AS (SELECT id FROM items) SELECT count(*), max(id) FROM w', values: [], columns: 2 },
  { what: 'UNION', sql: 'SELECT id FROM items WHERE id < 3 UNION ALL VALUES (1)', values: [], columns: 1 },
];

function literal(value: string | number | null): string {
  return value === null ? 'NULL' : `'${value}'`;
}

const words = (list: readonly number[]): Buffer =>
  Buffer.concat([list.length, ...list].map((n) => Buffer.from([n >> 8, n & 255])));

function long(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function bind(name: string, values: Statement['values'], formats: readonly number[]): Buffer {
  const parts = values.flatMap((value) => {
    const bytes = value === null ? undefined : typeof value === 'number' ? long(value) : Buffer.from(value);
    return bytes === undefined ? [long(-1)] : [long(bytes.length), bytes];
  });
  const kinds = values.map((value) => (typeof value === 'number' ? 1 : 0));
  const count = Buffer.from([0, values.length]);
  return frame(Frontend.Bind, Buffer.concat([strings('', name), words(kinds), count, ...parts, words(formats)]));
}

const noTypes = Buffer.from([0, 0]);

/** By the letters of the shape: P Parse, S Describe of the statement, B Bind, D Describe of the portal, E Execute. */
function request(shape: string, name: string, { sql, values }: Statement, formats: readonly number[]): Buffer {
  const messages: Readonly<Record<string, () => Buffer>> = {
    P: () => parse(name, Buffer.from(sql), noTypes),
    S: () => describeMessage('S', name),
    B: () => bind(name, values, formats),
    D: () => describeMessage('P', ''),
    E: () => execute(0),
  };
  return Buffer.concat([...[...shape].map((letter) => messages[letter]!()), sync]);
}

/** A client, logged in by node-postgres, that from then on sends and keeps bytes. */
class Bytes {
  private readonly socket: Socket;
  private received: Buffer[] = [];
  private more = (): void => undefined;
  private closed = (): void => undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.removeAllListeners('data');
    socket.once('close', () => this.closed());
    socket.on('data', (chunk: Buffer) => {
      this.received.push(chunk);
      this.more();
    });
  }

  static async connect(url: string): Promise<Bytes> {
    const client = await connectPg(url);
    return new Bytes((client as unknown as { connection: { stream: Socket } }).connection.stream);
  }

  /** The whole answer up to ReadyForQuery. */
  ask(bytes: Buffer): Promise<Buffer> {
    this.received = [];
    return new Promise((resolve, reject) => {
      this.closed = (): void => reject(new Error('the connection was closed'));
      this.more = (): void => {
        const all = Buffer.concat(this.received);
        let at = 0;
        while (at + 5 <= all.length) {
          const end = at + 1 + all.readInt32BE(at + 1);
          if (all[at] === 0x5a && end === all.length) return resolve(all);
          at = end;
        }
      };
      this.socket.write(bytes);
    });
  }
}

describe.skipIf(!hasRedis())('answers in Redis, from a real server', () => {
  let redis: Redis;
  let keys: Client;
  let weirs: WeirProcess[];
  let server: Bytes;
  let fills: Bytes;
  let reads: Bytes;

  beforeAll(async () => {
    redis = await startRedis();
    keys = new Client(redis.url);
    const database = await cluster.createDatabase();
    const columns = "id, 'item ' || id AS name, NULL::text AS missing, ''::text AS blank";
    const wide = Array.from({ length: 1_000 }, (_, i) => `id + ${i} AS "column ${i}"`).join(', ');
    const sql = `SET ROLE app; CREATE TABLE items AS SELECT ${columns} FROM generate_series(1, 40) id;
      CREATE TABLE wide AS SELECT ${wide} FROM generate_series(1, 2) id`;
    await cluster.query(sql, { database });
    const config = weirConfig(cluster, { database, replicas: [] }, { cache: { enabled: true, redis: redis.url } });
    weirs = [await startWeir(config), await startWeir(config)];
    const urls = [cluster.url(cluster.primary, { database }), ...weirs.map((weir) => weir.url({ database }))];
    [server, fills, reads] = (await Promise.all(urls.map((url) => Bytes.connect(url)))) as [Bytes, Bytes, Bytes];
    await until('leases', async () => {
      const found = await Promise.all(weirs.map((weir) => figure(weir, 'lease_valid')));
      return found.every((value) => value === 1);
    });
  });
  afterAll(async () => {
    await closeClients();
    await Promise.all(weirs.map((weir) => weir.stop()));
    keys.disconnect();
    await redis.stop();
  });

  async function figure(weir: WeirProcess, name: string): Promise<number> {
    const { body } = await weir.http();
    return Number(new RegExp(`^weir_cache_${name} (\\d+)`, 'm').exec(body)?.[1]);
  }

  const entries = async (): Promise<number> => (await keys.keys('{weir1}:e:*')).length;
  const everybody = (): Bytes[] => [server, fills, reads];

  /** Asked of PostgreSQL, then of a Weir that stores it, then of one that has never seen it. */
  async function walk(bytes: Buffer, what: string): Promise<void> {
    const [, reader] = weirs as [WeirProcess, WeirProcess];
    const [hits, before] = [await figure(reader, 'second_level_hits_total'), await entries()];
    const right = await server.ask(bytes);
    expect(right.includes(Buffer.from('SELECT ')), `${what}: ${right.toString('latin1', 0, 200)}`).toBe(true);
    const stored = await fills.ask(bytes);
    await until(`${what}: the entry in Redis`, async () => (await entries()) === before + 1);
    const shared = await reads.ask(bytes);
    expect(await figure(reader, 'second_level_hits_total'), what).toBe(hits + 1);
    expect(stored.equals(right), `${what}: what it was filled with`).toBe(true);
    expect(shared.equals(right), `${what}: what came out of Redis`).toBe(true);
  }

  test('simple queries', async () => {
    for (const { what, sql, values } of statements) {
      const text = sql.replace(/\$(\d)/g, (_all, n: string) => literal(values[Number(n) - 1]!));
      await walk(query(text), what);
    }
  });

  const mixed = (columns: number): number[] => Array.from({ length: columns }, (_, i) => (i + 1) % 2);

  test.each(['PBE', 'PBDE', 'PSBE', 'PSBDE', 'BE', 'BDE'])('%s, in every format', async (shape) => {
    for (const [i, statement] of statements.entries()) {
      const formats = [[], [0], [1], ...(statement.columns < 2 ? [] : [mixed(statement.columns)])];
      const name = `${shape} ${i}`;
      // Described, as drivers do it, or not.
      const before = i % 2 === 0 ? 'P' : 'PS';
      if (!shape.startsWith('P'))
        for (const client of everybody()) await client.ask(request(before, name, statement, []));
      for (const asked of formats) {
        const bytes = request(shape, shape.startsWith('P') ? '' : name, statement, asked);
        await walk(bytes, `${statement.what}, formats ${asked.slice(0, 4).join()}`);
      }
    }
  });

  test('nothing of it was taken for damaged', async () => {
    for (const weir of weirs) expect(await figure(weir, 'malformed_entries_total')).toBe(0);
  });
});
