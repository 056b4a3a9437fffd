/**
 * One write between close and outcome (rule 2). Closing is synchronous in this process, so no reader here can slip
 * between COMMIT and bump; peers are told at the same time, and the write is sent when `announced` says that they were.
 * Made by cache.ts; the session that owns it calls exactly one of the outcomes, later calls do nothing.
 */
import type { Tag } from '../binding/plan.ts';
import type { Tick } from '../topology/types.ts';
import type { Freshness } from './freshness.ts';
import { noteOf } from './inheritance.ts';
import type { Peers } from './peers.ts';
import type { TagState, TagTable } from './tags.ts';
import type { Backend, TickSource, WriteGuard } from './types.ts';

export interface GuardRules {
  readonly table: TagTable;
  readonly peers: Peers | undefined;
  /** ttl mode: answers live out their time, only the catalog's and users' tags are invalidated by statements. */
  readonly isByTime: boolean;
  bumped(state: TagState): void;
  /** So many writes more, or less, are of unknown outcome. */
  undecided(change: number): void;
}

/** A write of more tags than this counts as a write of everything. */
export const maxTagsPerWrite = 64;

/** The tags that a write closes. `all` (or too many to name): everything in the database of `prefix`. */
export function statesWritten(table: TagTable, tags: readonly Tag[], all: boolean, prefix: string): TagState[] {
  const everything = all || tags.length > maxTagsPerWrite ? table.state(`${prefix}all`) : undefined;
  const states = new Set<TagState>();
  if (everything !== undefined) states.add(everything);
  for (const tag of tags) {
    const state = table.state(tag);
    // Every answer of this database carries `all`, so its tables need not be named as well.
    if (state.kind !== 'relation' || everything === undefined || state.all !== everything) states.add(state);
  }
  return [...states];
}

export class Guard implements WriteGuard {
  readonly announced: Promise<void> | undefined = undefined;
  private readonly rules: GuardRules;
  private readonly token: string;
  private readonly states: readonly TagState[];
  /** Those of `states` that are closed and will be bumped. */
  private readonly held: readonly TagState[];
  private readonly freshness: Freshness;
  private isSettled = false;

  /** @param backend which prefix its database has, and where it runs */
  constructor(
    rules: GuardRules,
    token: string,
    states: readonly TagState[],
    freshness: Freshness,
    prefix: string,
    backend: Backend | undefined,
  ) {
    this.rules = rules;
    this.token = token;
    this.states = states;
    this.freshness = freshness;
    this.held = rules.isByTime ? states.filter(({ kind }) => kind === 'catalog' || kind === 'user') : states;
    for (const state of states) state.begun(token);
    for (const state of this.held) {
      state.closed++;
      state.settle();
    }
    if (rules.peers === undefined || this.held.length === 0) return;
    const tags = names(this.held);
    this.announced = rules.peers.closed(token, tags, backend === undefined ? '' : noteOf(prefix, backend, tags));
  }

  acknowledged(tick: Tick, source: TickSource): void {
    if (this.isSettled) return;
    for (const state of this.states) state.writtenAt(tick, source);
  }

  committed(tick: Tick, source: TickSource): void {
    if (this.isSettled) return;
    this.isSettled = true;
    for (const state of this.states) state.writtenAt(tick, source);
    this.freshness.wrote(this.rules.table.nextOrder());
    if (this.rules.isByTime) {
      const order = this.rules.table.nextOrder();
      for (const state of this.states) this.freshness.raise(state, order);
    }
    this.open(true);
  }

  rolledBack(): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.open(false);
  }

  unknown(whenDecided: Promise<void>): void {
    if (this.isSettled) return;
    this.isSettled = true;
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

  private open(bump: boolean): void {
    const { table, peers } = this.rules;
    for (const state of this.states) state.ended(this.token);
    for (const state of this.held) {
      state.closed--;
      if (bump) {
        this.rules.bumped(state);
        table.bump(state);
      } else {
        // With nobody else's write under way, all that anybody can have read was announced.
        if (peers === undefined && state.closed === 0) state.confirmed = table.nextOrder();
        state.settle();
      }
    }
    if (this.held.length > 0) void peers?.opened(this.token, this.held, bump);
  }
}

const names = (states: readonly TagState[]): string[] => states.map((state) => state.tag);

/** Two guards with one outcome. */
export function bothGuards(one: WriteGuard, other: WriteGuard): WriteGuard {
  const both = (tell: (guard: WriteGuard) => void) => (): void => {
    tell(one);
    tell(other);
  };
  return {
    announced: other.announced,
    acknowledged: (tick, source) => both((guard) => guard.acknowledged(tick, source))(),
    committed: (tick, source) => both((guard) => guard.committed(tick, source))(),
    rolledBack: both((guard) => guard.rolledBack()),
    unknown: (whenDecided) => both((guard) => guard.unknown(whenDecided))(),
  };
}
