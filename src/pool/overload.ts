/**
 * Whether a pool has more work than it can do, by the rule of CoDel (Nichols and Jacobson, 2012): a queue is too long if even
 * the shortest wait of a whole interval was above the target. Here clients must also give up, or wait for longer than
 * queue_patience in a queue that does not get shorter by itself: patient clients are served best in the order in which they
 * come. Part of the queue (wait-queue.ts), looked at by sweep.ts.
 */
import type { LineFigures } from './wait-line.ts';
import type { PoolSettings } from '../config/config.ts';
import type { StateTable } from '../util/state-table.ts';

export const overloadStates = {
  healthy: { 'clients wait in vain': 'overloaded' },
  overloaded: { 'a wait within queue_target': 'healthy', 'another reason to wait': 'healthy' },
} as const satisfies StateTable<'healthy' | 'overloaded', string>;

export type OverloadState = keyof typeof overloadStates;
type OverloadEvent = { [State in OverloadState]: keyof (typeof overloadStates)[State] }[OverloadState];

/** The pool, about ten times a second. */
export interface QueueLook {
  readonly nowMs: number;
  /** Clients in the queue. */
  readonly waiting: number;
  /** How long the oldest has waited; 0: nobody waits. */
  readonly oldestMs: number;
  /** Those of the same user and priority as the oldest, in this interval: others may be served before them. Undefined: nobody waits. */
  readonly line: Readonly<LineFigures> | undefined;
  /**
   * Clients wait because all servers that the pool can have are busy with others, and for no other reason: it is not paused, does
   * not grow, and its node is there.
   */
  readonly isAtCapacity: boolean;
}

/** Looks that are further apart than this: Weir itself was held up, which says nothing about the servers. */
const heldUpMs = 250;
/** A queue that is shorter than this part of what it was an interval ago is taken to end by itself. */
const notShorter = 0.9;
/** If more of the clients than this part of those served leave without a server, they do not have the time to wait. */
const manyGiveUp = 0.1;

/** What an interval begins with. */
type Beginning = Pick<QueueLook, 'nowMs' | 'waiting'>;
type OverloadSettings = Pick<PoolSettings, 'queueTargetMs' | 'queueIntervalMs' | 'queuePatienceMs'>;

export class Overload {
  /** Clients that were refused early, since the start. */
  refusals = 0;
  private current: OverloadState = 'healthy';
  /** Its number, and the clients served in it. */
  interval = 0;
  served = 0;
  /** In an overload, how long the oldest had waited, at the least. */
  private smallestMs = Infinity;
  private before: Beginning = { nowMs: 0, waiting: 0 };
  private endsMs = 0;
  private lookedMs = 0;
  /** Clients served per ms in the last whole interval. */
  private rate = 0;

  get state(): OverloadState {
    return this.current;
  }

  /** The pool may have more servers from now on: whether that is enough is seen after a whole interval. */
  grew(look: Beginning, settings: OverloadSettings): void {
    this.begin(look, settings);
  }

  /** @returns whether the state has changed */
  look(look: QueueLook, settings: OverloadSettings): boolean {
    const { nowMs, oldestMs, isAtCapacity, line } = look;
    const isHeldUp = nowMs - this.lookedMs > heldUpMs;
    this.lookedMs = nowMs;
    if (isHeldUp && this.current === 'healthy') this.begin(look, settings);
    const isWatched = isAtCapacity && oldestMs > 0 && settings.queueTargetMs > 0;
    if (!isWatched) {
      this.begin(look, settings);
      return this.current === 'overloaded' && this.move('another reason to wait');
    }
    // Those who come last are served first, so short waits of theirs say nothing: only the oldest can tell that it is over.
    if (this.current === 'overloaded') this.smallestMs = Math.min(this.smallestMs, oldestMs);
    if (nowMs < this.endsMs) return false;
    const { smallestMs } = this;
    this.rate = this.served / (nowMs - this.before.nowMs);
    const isHopeless = line !== undefined && (isGivenUp(line, oldestMs, settings) || this.isTooLate(look, settings));
    this.begin(look, settings);
    if (this.current === 'healthy') return isHopeless && this.move('clients wait in vain');
    return smallestMs <= settings.queueTargetMs && this.move('a wait within queue_target');
  }

  /** The oldest has waited for longer than clients do, and those behind it will, too. */
  private isTooLate({ waiting, oldestMs }: QueueLook, { queuePatienceMs }: OverloadSettings): boolean {
    return queuePatienceMs > 0 && oldestMs >= queuePatienceMs && waiting >= this.before.waiting * notShorter;
  }

  private begin({ nowMs, waiting }: Beginning, { queueIntervalMs }: OverloadSettings): void {
    this.interval++;
    this.smallestMs = Infinity;
    this.served = 0;
    this.before = { nowMs, waiting };
    this.endsMs = nowMs + queueIntervalMs;
  }

  private move(event: OverloadEvent): true {
    const next: Partial<Record<OverloadEvent, OverloadState>> = overloadStates[this.current];
    this.current = next[event] ?? this.current;
    return true;
  }

  /** When so many clients will have been served, at the rate of the last interval; ms, at least one interval. */
  drainMs(clients: number, { queueIntervalMs }: OverloadSettings): number {
    const ms = this.rate === 0 ? 0 : clients / this.rate;
    return Math.round(Math.min(Math.max(ms, queueIntervalMs), 60_000));
  }
}

/** The rule of CoDel, and that clients leave: as long as the order of arrival serves everybody in time, no other order is better. */
function isGivenUp(line: Readonly<LineFigures>, oldestMs: number, { queueTargetMs }: OverloadSettings): boolean {
  // Nobody was served in the whole interval: the oldest is the one with the shortest wait to come.
  const smallestMs = line.served === 0 ? oldestMs : line.smallestMs;
  return smallestMs > queueTargetMs && line.gaveUp > line.served * manyGiveUp;
}

/** How long a client may wait in an overload; ms. Clients that are refused come back, so not less than an interval, unless asked for. */
export function longestWaitMs(
  { queueTargetMs, queueIntervalMs, queuePatienceMs }: OverloadSettings,
  isLow: boolean,
): number {
  if (isLow) return 2 * queueTargetMs;
  return queuePatienceMs > 0 ? queuePatienceMs : Math.max(2 * queueTargetMs, queueIntervalMs);
}
