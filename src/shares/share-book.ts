/**
 * The shares of this Weir in the connections of each server. In a Weir of one process it stands beside the places of that
 * process, else in the supervisor, who hands out the places of all workers. Made by app/shared-budget.ts or workers/lessor.ts;
 * asked by exchange.ts, perhaps from another process.
 */
import { randomBytes } from 'node:crypto';
import { OwnShare, type OwnShareState, type Terms } from './own-share.ts';
import type { Answer, Others, Said, Seen, ShareState, Shown, Usage } from './types.ts';

/** What is to be said, and how things stand. */
export interface Saying {
  readonly said: Said;
  readonly state: ShareState;
  readonly limit: number;
}

/** What the monitor is to show. */
export interface Showing {
  readonly shown: Shown;
  /** To be given back with what was seen. */
  readonly atMs: number;
  /** The backends of this Weir. */
  readonly pids: readonly number[];
}

export interface SayOptions {
  readonly terms: Terms;
  readonly seen: Seen | undefined;
  readonly isLeaving: boolean;
  readonly isRedisGone: boolean;
}

/** Servers are host:port. */
export interface ShareKeeper {
  say(server: string, options: SayOptions): Promise<Saying>;
  hear(server: string, seq: number, answer: Answer): Promise<void>;
  show(server: string): Promise<Showing>;
  shown(server: string, atMs: number, others: Others): Promise<void>;
  /** The server is not shared any more. */
  drop(server: string): Promise<void>;
}

/** Who hands out the places. */
export interface Places {
  /** What it has, and what its pools need at the moment of the call. */
  usage(server: string): Usage;
  /** What it has. */
  open(server: string): number;
  pids(server: string): readonly number[];
  /** The limit may be another one now. */
  changed(server: string): void;
}

export class ShareBook implements ShareKeeper {
  private readonly places: Places;
  private readonly nowMs: () => number;
  private readonly shares = new Map<string, OwnShare>();
  /** The same for all servers. */
  private readonly id: string;

  /** @param state of the supervisor whose place this one takes */
  constructor(places: Places, nowMs: () => number, state: ReadonlyMap<string, OwnShareState> = new Map()) {
    this.places = places;
    this.nowMs = nowMs;
    this.id = [...state.values()][0]?.id ?? randomBytes(6).toString('hex');
    for (const [server, share] of state) this.shares.set(server, new OwnShare(this.id, share));
  }

  /** For the next supervisor. */
  state(): ReadonlyMap<string, OwnShareState> {
    return new Map(Array.from(this.shares, ([server, share]) => [server, share.handOver()]));
  }

  servers(): Iterable<string> {
    return this.shares.keys();
  }

  /** How many connections there may be now; undefined: the server is not shared. */
  limit(server: string, open: number): number | undefined {
    return this.shares.get(server)?.limit(this.nowMs(), open);
  }

  /** From now on the server is shared: without an answer no connections are opened to it. */
  begin(server: string): OwnShare {
    let share = this.shares.get(server);
    if (share !== undefined) return share;
    share = new OwnShare(this.id);
    share.keep(this.places.open(server));
    this.shares.set(server, share);
    return share;
  }

  say(server: string, { terms, seen, isLeaving, isRedisGone }: SayOptions): Promise<Saying> {
    const share = this.begin(server);
    const now = this.nowMs();
    const usage = this.places.usage(server);
    share.setTerms(terms);
    if (isRedisGone) share.isRedisGone = true;
    const said = share.say(now, usage, seen, isLeaving);
    this.places.changed(server);
    return Promise.resolve({ said, state: share.state(now), limit: share.limit(now, usage.open) });
  }

  hear(server: string, seq: number, answer: Answer): Promise<void> {
    this.shares.get(server)?.hear(seq, answer, this.nowMs(), this.places.open(server));
    this.places.changed(server);
    return Promise.resolve();
  }

  show(server: string): Promise<Showing> {
    const atMs = this.nowMs();
    const shown = this.begin(server).toShow(atMs, this.places.open(server));
    return Promise.resolve({ shown, atMs, pids: this.places.pids(server) });
  }

  shown(server: string, atMs: number, others: Others): Promise<void> {
    this.shares.get(server)?.shown(atMs, this.nowMs(), this.places.open(server), others);
    this.places.changed(server);
    return Promise.resolve();
  }

  drop(server: string): Promise<void> {
    this.shares.delete(server);
    this.places.changed(server);
    return Promise.resolve();
  }
}

/** Some more than is needed, so that a client more need not wait for the others. @param most what the pools may have */
export function wishOf(need: number, most: number): Pick<Usage, 'need' | 'want'> {
  return { need, want: Math.max(need, Math.min(most, need + Math.max(1, Math.ceil(need / 4)))) };
}
