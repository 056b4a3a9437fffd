/**
 * One write, from before it is sent to PostgreSQL until its outcome is known (rule 2): meanwhile its tags are closed (with
 * `cache.mode: ttl`, only tags of the catalog and of users),
 * and no answer that carries them is shown or stored. The tags are closed here at once; the write is sent when
 * `announced` resolves. Made by cache.ts. The writing session calls one of the outcomes; later calls do nothing.
 */
import type { Tag } from '../binding/plan.ts';
import type { Tick } from '../topology/types.ts';
import type { Freshness } from './freshness.ts';
import { endOf } from './heard-writes.ts';
import { noteOf } from './orphaned-writes.ts';
import type { Peers } from './peers.ts';
import type { TagState } from './tag-state.ts';
import type { TagTable } from './tags.ts';
import { shortWriteMs } from './transport.ts';
import type { Backend, TickSource, WriteGuard } from './types.ts';

export interface GuardRules {
  readonly table: TagTable;
  readonly peers: Peers | undefined;
  /** ttl mode: answers stay until they expire; statements invalidate only catalog and user tags. */
  readonly isByTime: boolean;
  /** Monotonic milliseconds. */
  now(): number;
  bumped(state: TagState): void;
  /** Changes the number of writes of unknown outcome by `change`. */
  undecided(change: number): void;
}

/** A write of more tags than this counts as a write of everything. */
export const maxTagsPerWrite = 64;

/**
 * @param all (implied by too many tags) close everything in the database of `prefix`
 * @returns the tags that a write closes
 */
function statesWritten(table: TagTable, tags: readonly Tag[], all: boolean, prefix: string): TagState[] {
  const everything = all || tags.length > maxTagsPerWrite ? table.state(`${prefix}all`) : undefined;
  const states = new Set<TagState>();
  if (everything !== undefined) states.add(everything);
  for (const tag of tags) {
    const state = table.state(tag);
    // Every answer of this database carries `all`, so its tables need not be closed as well.
    if (state.kind !== 'relation' || everything === undefined || state.all !== everything) states.add(state);
  }
  return [...states];
}

/** Makes the guards of this process; each has a token that no other Weir uses. */
export class Guards {
  private readonly instanceId: string;
  private readonly rules: GuardRules;
  private count = 0;

  constructor(instanceId: string, rules: GuardRules) {
    this.instanceId = instanceId;
    this.rules = rules;
  }

  /** @param all close everything in the database of `prefix`; '': in all databases */
  close(
    tags: readonly Tag[],
    all: boolean,
    prefix: string,
    freshness: Freshness,
    backend: Backend | undefined,
  ): WriteGuard {
    const states = statesWritten(this.rules.table, tags, all, prefix);
    const token = `${this.instanceId}:${++this.count}`;
    return new Guard(this.rules, token, states, freshness, prefix, backend);
  }
}

/** 'unknown': its connection was lost. Only 'under way' takes an outcome. */
type GuardState = 'under way' | 'unknown' | 'over';

class Guard implements WriteGuard {
  readonly announced: Promise<void> | undefined = undefined;
  knownToWorkers: Promise<void> | undefined = undefined;
  private readonly closedAtMs: number;
  private readonly rules: GuardRules;
  private readonly token: string;
  private readonly states: readonly TagState[];
  /** Those of `states` that this guard closes, and bumps on commit. */
  private readonly held: readonly TagState[];
  private readonly freshness: Freshness;
  private state: GuardState = 'under way';
  /** tellPart() runs at the end of this turn of the event loop. */
  private isPartDue = false;
  private parts = 0;

  /** @param backend where the write runs; undefined: other Weirs cannot find out its outcome */
  constructor(
    rules: GuardRules,
    token: string,
    states: readonly TagState[],
    freshness: Freshness,
    prefix: string,
    backend: Backend | undefined,
  ) {
    this.rules = rules;
    this.closedAtMs = rules.now();
    this.token = token;
    this.states = states;
    this.freshness = freshness;
    this.held = rules.isByTime ? states.filter(({ kind }) => kind === 'catalog' || kind === 'user') : states;
    for (const state of states) state.writes.addOwn(token);
    for (const state of this.held) {
      state.closed++;
      state.changed();
    }
    if (rules.peers === undefined || this.held.length === 0) return;
    const tags = names(this.held);
    this.announced = rules.peers.closed(token, tags, backend === undefined ? '' : noteOf(prefix, backend, tags));
    this.knownToWorkers = rules.peers.knownToWorkers(token, this.held);
  }

