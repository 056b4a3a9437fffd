/**
 * Two Weirs over one Redis under load, one of them cut off from Redis in every way, and back: no read is older than its level
 * allows, whichever side was asked (docs/consistency.md, "Leases"). Each table has one writer that counts up, so every check
 * is a comparison of two numbers. Of several workers, each is to the others what another Weir is.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { closeClients, connectPg, hasRedis, startRedis, startWeir, until, weirConfig } from './harness/index.ts';
import { TcpRelay, useCluster, workerOf, workersOfTests } from './harness/index.ts';
import type { Redis, WeirProcess } from './harness/index.ts';

const leaseMs = 1_000;
/** Of a replica, and the time that a Weir needs to notice: as soak/world.ts. */
const longestMs = 5_000;
/** What a write waits for at most that cannot be announced: docs/consistency.md. */
const longestHoldMs = 2.2 * leaseMs;
const enough = 40;

type Side = 'cut off' | 'healthy';
type Level = 'session' | 'strict';
type From = 'cache' | 'replica' | 'primary';

/** A table with one row that one session writes through one Weir. */
class Register {
  readonly table: string;
  readonly side: Side;
  /** Strict reads ask Redis, and so tell their Weir of what it has not heard: some tables are left to the others. */
  readonly isForStrict: boolean;
  /** Which of the side's workers its writer is in. */
  worker = 1;
  issued = 0;
  private readonly acks: { readonly value: number; readonly atMs: number }[] = [];

  constructor(table: string, side: Side, isForStrict: boolean) {
    this.table = table;
    this.side = side;
    this.isForStrict = isForStrict;
  }

  acknowledged(value: number): void {
    this.acks.push({ value, atMs: performance.now() });
  }

  /** The newest value that its writer had been told of before. */
  before(timeMs: number): number {
    return this.acks.findLast(({ atMs }) => atMs < timeMs)?.value ?? 0;
  }

  get newest(): number {
    return this.before(Infinity);
  }
}

const registers = (['cut off', 'healthy'] as const).flatMap((side, s) =>
  [0, 1, 2].map((i) => new Register(`t${3 * s + i}`, side, i === 0)),
);

/** One client of one Weir: what it reads never goes back, and is judged by when it was asked for. */
class Session {
  readonly side: Side;
  /** Which of the side's workers it is in. */
  readonly worker: number;
  private readonly level: Level;
  private readonly client: pg.Client;
  private readonly load: Load;
  private readonly seen = new Map<Register, number>();

  private constructor(load: Load, side: Side, level: Level, client: pg.Client) {
    this.load = load;
    this.side = side;
    this.level = level;
    this.client = client;
    this.worker = workerOf(client, workersOfTests() ?? 1);
  }

  static async open(load: Load, side: Side, level: Level): Promise<Session> {
    const client = await connectPg(load.weirs[side].url({ database: load.database }));
    await client.query(`SET weir.consistency = ${level}`);
    return new Session(load, side, level, client);
  }

  async read(register: Register, hint = ''): Promise<number> {
    const { seen, level, side, load } = this;
    const atMs = performance.now();
    const isOfThisWeir = side === register.side && this.worker === register.worker;
    const ofThisWeir = isOfThisWeir || level === 'strict' ? register.newest : 0;
    const owed = Math.max(seen.get(register) ?? 0, ofThisWeir, register.before(atMs - longestMs));
    const owedByCache = Math.max(owed, register.before(atMs - leaseMs));
    const { rows } = await this.client.query<{ n: number }>(`${hint}SELECT n FROM ${register.table}`);
    const shown = await this.client.query<Record<string, string>>('SHOW weir.last_route');
    const route = shown.rows[0]!['weir.last_route']!;
    const from = /^(?:cache|replica|primary)/.exec(route)?.[0] as From;
    const n = rows[0]!.n;
    const least = from === 'cache' ? owedByCache : owed;
    if (n < least || n > register.issued)
      load.anomalies.push(`${load.fault}: ${level} through the ${side} one read ${n} of ${least}: ${route}`);
    seen.set(register, Math.max(n, seen.get(register) ?? 0));
    load.count(side, level, from);
    return n;
  }

