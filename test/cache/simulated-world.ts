/**
 * One or two Weirs, or three workers of one Weir, with the real cache around a simulated database: a primary where commits are visible before they are
 * acknowledged, a replica that applies later, LSN probes, a Redis whose commands and messages take their time.
 * Each method is one step of somebody; every answer that a session gets is checked. simulation.ts chooses the steps.
 */
import { vi } from 'vitest';
import { createCache } from '../../src/cache/cache.ts';
import type { SharedMemoryState } from '../../src/cache/shared-memory.ts';
import type { Flight, Lookup, WriteGuard } from '../../src/cache/types.ts';
import { createTicker } from '../../src/topology/ticker.ts';
import { createManualClock } from '../../src/util/clock.ts';
import { answerOf, textIn } from './answers.ts';
import { Channel } from '../../src/workers/channel.ts';
import type { SupervisorTopics, WorkerTopics } from '../../src/workers/messages.ts';
import { StampTransport } from '../../src/workers/stamp-transport.ts';
import { Stamps } from '../../src/workers/stamps.ts';
import { StepWire } from '../workers/step-wire.ts';
import { MemoryRedis } from './memory-redis.ts';
import { Backends } from './simulated-backends.ts';
import { random, tables, tagOf, queries, zero } from './simulation-types.ts';
import type { Acknowledged, Mutant, Query, Read, Scenario, Session } from './simulation-types.ts';
import type { Table, Values, Weir, Write } from './simulation-types.ts';
import { key, prefix, settings } from './support.ts';

/** As the settings of the tests have it. */
const leaseMs = 1_000;

export class World {
  problem: string | undefined = undefined;
  protected readonly scenario: Scenario;
  protected readonly mutant: Mutant;
  protected readonly chance: () => number;
  protected readonly clock = createManualClock(1_000);
  protected readonly redis = new MemoryRedis(this.clock.nowMs);
  protected stamps = this.makeStamps();
  protected readonly backends = new Backends();
  protected readonly weirs: Weir[] = [];
  private made = 0;
  protected kills = 0;
  protected inherited = 0;
  protected readonly sessions: Session[] = [];
  protected readonly primary = zero();
  protected readonly replica = zero();
  protected readonly acknowledged = zero();
  protected readonly acks: Acknowledged[] = [];
  protected readonly counters = zero();
  protected readonly aborted = new Set<string>();
  protected readonly writing = new Set<Table>();
  protected readonly log: { table: Table; value: number }[] = [];
  protected applied = 0;

  constructor(seed: number, scenario: Scenario, mutant: Mutant) {
    this.scenario = scenario;
    this.mutant = mutant;
    this.chance = random(seed);
    for (let w = 0; w < scenario.weirs; w++) this.addWeir(w);
    for (let s = 0; s < 5; s++) this.sessions.push(this.newSession(s, this.weirs[s % this.weirs.length]!));
  }

  protected newSession(s: number, weir: Weir): Session {
    const freshness = weir.cache.newFreshness();
    return {
      isGone: false,
      name: `s${s}`,
      weir,
      zone: s < 4 ? 'UTC' : 'Asia/Tokyo',
      freshness,
      written: zero(),
      read: zero(),
      ownTick: 0,
      moveTick: 0,
      // They ask Redis each time, and so bring the stamps up to date for all.
      isStrict: s > 2 && this.scenario.mutesMessages !== true,
      state: 'idle',
    };
  }

  protected addWeir(w: number): Weir {
    const instanceId = `weir${this.made++}`;
    const port = this.scenario.weirs === 2 ? this.redis.port(instanceId) : undefined;
    const worker = this.scenario.weirs === 3 ? this.makeWorker(instanceId) : undefined;
    const transport = port ?? worker?.transport;
    const ticks = createTicker(() => undefined);
    const log = (_level: string, event: string): void => void (event === 'cache_inherited' && this.inherited++);
    const cache = createCache(
      { settings: settings({ ttlMs: 3_600_000 }), log, now: this.clock.nowMs, instanceId },
      { random: () => 0, ...this.mutant.parts, ...(transport === undefined ? {} : { transport }) },
    );
    cache.attach(
      prefix,
      ticks,
      worker === undefined ? undefined : ({ processId }) => this.backends.whenGone(processId),
    );
    return (this.weirs[w] = { cache, ticks, port, worker, probe: undefined });
  }

  private makeWorker(instanceId: string) {
    const unexpected = (error: unknown): void => void (this.problem ??= String(error));
    const wire = new StepWire(this.clock.nowMs);
    const supervisor = new Channel<WorkerTopics, SupervisorTopics>(wire.supervisor, unexpected);
    const end = this.stamps.attach(supervisor);
    const channel = new Channel<SupervisorTopics, WorkerTopics>(wire.worker, unexpected);
    return { wire, end, supervisor, transport: new StampTransport(channel, instanceId) };
  }

