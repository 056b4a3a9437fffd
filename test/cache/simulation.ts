/**
 * Chooses, by a seed, what happens next in a simulated world (simulated-world.ts), until the end, when everything comes
 * to rest and no cache may differ from the database any more. One writer per table and growing values make every
 * check a comparison.
 */
import type { Lookup } from '../../src/cache/types.ts';
import { answerOf } from './answers.ts';
import type { MemoryPort } from './memory-redis.ts';
import type { StepWire } from '../workers/step-wire.ts';
import { parse, pick, turn, World } from './simulated-world.ts';
import { emptyTally, queries, tables, tagOf, zero } from './simulation-types.ts';
import type { Mutant, Query, Scenario, Session, Tally, Values, Write } from './simulation-types.ts';
import { prefix } from './support.ts';

/** Runs one seed; the first thing that was wrong, in words, or undefined. Needs vi.useFakeTimers() for timeouts. */
export async function explore(
  seed: number,
  scenario: Scenario,
  mutant: Mutant = {},
  tally = emptyTally(),
): Promise<string | undefined> {
  const world = new Simulation(seed, scenario, mutant);
  try {
    await world.run();
    world.addTo(tally);
    return world.problem;
  } finally {
    await world.stop();
  }
}

class Simulation extends World {
  async run(): Promise<void> {
    for (const { cache } of this.weirs) await cache.start();
    // Of a Weir that has never reached Redis the others cannot know.
    if (this.scenario.staysAway === true) await this.drain();
    for (let step = 0; step < this.scenario.steps && this.problem === undefined; step++) {
      const actions = this.actions();
      actions[Math.floor(this.chance() * actions.length)]!();
      await turn();
    }
    if (this.problem === undefined) await this.converge();
  }

  async stop(): Promise<void> {
    this.stamps.stop();
    const stopping = this.weirs.map(({ cache }) => cache.stop());
    // A worker that leaves waits a moment for its supervisor.
    await turn();
    this.passTime(1_000);
    await Promise.all(stopping);
  }

  addTo(tally: Tally): void {
    for (const { cache } of this.weirs) {
      const stats = cache.stats();
      tally.hits += stats.hits;
      tally.hitsSecondLevel += stats.hitsSecondLevel;
      tally.stores += stats.stores;
    }
    tally.writes += this.log.length;
    tally.kills += this.kills;
    tally.inherited += this.inherited;
  }