  acknowledged(tick: Tick, source: TickSource): void {
    if (this.state !== 'under way') return;
    for (const state of this.states) state.writtenAt(tick, source);
    if (this.isPartDue || this.rules.peers === undefined || this.held.length === 0) return;
    this.isPartDue = true;
    // Usually ReadyForQuery is in the same bytes, and its message says all.
    const told = Promise.resolve().then(() => this.tellPart());
    if (!this.isShort) this.knownToWorkers = told;
  }

  committed(tick: Tick, source: TickSource): void {
    if (this.state !== 'under way') return;
    for (const state of this.states) state.writtenAt(tick, source);
    this.freshness.wrote(this.rules.table.nextOrder());
    if (this.rules.isByTime) {
      const order = this.rules.table.nextOrder();
      for (const state of this.states) this.freshness.raise(state, order);
    }
    this.open(true);
  }

  rolledBack(): void {
    if (this.state === 'under way') this.open(false);
  }

  unknown(whenDecided: Promise<void>): void {
    if (this.state !== 'under way') return;
    this.state = 'unknown';
    this.rules.undecided(1);
    for (const state of this.states) state.changeUndecided(1);
    void whenDecided.then(() => {
      this.rules.undecided(-1);
      for (const state of this.states) {
        state.changeUndecided(-1);
        state.writtenNow();
      }
      this.open(true);
    });
  }

  /** Tells the other Weirs that the tags were written. The token is not that of the write, so their markers for it stay. */
  private async tellPart(): Promise<void> {
    this.isPartDue = false;
    if (this.state === 'over') return;
    for (const state of this.held) this.rules.table.bump(state);
    await this.tell(`${this.token}:part:${++this.parts}`, true);
  }

  private open(bump: boolean): void {
    this.state = 'over';
    const { table, peers } = this.rules;
    for (const state of this.states) {
      state.writes.endOwn(this.token);
      state.changed();
    }
    for (const state of this.held) {
      state.closed--;
      if (bump) {
        this.rules.bumped(state);
        table.bump(state);
      } else {
        // If no other write is in progress, everything that a session has read so far was announced.
        if (peers === undefined && state.closed === 0) state.confirmed = table.nextOrder();
        state.changed();
      }
    }
    void this.tell(this.token, bump);
  }

  /** See shortWriteMs. */
  private get isShort(): boolean {
    return this.rules.now() - this.closedAtMs <= shortWriteMs;
  }

  /** Tells the other Weirs of a part, or of the end. @returns for what its client has to wait; undefined: for nothing more than before */
  private tell(token: string, bump: boolean): Promise<void> | undefined {
    const { peers } = this.rules;
    if (peers === undefined || this.held.length === 0) return undefined;
    void peers.opened(token, this.held, bump);
    if (this.isShort) return undefined;
    this.knownToWorkers = bump ? peers.knownToWorkers(endOf(token), this.held) : undefined;
    return this.knownToWorkers;
  }
}

const names = (states: readonly TagState[]): string[] => states.map((state) => state.tag);

/** Two guards that get the same outcome. */
export function bothGuards(one: WriteGuard, other: WriteGuard): WriteGuard {
  const both = (call: (guard: WriteGuard) => void) => (): void => {
    call(one);
    call(other);
  };
  return {
    announced: other.announced,
    get knownToWorkers() {
      const both = [one.knownToWorkers, other.knownToWorkers].filter((known) => known !== undefined);
      return both.length === 0 ? undefined : Promise.all(both).then(() => undefined);
    },
    acknowledged: (tick, source) => both((guard) => guard.acknowledged(tick, source))(),
    committed: (tick, source) => both((guard) => guard.committed(tick, source))(),
    rolledBack: both((guard) => guard.rolledBack()),
    unknown: (whenDecided) => both((guard) => guard.unknown(whenDecided))(),
  };
}