  private makeStamps(state?: SharedMemoryState): Stamps {
    return new Stamps({
      now: this.clock.nowMs,
      name: 'supervisor',
      maxBytes: 1_000_000,
      isFirst: true,
      unexpected: (error) => void (this.problem ??= String(error)),
      state,
    });
  }

  /** Another supervisor hears what is on its way to this one. */
  protected succeed(): void {
    const { stamps } = this;
    const unexpected = (error: unknown): void => void (this.problem ??= String(error));
    this.stamps = this.makeStamps(structuredClone(stamps.state()));
    stamps.stop();
    for (const { worker } of this.weirs) {
      if (worker === undefined) continue;
      const since = structuredClone(stamps.stateOf(worker.supervisor));
      const { lastQuestion } = worker.supervisor;
      worker.supervisor = new Channel<WorkerTopics, SupervisorTopics>(worker.wire.supervisor, unexpected, lastQuestion);
      worker.end = this.stamps.attach(worker.supervisor, since);
    }
  }

  /** kill -9: its backends go on, its clients connect to the worker that takes its place. */
  protected kill(w: number): void {
    const weir = this.weirs[w]!;
    const { wire, end } = weir.worker!;
    const isFirst = this.chance() < 0.5;
    if (isFirst) end.processEnded();
    wire.close(Math.floor(this.chance() * (wire.sent + 1)));
    if (!isFirst) end.processEnded();
    this.kills++;
    const left = this.sessions.filter((session) => session.weir === weir);
    const running = left.flatMap(({ state }) => (typeof state === 'object' && 'table' in state ? [state] : []));
    for (const write of running) {
      if (write.state === 'sent' && !write.isAnnounced) this.backendEnds(write, false);
      else this.backends.leave(write);
    }
    this.backends.afterAll(running, () => end.backendsGone());
    const next = this.addWeir(w);
    for (const session of left) {
      session.isGone = true;
      this.sessions[this.sessions.indexOf(session)] = this.newSession(Number(session.name.slice(1)), next);
    }
    void weir.cache.stop();
    void next.cache.start();
  }

  /** The backend of a worker that was killed comes to its end. */
  protected backendEnds(write: Write, commits: boolean): void {
    if (write.state === 'sent') {
      if (commits) this.commit(write);
      else this.aborted.add(`${write.table} ${write.value}`);
    }
    this.writing.delete(write.table);
    this.backends.ended(write.processId);
  }

  // Reads.

  protected beginRead(session: Session): void {
    const query = queries[Math.floor(this.chance() * queries.length)]!;
    const demand = this.demandOf(session);
    const cached = this.cachedDemand(demand, this.clock.nowMs());
    this.received(session, query, { demand, cached }, this.ask(session, query));
  }

  protected ask(session: Session, query: Query): Lookup {
    const { cache, ticks } = session.weir;
    const { zone, freshness, isStrict } = session;
    return cache.lookup(key(query.sql, { settings: zone }), query.tags, Infinity, freshness, ticks, isStrict);
  }

  /** What it must see at least. In one Weir that is everything acknowledged to anybody before it asked. */
  protected demandOf(session: Session): Values {
    const demand = zero();
    for (const table of tables) {
      const others = this.scenario.weirs === 1 || session.isStrict ? this.acknowledged[table] : 0;
      demand[table] = Math.max(session.written[table], session.read[table], others);
    }
    return demand;
  }

  /** What a cached answer that was asked for then must have: also what others wrote through another Weir, a lease before. */
  protected cachedDemand(demand: Values, askedAtMs: number): Values {
    const cached = { ...demand };
    for (const { table, value, atMs } of this.acks)
      if (atMs < askedAtMs - leaseMs) cached[table] = Math.max(cached[table], value);
    return cached;
  }

  protected received(session: Session, query: Query, owed: { demand: Values; cached: Values }, lookup: Lookup): void {
    if (session.isGone) return;
    const { demand, cached } = owed;
    if (lookup.kind === 'wait') {
      session.state = 'waiting';
      void lookup.result.then((result) => this.received(session, query, owed, result));
    } else if (lookup.kind === 'hit') {
      session.state = 'idle';
      this.check(session, query.sql, cached, parse(lookup), `hit of level ${lookup.level}`);
    } else {
      const mayUseReplica = !session.isStrict && this.mayUseReplica(session, query.tags, lookup.flight);
      const onReplica = mayUseReplica && this.chance() < 0.7;
      const flight = this.mutant.asksForStampsAfterQuery === true ? undefined : lookup.flight;
      if (flight === undefined) lookup.flight?.abandon();
      session.state = { query, flight, onReplica, demand, seen: undefined };
    }
  }

