/**
 * Single flight (rule 4): while one session asks a database for an answer, other sessions that need the same answer
 * wait for it. A flight is one such query. It is identified by its key *and* the stamps from before it was sent, so
 * that no session waits for an answer that is older than a write. fills.ts decides whether the answer is stored.
 */
import { isCurrent, isSameSet } from './store.ts';
import type { Entry } from './store.ts';
import type { TagSet } from './tags.ts';
import type { Flight, Lookup, TickSource } from './types.ts';

/** Called once: with the entry if the answer was stored, else with undefined. */
export type Waiter = (entry: Entry | undefined) => void;

export interface FlightPlan {
  readonly key: string;
  readonly set: TagSet;
  readonly stamps: readonly number[];
  /** The stamps in Redis that correspond to `stamps`, for the second level. */
  readonly remotes: readonly number[];
  readonly order: number;
  readonly startedAtMs: number;
  readonly ttlMs: number;
  readonly ticks: TickSource;
}

export interface FlightRules {
  /** @returns undefined if the answer may not be stored */
  store(plan: FlightPlan, parts: readonly Buffer[], isFromPrimary: boolean): Entry | undefined;
  now(): number;
  /** mayJoinByStamps, unless a test takes that rule out. */
  mayJoin(plan: FlightPlan, set: TagSet): boolean;
}

/** Limits of the time that a session waits for another session's flight. */
const longestWaitMs = 5_000;
const shortestWaitMs = 250;
/** Limit on flights, in case some are never ended. */
const maxFlights = 20_000;

/** Whether a session that needs these tags may wait for the flight. */
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
    // Asks for every tag even if one LSN is not known, because asking makes the ticker send its next probe.
    for (const state of this.plan.set.states) {
      const tick = state.lastWriteIn(ticks);
      if (tick === 0) continue;
      const lsn = ticks.lsnOf(tick);
      if (lsn === undefined || need === undefined) need = undefined;
      else if (lsn > need) need = lsn;
    }
    return need;
  }

  store(parts: readonly Buffer[], _bytes: number, isFromPrimary = false): void {
    if (this.isOver) return;
    this.owner.finish(this);
    this.release(this.owner.rules.store(this.plan, parts, isFromPrimary));
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

  begin(plan: FlightPlan): Flight {
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

  /** @returns the flight that a request may join: same key, same stamps, not too old; undefined: none */
  find(key: string, set: TagSet): FlightPlan | undefined {
    const flight = this.byKey.get(key);
    if (flight === undefined || !this.rules.mayJoin(flight.plan, set)) return undefined;
    return this.rules.now() - flight.plan.startedAtMs < this.waitMs() ? flight.plan : undefined;
  }

  /** Waits for the flight that `find` returned; must be called in the same turn of the event loop. */
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

  /** Ends all flights, so that waiting sessions ask the database themselves. */
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
