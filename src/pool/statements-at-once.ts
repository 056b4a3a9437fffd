/**
 * How many statements the servers of a pool run at once, and how many they may: what comes from a client without a server waits
 * in the queue when there are as many, although a server may be idle. A transaction that has begun has its server and never waits.
 * Part of wait-queue.ts; sizing/at-once-loop.ts finds the number.
 */
import type { ServerConnection } from '../backend/server.ts';
import { StatementMix } from './statement-mix.ts';

/** Since the last take(). */
export interface AtOnceFigures {
  /** Statements that ended. */
  readonly count: number;
  /** Those whose clients left in the middle of them. */
  readonly left: number;
  /** How long all of these took. */
  readonly latencyMs: number;
  /** What those that ended would have taken alone. */
  readonly aloneMs: number;
  /** Which they were. */
  readonly mix: StatementMix;
  /** On average over the looks, about ten a second. */
  readonly running: number;
  readonly isHoldingBack: boolean;
}

export class StatementsAtOnce {
  /** Infinity: as many as there are servers. */
  limit = Infinity;
  /** resize.mode is not off: what statements take is noted. */
  isMeasured = false;
  private abandoned = 0;
  private latencyMs = 0;
  private mix = new StatementMix();
  private looks = 0;
  private running = 0;
  private holding = 0;

  get isLimited(): boolean {
    return this.limit !== Infinity;
  }

  /** May no statement of a client without a server begin? */
  isFull(servers: ReadonlySet<ServerConnection>, inUse: number): boolean {
    return inUse >= this.limit && runningOn(servers) >= this.limit;
  }

  /** A statement has ended. @param aloneMs what it would have taken alone @param template its number */
  ended(latencyMs: number, aloneMs: number, template: number): void {
    this.latencyMs += latencyMs;
    this.mix.add(template, Math.min(aloneMs, latencyMs));
  }

  /** Its client has left in the middle of it: it took time, and was of use to nobody. */
  left(latencyMs: number): void {
    this.abandoned++;
    this.latencyMs += latencyMs;
  }

  /** Called about ten times a second. */
  look(servers: ReadonlySet<ServerConnection>, waiting: number): void {
    const running = runningOn(servers);
    this.looks++;
    this.running += running;
    if (waiting > 0 && running >= this.limit) this.holding++;
  }

  take(): AtOnceFigures {
    const { abandoned: left, latencyMs, mix, running, looks, holding } = this;
    this.abandoned = this.latencyMs = this.looks = this.running = this.holding = 0;
    this.mix = new StatementMix();
    const average = looks === 0 ? 0 : running / looks;
    const { count, aloneMs } = mix.total;
    return { count, left, latencyMs, aloneMs, mix, running: average, isHoldingBack: holding > 0 };
  }
}

/** All that a client has, but those whose client asks nothing in the middle of a transaction. */
function runningOn(servers: ReadonlySet<ServerConnection>): number {
  let running = 0;
  for (const server of servers) {
    const hasClient = server.state === 'active' || server.state === 'shared';
    if (hasClient && !server.isKeptIdle) running++;
  }
  return running;
}