  /** Everything that can happen next; twice in the list is twice as likely. */
  private actions(): (() => void)[] {
    const list: (() => void)[] = [];
    for (const session of this.sessions) this.sessionActions(session, list);
    if (this.applied < this.log.length) list.push(() => this.apply());
    for (const weir of this.weirs) {
      list.push(() => this.probe(weir));
      if (weir.port !== undefined) this.portActions(weir.port, list);
      if (weir.worker !== undefined) this.wireActions(weir.worker.wire, list);
    }
    if (this.scenario.kills === true && this.chance() < 0.03) list.push(() => this.kill(Math.floor(this.chance() * 3)));
    if (this.scenario.succeeds === true && this.chance() < 0.02) list.push(() => this.succeed());
    for (const write of this.backends.left) {
      if (this.chance() < 0.2) list.push(() => this.backendEnds(write, this.chance() < 0.7));
      if (write.state === 'sent' && this.chance() < 0.2) list.push(() => this.commit(write));
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
    if (write.state === 'visible') list.push(() => this.acknowledge(session, write));
    else if (write.isAnnounced) {
      list.push(() => this.commit(write));
      list.push(() => this.commit(write));
      if (this.chance() < 0.1) list.push(() => this.abort(session, write));
    }
    if (this.chance() < 0.05) list.push(() => this.lose(session, write));
  }

  private portActions(port: MemoryPort, list: (() => void)[]): void {
    // Redis is mostly quicker than people, or else nothing would ever be cached.
    for (let i = 0; i < 5; i++) {
      if (port.commands.length > 0) list.push(() => port.execute());
      if (port.replies.length > 0) list.push(() => port.reply());
      if (i < 2 && port.hears) list.push(() => port.deliver());
    }
    if (port.isWaiting && (this.scenario.staysAway !== true || this.chance() < 0.03)) {
      list.push(
        () => port.connect(),
        () => port.connect(),
      );
    }
    if (this.scenario.dropsMessages === true && port.messages.length > 0 && this.chance() < 0.1) {
      list.push(() => port.drop());
    }
    if (this.scenario.mutesMessages === true && this.chance() < 0.001) {
      list.push(() => void (port.mutedUntilMs = this.clock.nowMs() + 3_000));
    }
    const mayLose =
      this.scenario.losesAnybody === true || (this.scenario.losesReader === true && port === this.weirs[1]?.port);
    if (mayLose && port.isConnected && this.chance() < 0.02) list.push(() => port.disconnect('cut'));
  }

  private wireActions(wire: StepWire, list: (() => void)[]): void {
    for (let i = 0; i < 5; i++) {
      if (wire.has('up')) list.push(() => wire.deliver('up'));
      if (wire.has('down')) list.push(() => wire.deliver('down'));
    }
    if (this.scenario.stallsChannels === true && this.chance() < 0.01) {
      list.push(() => void (wire.stalledUntilMs = this.clock.nowMs() + (this.chance() < 0.5 ? 200 : 4_000)));
    }
  }

  /** The worst loss: of everything that a warm reader should hear, with nothing after it by which it would notice, or little. */
  private async loseTheLast(): Promise<void> {
    const [writer, reader] = this.sessions;
    const port = reader?.weir.port;
    const { dropsMessages, losesReader, mutesMessages } = this.scenario;
    const loses = dropsMessages === true || losesReader === true || mutesMessages === true;
    if (writer === undefined || reader === undefined || port === undefined || !loses) return;
    await this.drain();
    for (const query of queries) {
      const result = await this.settled(reader, query);
      const answer = answerOf(JSON.stringify({ zone: reader.zone, ...pick(this.primary, query.reads) }));
      if (result.kind === 'miss') result.flight?.store([answer], answer.length);
      await this.drain();
    }
    if (mutesMessages === true) port.mutedUntilMs = this.clock.nowMs() + 10_000;
    for (const table of tables) {
      const value = ++this.counters[table];
      const guard = writer.weir.cache.close([tagOf[table]], false, prefix, writer.freshness);
      const write: Write = { table, value, guard, processId: 0, isAnnounced: true, state: 'sent' };
      this.commit(write);
      this.acknowledge(writer, write);
    }
    while ((writer.weir.port?.commands.length ?? 0) > 0) writer.weir.port?.execute();
    if (dropsMessages === true) {
      port.drop();
      if (this.chance() < 0.5) writer.weir.cache.close([tagOf.orders], false, prefix, writer.freshness).rolledBack();
    }
    if (losesReader === true) port.disconnect('cut');
    if (mutesMessages === true) await this.readOn(reader);
  }

  /** Goes on reading, while nobody writes, and nothing arrives on the subscription. */
  private async readOn(session: Session): Promise<void> {
    for (let tenth = 0; tenth < 30; tenth++) {
      await this.drain();
      this.passTime(100);
      for (const query of queries) {
        const owed = this.cachedDemand(zero(), this.clock.nowMs());
        const result = await this.settled(session, query);
        if (result.kind === 'miss') result.flight?.abandon();
        if (result.kind === 'hit') this.check(session, query.sql, owed, parse(result), 'a cache that hears nothing');
      }
    }
  }

  /** The answer of a session that has seen nothing yet, with everything on its way let through. */
  private async settled(session: Session, query: Query): Promise<Lookup> {
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
    for (const write of [...this.backends.left]) this.backendEnds(write, true);
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
