/**
 * A simulated server with several Weirs and a Redis, for the property tests of src/shares: delays, kills, stops, partitions,
 * lost data and clocks that jump, by a seed.
 */
import { decide } from '../../src/shares/decide.ts';
import { othersIn, seenIn, shownName } from '../../src/shares/look.ts';
import { OwnShare } from '../../src/shares/own-share.ts';
import type { Answer, Ledger, Seen } from '../../src/shares/types.ts';

export type Random = () => number;

export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

interface Backend {
  readonly pid: number;
  readonly startedMs: number;
  readonly owner: SimWeir;
  state: 'open' | 'closing';
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  run(): void;
}

export class World {
  nowMs = 1_000_000;
  readonly random: Random;
  readonly budget: number;
  readonly backends = new Set<Backend>();
  readonly weirs: SimWeir[] = [];
  ledger: Ledger | undefined;
  run = 'a';
  /** Of Redis. */
  clockMs = 50_000_000;
  lastPid = 100;
  mostSeen = 0;
  private readonly events: Event[] = [];
  private order = 0;

  constructor(seed: number, budget: number) {
    this.random = seeded(seed);
    this.budget = budget;
  }

  get redisMs(): number {
    return this.nowMs + this.clockMs;
  }

  between(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  later(delayMs: number, run: () => void): void {
    this.events.push({ atMs: this.nowMs + delayMs, order: this.order++, run });
  }

  add(demand: number, fixed: number): SimWeir {
    const weir = new SimWeir(this, this.weirs.length, demand, fixed);
    this.weirs.push(weir);
    this.later(this.between(0, 1_000), () => weir.tick());
    return weir;
  }

  /** Monitors are not counted: the budget is for pools. */
  rows(asker: SimWeir): Record<string, unknown>[] {
    const rows: Record<string, unknown>[] = [...this.backends].map(({ pid, startedMs }) => ({
      pid,
      application_name: 'app',
      age_ms: this.nowMs - startedMs,
    }));
    for (const weir of this.weirs)
      if (weir !== asker && weir.monitorName !== undefined)
        rows.push({ pid: -1, application_name: weir.monitorName, age_ms: 1e6 });
    return rows;
  }

  /** @param check called after each event */
  runFor(ms: number, check: () => void): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      let next: Event | undefined;
      for (const event of this.events) {
        if (event.atMs > untilMs) continue;
        if (next === undefined || event.atMs < next.atMs || (event.atMs === next.atMs && event.order < next.order))
          next = event;
      }
      if (next === undefined) break;
      this.events.splice(this.events.indexOf(next), 1);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
      this.mostSeen = Math.max(this.mostSeen, this.backends.size);
      check();
    }
    this.nowMs = untilMs;
  }
}

export class SimWeir {
  readonly share: OwnShare;
  demand: number;
  isCut = false;
  monitorName: string | undefined;
  state: 'alive' | 'stopped' | 'killed' = 'alive';
  private readonly world: World;
  private remembered: Ledger | undefined;
  private seen: Seen | undefined;
  /** What happens when it goes on after a stop. */
  private held: (() => void)[] = [];
  private failures = 0;

  constructor(world: World, index: number, demand: number, fixed: number) {
    this.world = world;
    this.demand = demand;
    this.share = new OwnShare(index.toString(16).padStart(12, '0'));
    this.share.setTerms({ budget: world.budget, fixed });
  }

  get own(): Backend[] {
    return [...this.world.backends].filter(({ owner }) => owner === this);
  }

  get open(): number {
    return this.own.length;
  }

  kill(): void {
    this.state = 'killed';
    this.monitorName = undefined;
    for (const backend of this.own)
      this.world.later(this.world.between(0, 20_000), () => void this.world.backends.delete(backend));
  }

  stop(): void {
    if (this.state === 'alive') this.state = 'stopped';
  }

  goOn(): void {
    if (this.state !== 'stopped') return;
    this.state = 'alive';
    const { held } = this;
    this.held = [];
    // It may be in the middle of its work, and the clock is looked at only then.
    if (this.world.random() < 0.5) this.work();
    for (const run of held) run();
  }

  private whenRunning(run: () => void): void {
    if (this.state === 'alive') run();
    else if (this.state === 'stopped') this.held.push(run);
  }

  tick(): void {
    if (this.state === 'killed') return;
    this.world.later(1_000, () => this.whenRunning(() => this.tick()));
    this.work();
    this.exchange();
    this.look();
    for (let at = 100; at < 1_000; at += 150) this.world.later(at, () => this.whenRunning(() => this.work()));
  }

  /** Opens and closes connections. */
  work(): void {
    if (this.state !== 'alive') return;
    const { world, share } = this;
    while (this.open < this.demand && this.open < share.limit(world.nowMs, this.open))
      world.backends.add({ pid: ++world.lastPid, startedMs: world.nowMs, owner: this, state: 'open' });
    const isOver = (): boolean => {
      const open = this.own.filter(({ state }) => state === 'open').length;
      return open > share.limit(world.nowMs, this.open) || (open > this.demand && world.random() < 0.3);
    };
    for (const backend of this.own) {
      if (backend.state === 'closing' || !isOver() || world.random() < 0.4) continue;
      backend.state = 'closing';
      world.later(world.between(0, 300), () => void world.backends.delete(backend));
    }
  }

  private exchange(): void {
    const { world, share } = this;
    const { open } = this;
    const usage = { open, need: this.demand, want: this.demand + 2, pids: this.own.map(({ pid }) => pid) };
    const said = share.say(world.nowMs, usage, this.seen, false);
    this.seen = undefined;
    const isLost = (): boolean => this.isCut || world.random() < 0.02;
    if (isLost()) return this.failed();
    const delayMs = world.random() < 0.05 ? world.between(500, 4_000) : world.between(0, 50);
    world.later(delayMs, () => {
      const decision = decide(world.ledger, world.run, said, world.redisMs, this.remembered);
      if (decision.kind !== 'answer') return;
      world.ledger = decision.ledger;
      if (isLost()) return this.failed();
      world.later(world.between(0, 50), () =>
        this.whenRunning(() => {
          if (this.isCut) return;
          this.remembered = decision.ledger;
          share.hear(said.seq, decision.answer, world.nowMs, this.open);
          this.failures = 0;
          this.work();
        }),
      );
    });
  }

  private failed(): void {
    if (++this.failures >= 2) this.share.isRedisGone = true;
  }

  private look(): void {
    const { world, share } = this;
    const askedMs = world.nowMs;
    const asked: Answer | undefined = share.answer;
    const name = shownName(share.toShow(askedMs, this.open));
    world.later(world.between(0, 200), () => {
      if (this.state === 'killed') return;
      this.monitorName = name;
      const rows = world.rows(this);
      world.later(world.between(0, 100), () =>
        this.whenRunning(() => {
          const own = this.own.map(({ pid }) => pid);
          share.shown(askedMs, world.nowMs, this.open, othersIn(rows, share.id, own));
          if (asked === undefined || asked.atMs + 60_000 < world.redisMs) return;
          this.seen = seenIn(rows, asked, Math.max(0, world.redisMs - asked.atMs), share.id, own);
        }),
      );
    });
  }
}