  async write(register: Register): Promise<void> {
    const value = ++register.issued;
    await this.client.query(`UPDATE ${register.table} SET n = ${value}`);
    register.acknowledged(value);
    this.seen.set(register, value);
    this.load.written[this.side]++;
  }
}

class Load {
  readonly weirs: Record<Side, WeirProcess>;
  readonly database: string;
  readonly anomalies: string[] = [];
  readonly written: Record<Side, number> = { 'cut off': 0, healthy: 0 };
  fault = 'before';
  private isOver = false;
  private counts = new Map<string, number>();
  private readonly work: Promise<void>[] = [];

  constructor(weirs: Record<Side, WeirProcess>, database: string) {
    this.weirs = weirs;
    this.database = database;
  }

  async begin(): Promise<void> {
    for (const side of ['cut off', 'healthy'] as const) {
      for (const level of ['session', 'strict'] as const) {
        const tables = registers.filter(({ isForStrict }) => isForStrict || level !== 'strict');
        this.run(this.readOn(await Session.open(this, side, level), tables));
        // Who has read something from a database is shown only what Redis has confirmed since: these seldom have.
        const others = tables.filter((one) => one.side !== side);
        this.run(this.readOn(await Session.open(this, side, level), others));
      }
      for (const register of registers.filter((one) => one.side === side)) {
        const writer = await Session.open(this, side, 'session');
        register.worker = writer.worker;
        this.run(this.writeOn(writer, register));
      }
    }
  }

  /** Whatever a session has failed with is an anomaly: a client notices nothing of Redis. */
  async end(): Promise<void> {
    this.isOver = true;
    await Promise.all(this.work);
  }

  private run(work: Promise<void>): void {
    this.work.push(work.catch((error: unknown) => void this.anomalies.push(`${this.fault}: ${String(error)}`)));
  }

  count(side: Side, level: Level, from: From): void {
    for (const key of [side, `${side} ${from}`, `${side} ${level} ${from}`])
      this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }

  /** That many more reads of each kind: by side, level and where they were answered. */
  async untilRead(...keys: readonly string[]): Promise<void> {
    const before = new Map(this.counts);
    const isDone = (key: string): boolean => (this.counts.get(key) ?? 0) >= (before.get(key) ?? 0) + enough;
    await until(`reads by ${keys.join(', ')}`, () => {
      const lacking = keys.filter((key) => !isDone(key));
      if (lacking.length > 0) throw new Error(`not enough of ${lacking.join(', ')}: ${[...this.counts].join(' ')}`);
      return true;
    });
  }

  async untilWritten(...sides: readonly Side[]): Promise<void> {
    const before = { ...this.written };
    await until(`writes through the ${sides.join(', ')}`, () =>
      sides.every((side) => this.written[side] >= before[side] + 6),
    );
  }

  private async readOn(session: Session, tables: readonly Register[]): Promise<void> {
    const isPast = (turn: number): boolean => turn % 17 === 16 && tables.some(({ side }) => side === session.side);
    for (let turn = 0; !this.isOver; turn++) {
      // Now and then past the cache: it must not show less behind that.
      await session.read(tables[turn % tables.length]!, isPast(turn) ? '/* weir: cache=off */ ' : '');
      await sleep(8);
    }
  }

  private async writeOn(session: Session, register: Register): Promise<void> {
    for (let turn = 0; !this.isOver; turn++) {
      await session.write(register);
      await session.read(register);
      await sleep(60 + ((turn * 97) % 300));
    }
  }
}

const faults: readonly (readonly [string, (relay: TcpRelay) => void])[] = [
  ['nothing moves', (relay) => relay.blackhole()],
  [
    'connections are reset and refused',
    (relay) => {
      relay.setMode('refuse');
      relay.reset();
    },
  ],
  ['nothing reaches Redis', (relay) => relay.blackhole({ direction: 'toServer' })],
  ['nothing comes back from Redis', (relay) => relay.blackhole({ direction: 'toClient' })],
  ['only the messages do not arrive', (relay) => relay.blackhole({ saying: 'weir-invalidations' })],
  ['only the commands do not', (relay) => relay.blackhole({ saying: 'weir-commands' })],
];

