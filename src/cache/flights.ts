/**
 * Single flight (rule 4): who is asking a database for which answer, and who waits for it. A flight is identified by
 * the key *and* the stamps its taker-off read: nobody joins one that took off before a write.
 * Decides nothing about storing: landing.ts does, through `land`.
 */
import { isCurrent, isSameSet } from './store.ts';
import type { Entry } from './store.ts';
import type { TagSet } from './tags.ts';
import type { Flight, Lookup, TickSource } from './types.ts';

/** Called once with the entry, if the answer was stored. */
export type Waiter = (entry: Entry | undefined) => void;

export interface FlightPlan {
  readonly key: string;
  readonly set: TagSet;
  readonly stamps: readonly number[];
  /** The shared stamps behind them, for the second level. */
  readonly remotes: readonly number[];
  readonly order: number;
  readonly startedAtMs: number;
  readonly ttlMs: number;
  readonly ticks: TickSource;
}

export interface FlightRules {
  /** Stores the answer if that is still sound. */
  land(plan: FlightPlan, parts: readonly Buffer[], bytes: number, isFromPrimary: boolean): Entry | undefined;
  now(): number;
  /** Whether a request with these tags may join; overridden by tests that prove the rule necessary. */
  mayJoin(plan: FlightPlan, set: TagSet): boolean;
}

/** Never longer than this, whatever the usual length. */
const longestWaitMs = 5_000;
const shortestWaitMs = 250;
/** A flight whose session forgot it must not stay for ever. */
const maxFlights = 20_000;

export function mayJoinByStamps(plan: FlightPlan, set: TagSet): boolean {
  return isSameSet(plan.set.states, set.states) && isCurrent(plan.set.states, plan.stamps);
}

class OneFlight implements Flight {
  readonly plan: FlightPlan;
  private readonly owner: Flights;
  private waiters: Waiter[] | undefined = undefined;
  private timer: NodeJS.Timeout | undefined = undefined;
  isOver = false;

  constructor(plan: FlightPlan, owner: Flights) {
    this.plan = plan;
    this.owner = owner;
  }

  needLsn(): number | undefined {
    let need: number | undefined = 0;
    const ticks = this.plan.ticks;
    // All of them, whatever the first says: to ask is also what makes the ticker send its next probe.
    for (const state of this.plan.set.states) {
      const tick = state.lastWriteIn(ticks);
      if (tick === 0) continue;
      const lsn = ticks.lsnOf(tick);
      if (lsn === undefined || need === undefined) need = undefined;
      else if (lsn > need) need = lsn;
    }
    return need;
  }

  store(parts: readonly Buffer[], bytes: number, isFromPrimary = false): void {
    if (this.isOver) return;
    this.owner.finish(this);
    this.release(this.owner.rules.land(this.plan, parts, bytes, isFromPrimary));
  }

  abandon(): void {
    if (this.isOver) return;
    this.owner.finish(this);
    this.release(undefined);
  }

  wait(waiter: Waiter, waitMs: number): void {
    (this.waiters ??= []).push(waiter);
    if (this.timer !== undefined) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.release(undefined);
    }, waitMs);
    this.timer.unref();
  }

  private release(entry: Entry | undefined): void {
    if (this.timer !== undefined) clearTimeout(this.timer);
    this.timer = undefined;
    const waiters = this.waiters;
    this.waiters = undefined;
    for (const waiter of waiters ?? []) waiter(entry);
  }
}

export class Flights {
  readonly rules: FlightRules;
  private readonly byKey = new Map<string, OneFlight>();
  /** Usual length of a flight, ms. */
  private usualMs = 100;

  constructor(rules: FlightRules) {
    this.rules = rules;
  }

  takeOff(plan: FlightPlan): Flight {
    const flight = new OneFlight(plan, this);
    this.byKey.delete(plan.key);
    if (this.byKey.size >= maxFlights) {
      for (const oldest of this.byKey.values()) {
        oldest.abandon();
        break;
      }
    }
    this.byKey.set(plan.key, flight);
    return flight;
  }

  /** The flight that a request may join: same key, same stamps, still worth waiting for. */
  find(key: string, set: TagSet): FlightPlan | undefined {
    const flight = this.byKey.get(key);
    if (flight === undefined || !this.rules.mayJoin(flight.plan, set)) return undefined;
    return this.rules.now() - flight.plan.startedAtMs < this.waitMs() ? flight.plan : undefined;
  }

  /** Waits for the flight that `find` found, in the same turn. */
  join(plan: FlightPlan): Promise<Entry | undefined> {
    return new Promise((resolve) => {
      const flight = this.byKey.get(plan.key);
      if (flight === undefined || flight.isOver) resolve(undefined);
      else flight.wait(resolve, this.waitMs());
    });
  }

  finish(flight: OneFlight): void {
    flight.isOver = true;
    if (this.byKey.get(flight.plan.key) === flight) this.byKey.delete(flight.plan.key);
    const tookMs = this.rules.now() - flight.plan.startedAtMs;
    this.usualMs += (tookMs - this.usualMs) * 0.1;
  }

  /** Everybody who waits goes on alone. */
  abandonAll(): void {
    for (const flight of [...this.byKey.values()]) flight.abandon();
  }

  get size(): number {
    return this.byKey.size;
  }

  private waitMs(): number {
    return Math.min(longestWaitMs, Math.max(shortestWaitMs, 3 * this.usualMs));
  }
}

export const missing = (why: string): Lookup => ({ kind: 'miss', flight: undefined, why });
