/**
 * A deterministic world around the real cache: one or two Weirs, a primary where commits are visible before they are
 * acknowledged, a replica that applies later, LSN probes, a Redis whose commands and messages take their time. A seed
 * chooses what happens next; what sessions see is checked after every step. One writer per table and growing values
 * make every check a comparison.
 */
import { vi } from 'vitest';
import { createCache } from '../../src/cache/cache.ts';
import type { CacheParts } from '../../src/cache/parts.ts';
import type { Flight, Lookup, ResultCache, SessionFreshness, WriteGuard } from '../../src/cache/types.ts';
import { createTicker } from '../../src/topology/ticker.ts';
import type { ProbeTicker } from '../../src/topology/ticker.ts';
import { createManualClock } from '../../src/util/clock.ts';
import { MemoryRedis } from './memory-redis.ts';
import type { MemoryPort } from './memory-redis.ts';
import { key, prefix, settings } from './support.ts';

export interface Scenario {
  /** 1: without Redis; 2: two Weirs with it. */
  readonly weirs: 1 | 2;
  readonly steps: number;
  /** The second Weir loses its connection to Redis now and then; it does not write then, it only reads. */
  readonly losesReader?: boolean;
  /** Anybody does, also in the middle of a write: only own writes and convergence are promised. */
  readonly losesAnybody?: boolean;
  /** Now and then messages are lost without a trace. */
  readonly dropsMessages?: boolean;
}

/** A rule taken out. Those of the session are played by the simulation, those of the cache by its parts. */
export interface Mutant {
  readonly parts?: Partial<CacheParts>;
  readonly asksForStampsAfterQuery?: boolean;
  readonly neverCloses?: boolean;
  readonly bumpsBeforeCommit?: boolean;
  readonly ignoresNeededLsn?: boolean;
  readonly takesUnknownForRolledBack?: boolean;
}

const tables = ['users', 'orders'] as const;
type Table = (typeof tables)[number];
type Values = Record<Table, number>;
const tagOf: Record<Table, string> = { users: `${prefix}r1`, orders: `${prefix}r2` };
const queries: readonly { sql: string; reads: readonly Table[]; tags: readonly string[] }[] = [
  { sql: 'users 1', reads: ['users'], tags: [tagOf.users] },
  { sql: 'users 2', reads: ['users'], tags: [tagOf.users] },
  { sql: 'orders', reads: ['orders'], tags: [tagOf.orders] },
  { sql: 'both', reads: tables, tags: [tagOf.users, tagOf.orders] },
];

interface Weir {
  readonly cache: ResultCache;
  readonly ticks: ProbeTicker;
  readonly port: MemoryPort | undefined;
  probe: number | undefined;
}

interface Write {
  readonly table: Table;
  readonly value: number;
  readonly guard: WriteGuard | undefined;
  readonly token: string;
  state: 'sent' | 'visible' | 'lost';
}

interface Read {
  readonly query: (typeof queries)[number];
  readonly flight: Flight | undefined;
  readonly onReplica: boolean;
  readonly demand: Values;
  seen: Values | undefined;
}

interface Session {
  readonly name: string;
  readonly weir: Weir;
  readonly zone: string;
  readonly freshness: SessionFreshness;
  readonly written: Values;
  readonly read: Values;
  ownTick: number;
  moveTick: number;
  state: 'idle' | 'waiting' | Read | Write;
}

const zero = (): Values => ({ users: 0, orders: 0 });