async function figure(weir: WeirProcess, name: string): Promise<number> {
  const { body } = await weir.http();
  return Number(new RegExp(`^weir_cache_${name} (\\d+)`, 'm').exec(body)?.[1]);
}

/** How long writes were to wait, as the log says, ms. */
const holds = (weir: WeirProcess): number[] =>
  [...weir.output.matchAll(/writes wait (\d+) ms until no other Weir can show cached answers/g)].map(([, ms]) =>
    Number(ms),
  );

describe.skipIf(!hasRedis())('one of two Weirs that cannot reach Redis', () => {
  const cluster = useCluster();
  let redis: Redis;
  let relay: TcpRelay;
  let database: string;
  let weirs: Record<Side, WeirProcess>;
  let load: Load;

  async function weir(port: number): Promise<WeirProcess> {
    const cache = { enabled: true, ttl: '10m', lease: `${leaseMs}ms`, redis: `redis://127.0.0.1:${port}/0` };
    return startWeir(weirConfig(cluster, { database }, { routing: { max_replica_lag: '1s' }, cache }));
  }

  beforeAll(async () => {
    database = await cluster.createDatabase();
    for (const { table } of registers)
      await cluster.query(`SET ROLE app; CREATE TABLE ${table} (n int); INSERT INTO ${table} VALUES (0)`, { database });
    await cluster.waitForReplicas();
    redis = await startRedis();
    relay = await TcpRelay.start(redis);
    weirs = { 'cut off': await weir(relay.port), healthy: await weir(redis.port) };
  });
  afterEach(async () => {
    relay.pass();
    await load.end();
    await closeClients();
  });
  afterAll(async () => {
    await Promise.all(Object.values(weirs).map((one) => one.stop()));
    await relay.stop();
    await redis.stop();
  });

  /** Every level and every place, through both: the caches serve, and so do the replicas. */
  const allServe = (): Promise<void> =>
    load.untilRead(
      ...(['cut off', 'healthy'] as const).flatMap((side) => [
        `${side} session cache`,
        `${side} session replica`,
        `${side} strict cache`,
      ]),
    );

  test.each(faults)('%s: no read is older than its level allows', async (name, cut) => {
    const { 'cut off': cutOff, healthy } = weirs;
    load = new Load(weirs, database);
    await load.begin();
    await allServe();
    const [held, unannounced, losses] = await Promise.all(
      ['held_writes_total', 'unannounced_writes_total', 'redis_losses_total'].map((one) => figure(cutOff, one)),
    );
    const said = holds(cutOff).length;

    load.fault = name;
    cut(relay);
    await load.untilRead('healthy', 'cut off');
    await until('the loss', async () => (await figure(cutOff, 'redis_losses_total')) > losses!);
    await load.untilRead('healthy');
    await until('its leases to be over', async () => (await figure(healthy, 'lease_valid')) === 0);
    await load.untilWritten('cut off', 'healthy');
    await load.untilRead('healthy', 'cut off');
    expect(await figure(cutOff, 'lease_valid')).toBe(0);
    expect(await figure(cutOff, 'held_writes_total')).toBeGreaterThan(held!);
    expect(await figure(cutOff, 'unannounced_writes_total')).toBeGreaterThan(unannounced!);
    expect(holds(cutOff).length).toBeGreaterThan(said);
    expect(Math.max(...holds(cutOff))).toBeLessThanOrEqual(longestHoldMs);
    expect(holds(healthy)).toEqual([]);

    load.fault = `after "${name}"`;
    relay.pass();
    await allServe();
    await load.untilWritten('cut off', 'healthy');
    await load.end();
    expect(load.anomalies).toEqual([]);
    for (const side of ['cut off', 'healthy'] as const) {
      const late = await Session.open(load, side, 'session');
      for (const register of registers)
        await until(`${register.table} to be as written`, async () => (await late.read(register)) === register.newest);
    }
    expect(load.anomalies).toEqual([]);
  });
});