  protected mayUseReplica(session: Session, tags: readonly string[], flight: Flight | undefined): boolean {
    const { ticks, cache } = session.weir;
    const has = (tick: number): boolean => tick === 0 || (ticks.lsnOf(tick) ?? Infinity) <= this.applied;
    if (!has(session.ownTick) || !has(session.moveTick)) return false;
    if (this.mutant.ignoresNeededLsn === true) return true;
    const need = flight === undefined ? 0 : flight.needLsn();
    return has(cache.lastWrite(tags, ticks)) && need !== undefined && need <= this.applied;
  }

  protected finishRead(session: Session, read: Read): void {
    session.state = 'idle';
    const { weir } = session;
    let { flight } = read;
    if (this.mutant.asksForStampsAfterQuery === true) {
      const late = this.ask(session, read.query);
      if (late.kind === 'miss') flight = late.flight;
    }
    const answer = answerOf(JSON.stringify({ zone: session.zone, ...pick(read.seen!, read.query.reads) }));
    if (this.chance() < 0.1) flight?.abandon();
    else flight?.store([answer], answer.length, !read.onReplica);
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

  protected dieReading(session: Session, read: Read): void {
    read.flight?.abandon();
    session.state = 'idle';
  }

  protected check(
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

  protected beginWrite(session: Session): void {
    const table = tables[Math.floor(this.chance() * tables.length)]!;
    if (this.writing.has(table)) return;
    this.writing.add(table);
    const value = ++this.counters[table];
    const processId = this.backends.begin();
    const backend = session.weir.worker === undefined ? undefined : { node: { host: 'db', port: 5432 }, processId };
    const close = (): WriteGuard => session.weir.cache.close([tagOf[table]], false, prefix, session.freshness, backend);
    const guard = this.mutant.neverCloses === true ? undefined : close();
    if (this.mutant.bumpsBeforeCommit === true) guard?.committed(session.weir.ticks.next(), session.weir.ticks);
    const isAnnounced = guard?.announced === undefined;
    const write: Write = { table, value, guard, processId, isAnnounced, state: 'sent' };
    void guard?.announced?.then(() => (write.isAnnounced = true));
    session.state = write;
  }

  protected commit(write: Write): void {
    this.primary[write.table] = write.value;
    this.log.push({ table: write.table, value: write.value });
    write.state = 'visible';
  }

  protected acknowledge(session: Session, write: Write): void {
    const tick = session.weir.ticks.next();
    const guard = write.guard ?? session.weir.cache.close([tagOf[write.table]], false, prefix, session.freshness);
    guard.committed(tick, session.weir.ticks);
    // In here nobody makes a trigger around Weir.
    session.freshness.proven();
    session.ownTick = tick;
    session.written[write.table] = write.value;
    this.acknowledged[write.table] = write.value;
    this.acks.push({ table: write.table, value: write.value, atMs: this.clock.nowMs() });
    this.ended(session, write);
  }

  protected abort(session: Session, write: Write): void {
    this.aborted.add(`${write.table} ${write.value}`);
    write.guard?.rolledBack();
    this.ended(session, write);
  }

  /** The connection is lost before the acknowledgement; the commit may be there, still come, or never. */
  protected lose(session: Session, write: Write): void {
    if (this.mutant.takesUnknownForRolledBack === true) write.guard?.rolledBack();
    else write.guard?.unknown(Promise.resolve());
    if (write.state === 'sent') {
      if (this.chance() < 0.5 || !write.isAnnounced) this.aborted.add(`${write.table} ${write.value}`);
      else this.commit(write);
    }
    this.ended(session, write);
  }

  protected ended(session: Session, write: Write): void {
    this.writing.delete(write.table);
    this.backends.ended(write.processId);
    session.state = 'idle';
  }

  // The rest of the world.

  protected apply(): void {
    const { table, value } = this.log[this.applied++]!;
    this.replica[table] = value;
  }

  protected probe(weir: Weir): void {
    if (weir.probe === undefined) weir.probe = weir.ticks.begin();
    else {
      weir.ticks.finish(weir.probe, this.log.length);
      weir.probe = undefined;
    }
  }

  protected passTime(ms: number): void {
    this.clock.advance(ms);
    vi.advanceTimersByTime(ms);
  }

  protected async drain(): Promise<void> {
    for (let round = 0; round < 20; round++) {
      for (const { port, worker } of this.weirs) {
        while (worker?.wire.has('up') === true) worker.wire.deliver('up');
        while (worker?.wire.has('down') === true) worker.wire.deliver('down');
        if (port === undefined) continue;
        if (port.isWaiting) port.connect();
        while (port.commands.length > 0) port.execute();
        while (port.replies.length > 0) port.reply();
        while (port.hears) port.deliver();
      }
      await turn();
    }
  }
}

export const pick = (values: Values, names: readonly Table[]): Partial<Values> =>
  Object.fromEntries(names.map((name) => [name, values[name]]));

export function parse(lookup: Extract<Lookup, { kind: 'hit' }>): Partial<Values> & { zone: string } {
  return JSON.parse(textIn(lookup.parts)) as Partial<Values> & { zone: string };
}

/** Lets every promise that can go on go on. */
export const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