export function random(seed: number): () => number {
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** What the worlds came across: a check of nothing would find nothing. */
export interface Tally {
  hits: number;
  hitsSecondLevel: number;
  stores: number;
  writes: number;
}

export const emptyTally = (): Tally => ({ hits: 0, hitsSecondLevel: 0, stores: 0, writes: 0 });

/** Runs one seed; the first thing that was wrong, in words, or undefined. Needs vi.useFakeTimers() for timeouts. */
export async function explore(
  seed: number,
  scenario: Scenario,
  mutant: Mutant = {},
  tally = emptyTally(),
): Promise<string | undefined> {
  const world = new World(seed, scenario, mutant);
  try {
    await world.run();
    world.addTo(tally);
    return world.problem;
  } finally {
    await world.stop();
  }
}

class World {
  problem: string | undefined = undefined;
  private readonly scenario: Scenario;
  private readonly mutant: Mutant;
  private readonly chance: () => number;
  private readonly clock = createManualClock(1_000);
  private readonly redis = new MemoryRedis(this.clock.nowMs);
  private readonly weirs: Weir[] = [];
  private readonly sessions: Session[] = [];
  private readonly primary = zero();
  private readonly replica = zero();
  private readonly acknowledged = zero();
  private readonly counters = zero();
  private readonly aborted = new Set<string>();
  private readonly writing = new Set<Table>();
  private readonly log: { table: Table; value: number }[] = [];
  private applied = 0;
  private guards: number[] = [];

  constructor(seed: number, scenario: Scenario, mutant: Mutant) {
    this.scenario = scenario;
    this.mutant = mutant;
    this.chance = random(seed);
    for (let w = 0; w < scenario.weirs; w++) this.addWeir(w);
    for (let s = 0; s < 5; s++) {
      const weir = this.weirs[s % this.weirs.length]!;
      const freshness = weir.cache.newFreshness();
      this.sessions.push({
        name: `s${s}`,
        weir,
        zone: s < 4 ? 'UTC' : 'Asia/Tokyo',
        freshness,
        written: zero(),
        read: zero(),
        ownTick: 0,
        moveTick: 0,
        state: 'idle',
      });
    }
  }

  async run(): Promise<void> {
    for (const { cache } of this.weirs) await cache.start();
    for (let step = 0; step < this.scenario.steps && this.problem === undefined; step++) {
      const actions = this.actions();
      actions[Math.floor(this.chance() * actions.length)]!();
      await turn();
    }
    if (this.problem === undefined) await this.converge();
  }

  async stop(): Promise<void> {
    for (const { cache } of this.weirs) await cache.stop();
  }

  addTo(tally: Tally): void {
    for (const { cache } of this.weirs) {
      const stats = cache.stats();
      tally.hits += stats.hits;
      tally.hitsSecondLevel += stats.hitsSecondLevel;
      tally.stores += stats.stores;
    }
    tally.writes += this.log.length;
  }

  private addWeir(w: number): void {
    const port = this.scenario.weirs === 1 ? undefined : this.redis.port(`weir${w}`);
    const ticks = createTicker(() => undefined);
    const cache = createCache(
      { settings: settings({ ttlMs: 3_600_000 }), log: () => undefined, now: this.clock.nowMs, instanceId: `weir${w}` },
      { random: () => 0, ...this.mutant.parts, ...(port === undefined ? {} : { transport: port }) },
    );
    cache.attach(prefix, ticks);
    this.weirs.push({ cache, ticks, port, probe: undefined });
    this.guards.push(0);
  }

  /** Everything that can happen next; twice in the list is twice as likely. */
  private actions(): (() => void)[] {
    const list: (() => void)[] = [];
    for (const session of this.sessions) this.sessionActions(session, list);
    if (this.applied < this.log.length) list.push(() => this.apply());
    for (const weir of this.weirs) {
      list.push(() => this.probe(weir));
      if (weir.port !== undefined) this.portActions(weir.port, list);
    }
    if (this.clock.nowMs() < 6_000) list.push(() => this.passTime(this.chance() < 0.02 ? 1_000 : 5));
    return list;
  }

  private sessionActions(session: Session, list: (() => void)[]): void {
    const { state } = session;
    if (state === 'waiting') return;
    if (state === 'idle') {
      list.push(() => this.beginRead(session));
      list.push(() => this.beginRead(session));
      const mayWrite = this.scenario.losesReader !== true || session.weir === this.weirs[0];
      if (mayWrite && this.chance() < 0.4) list.push(() => this.beginWrite(session));
    } else if ('query' in state) {
      if (state.seen === undefined)
        list.push(() => void (state.seen = { ...(state.onReplica ? this.replica : this.primary) }));
      else list.push(() => this.finishRead(session, state));
      if (this.chance() < 0.03) list.push(() => this.dieReading(session, state));
    } else this.writeActions(session, state, list);
  }

  private writeActions(session: Session, write: Write, list: (() => void)[]): void {
    const isAnnounced = this.isAnnounced(session, write);
    if (write.state === 'visible') list.push(() => this.acknowledge(session, write));
    else if (isAnnounced) {
      list.push(() => this.commit(write));
      list.push(() => this.commit(write));
      if (this.chance() < 0.1) list.push(() => this.abort(session, write));
    }
    if (this.chance() < 0.05) list.push(() => this.lose(session, write));
  }

  /** The promise to peers rests on CLOSE being at Redis before the commit is visible; without it, see losesAnybody. */
  private isAnnounced(session: Session, write: Write): boolean {
    if (this.scenario.losesAnybody === true || session.weir.port === undefined) return true;
    if (this.mutant.neverCloses === true || this.mutant.bumpsBeforeCommit === true) return true;
    return this.redis.hasMarker(write.token);
  }

  private portActions(port: MemoryPort, list: (() => void)[]): void {
    // Redis is mostly quicker than people, or else nothing would ever be cached.
    for (let i = 0; i < 5; i++) {
      if (port.commands.length > 0) list.push(() => port.execute());
      if (port.replies.length > 0) list.push(() => port.reply());
      if (i < 2 && port.messages.length > 0) list.push(() => port.deliver());
    }
    if (port.isWaiting) {
      list.push(
        () => port.connect(),
        () => port.connect(),
      );
    }
    if (this.scenario.dropsMessages === true && port.messages.length > 0 && this.chance() < 0.1) {
      list.push(() => port.drop());
    }
    const mayLose =
      this.scenario.losesAnybody === true || (this.scenario.losesReader === true && port === this.weirs[1]?.port);
    if (mayLose && port.isConnected && this.chance() < 0.02) list.push(() => port.disconnect('cut'));
  }

  // Reads.

  private beginRead(session: Session): void {
    const query = queries[Math.floor(this.chance() * queries.length)]!;
    const demand = this.demandOf(session);
    this.received(session, query, demand, this.ask(session, query));
  }

  private ask(session: Session, query: (typeof queries)[number]): Lookup {
    const { cache, ticks } = session.weir;
    return cache.lookup(key(query.sql, { settings: session.zone }), query.tags, Infinity, session.freshness, ticks);
  }

  /** What it must see at least. In one Weir that is everything acknowledged to anybody before it asked. */
  private demandOf(session: Session): Values {
    const demand = zero();
    for (const table of tables) {
      const others = this.scenario.weirs === 1 ? this.acknowledged[table] : 0;
      const before = this.scenario.losesAnybody === true ? 0 : session.read[table];
      demand[table] = Math.max(session.written[table], before, others);
    }
    return demand;
  }

  private received(session: Session, query: (typeof queries)[number], demand: Values, lookup: Lookup): void {
    if (lookup.kind === 'wait') {
      session.state = 'waiting';
      void lookup.result.then((result) => this.received(session, query, demand, result));
    } else if (lookup.kind === 'hit') {
      session.state = 'idle';
      this.check(session, query.sql, demand, parse(lookup), `hit of level ${lookup.level}`);
    } else {
      const onReplica = this.mayUseReplica(session, query.tags, lookup.flight) && this.chance() < 0.7;
      const flight = this.mutant.asksForStampsAfterQuery === true ? undefined : lookup.flight;
      if (flight === undefined) lookup.flight?.abandon();
      session.state = { query, flight, onReplica, demand, seen: undefined };
    }
  }

  private mayUseReplica(session: Session, tags: readonly string[], flight: Flight | undefined): boolean {
    const { ticks, cache } = session.weir;
    const has = (tick: number): boolean => tick === 0 || (ticks.lsnOf(tick) ?? Infinity) <= this.applied;
    if (!has(session.ownTick) || !has(session.moveTick)) return false;
    if (this.mutant.ignoresNeededLsn === true) return true;
    const need = flight === undefined ? 0 : flight.needLsn();
    return has(cache.lastWrite(tags)) && need !== undefined && need <= this.applied;
  }

  private finishRead(session: Session, read: Read): void {
    session.state = 'idle';
    const { weir } = session;
    let { flight } = read;
    if (this.mutant.asksForStampsAfterQuery === true) {
      const late = this.ask(session, read.query);
      if (late.kind === 'miss') flight = late.flight;
    }
    const answer = Buffer.from(JSON.stringify({ zone: session.zone, ...pick(read.seen!, read.query.reads) }));
    if (this.chance() < 0.1) flight?.abandon();
    else flight?.store([answer], answer.length);
    weir.cache.noteRead(read.query.tags, session.freshness);
    if (!read.onReplica) session.moveTick = weir.ticks.next();
    const where = read.onReplica ? 'the replica' : 'the primary';
    this.check(
      session,
      read.query.sql,
      read.demand,
      { zone: session.zone, ...pick(read.seen!, read.query.reads) },
      where,
    );
  }

  private dieReading(session: Session, read: Read): void {
    read.flight?.abandon();
    session.state = 'idle';
  }

  private check(
    session: Session,
    sql: string,
    demand: Values,
    answer: Partial<Values> & { zone: string },
    from: string,
  ): void {
    const say = (what: string): void => void (this.problem ??= `${session.name} "${sql}" from ${from}: ${what}`);
    if (answer.zone !== session.zone) say(`an answer for ${answer.zone}`);
    for (const table of tables) {
      const value = answer[table];
      if (value === undefined) continue;
      if (value < session.written[table] && value < demand[table]) say(`own write ${demand[table]} not seen: ${value}`);
      else if (value < demand[table]) say(`${table} went back to ${value} from ${demand[table]}`);
      if (this.aborted.has(`${table} ${value}`)) say(`${table} ${value} was never committed`);
      session.read[table] = Math.max(session.read[table], value);
    }
  }

  // Writes.

  private beginWrite(session: Session): void {
    const table = tables[Math.floor(this.chance() * tables.length)]!;
    if (this.writing.has(table)) return;
    this.writing.add(table);
    const value = ++this.counters[table];
    const index = this.weirs.indexOf(session.weir);
    const close = (): WriteGuard => {
      this.guards[index]!++;
      return session.weir.cache.close([tagOf[table]], false, prefix, session.freshness);
    };
    const guard = this.mutant.neverCloses === true ? undefined : close();
    if (this.mutant.bumpsBeforeCommit === true) guard?.committed(session.weir.ticks.next());
    session.state = { table, value, guard, token: `weir${index}:${this.guards[index]}`, state: 'sent' };
  }

  private commit(write: Write): void {
    this.primary[write.table] = write.value;
    this.log.push({ table: write.table, value: write.value });
    write.state = 'visible';
  }

  private acknowledge(session: Session, write: Write): void {
    const tick = session.weir.ticks.next();
    const guard = write.guard ?? session.weir.cache.close([tagOf[write.table]], false, prefix, session.freshness);
    guard.committed(tick);
    session.ownTick = tick;
    session.written[write.table] = write.value;
    this.acknowledged[write.table] = write.value;
    this.ended(session, write);
  }

  private abort(session: Session, write: Write): void {
    this.aborted.add(`${write.table} ${write.value}`);
    write.guard?.rolledBack();
    this.ended(session, write);
  }

  /** The connection is lost before the acknowledgement; the commit may be there, still come, or never. */
  private lose(session: Session, write: Write): void {
    if (this.mutant.takesUnknownForRolledBack === true) write.guard?.rolledBack();
    else write.guard?.unknown();
    if (write.state === 'sent') {
      if (this.chance() < 0.5 || !this.isAnnounced(session, write)) this.aborted.add(`${write.table} ${write.value}`);
      else this.commit(write);
    }
    this.ended(session, write);
  }

  private ended(session: Session, write: Write): void {
    this.writing.delete(write.table);
    session.state = 'idle';
  }

  // The rest of the world.

  private apply(): void {
    const { table, value } = this.log[this.applied++]!;
    this.replica[table] = value;
  }

  private probe(weir: Weir): void {
    if (weir.probe === undefined) weir.probe = weir.ticks.begin();
    else {
      weir.ticks.finish(weir.probe, this.log.length);
      weir.probe = undefined;
    }
  }

  private passTime(ms: number): void {
    this.clock.advance(ms);
    vi.advanceTimersByTime(ms);
  }

  private async drain(): Promise<void> {
    for (let round = 0; round < 20; round++) {
      for (const { port } of this.weirs) {
        if (port === undefined) continue;
        if (port.isWaiting) port.connect();
        while (port.commands.length > 0) port.execute();
        while (port.replies.length > 0) port.reply();
        while (port.messages.length > 0) port.deliver();
      }
      await turn();
    }
  }

  /** The worst loss: of everything that a warm reader should hear, with nothing after it by which it would notice. */
  private async loseTheLast(): Promise<void> {
    const [writer, reader] = this.sessions;
    const port = reader?.weir.port;
    const loses = this.scenario.dropsMessages === true || this.scenario.losesReader === true;
    if (writer === undefined || reader === undefined || port === undefined || !loses) return;
    await this.drain();
    for (const query of queries) {
      const result = await this.settled(reader, query);
      const answer = Buffer.from(JSON.stringify({ zone: reader.zone, ...pick(this.primary, query.reads) }));
      if (result.kind === 'miss') result.flight?.store([answer], answer.length);
      await this.drain();
    }
    for (const table of tables) {
      const value = ++this.counters[table];
      const guard = writer.weir.cache.close([tagOf[table]], false, prefix, writer.freshness);
      const write: Write = { table, value, guard, token: '', state: 'sent' };
      this.commit(write);
      this.acknowledge(writer, write);
    }
    while ((writer.weir.port?.commands.length ?? 0) > 0) writer.weir.port?.execute();
    if (this.scenario.dropsMessages === true) port.drop();
    if (this.scenario.losesReader === true) port.disconnect('cut');
  }

  /** The answer of a session that has seen nothing yet, with everything on its way let through. */
  private async settled(session: Session, query: (typeof queries)[number]): Promise<Lookup> {
    const lookup = this.ask({ ...session, freshness: session.weir.cache.newFreshness() }, query);
    if (lookup.kind !== 'wait') return lookup;
    await this.drain();
    return lookup.result;
  }

  /** Everybody finishes, everything arrives, the longest waits end: then no entry may differ from the database. */
  private async converge(): Promise<void> {
    for (const session of this.sessions) {
      if (session.state === 'idle' || session.state === 'waiting') continue;
      if ('query' in session.state) this.dieReading(session, session.state);
      else if (session.state.state === 'visible') this.acknowledge(session, session.state);
      else this.abort(session, session.state);
    }
    await this.loseTheLast();
    for (let second = 0; second < 15; second++) {
      await this.drain();
      this.passTime(1_000);
    }
    await this.drain();
    for (const session of this.sessions) {
      for (const query of queries) {
        const result = await this.settled(session, query);
        if (result.kind === 'miss') result.flight?.abandon();
        if (result.kind !== 'hit') continue;
        const answer = parse(result);
        this.check(session, query.sql, pick(this.primary, query.reads) as Values, answer, 'a cache at rest');
      }
    }
  }
}

const pick = (values: Values, names: readonly Table[]): Partial<Values> =>
  Object.fromEntries(names.map((name) => [name, values[name]]));

function parse(lookup: Extract<Lookup, { kind: 'hit' }>): Partial<Values> & { zone: string } {
  return JSON.parse(Buffer.concat([...lookup.parts]).toString()) as Partial<Values> & { zone: string };
}

/** Lets every promise that can go on go on. */
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
