/**
 * Whether the event loops of the workers run: asks each twice a second. Whatever a worker says is a sign of life: when it gets many
 * connections, the question waits behind these. In the supervisor, made by lead.ts.
 */
import type { WorkerChannel } from './messages.ts';

const askEveryMs = 500;

type Asked = Pick<WorkerChannel, 'ask' | 'heard'>;

interface Signs {
  lastAtMs: number;
  /** What was heard by then. */
  heard: number;
  askedAtMs: number;
  isDue: boolean;
}

export class Liveness {
  private readonly nowMs: () => number;
  private readonly signs = new WeakMap<Asked, Signs>();
  private sweptAtMs = -Infinity;

  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  /** For how long the worker has said nothing; 0: it was never asked. */
  silentMs(worker: Asked): number {
    const signs = this.signs.get(worker);
    if (signs === undefined) return 0;
    this.look(worker, signs);
    return this.nowMs() - signs.lastAtMs;
  }

  /** Call several times a second, with all that can answer. */
  sweep(workers: Iterable<Asked>): void {
    const now = this.nowMs();
    // This process was stalled itself: what they said may wait unread.
    const wasStalled = now - this.sweptAtMs > askEveryMs;
    this.sweptAtMs = now;
    for (const worker of workers) {
      const signs = this.of(worker, now);
      if (wasStalled) signs.lastAtMs = now;
      this.look(worker, signs);
      if (!signs.isDue && now - signs.askedAtMs >= askEveryMs) this.ask(worker, signs);
    }
  }

  private of(worker: Asked, now: number): Signs {
    let signs = this.signs.get(worker);
    if (signs === undefined) {
      signs = { lastAtMs: now, heard: worker.heard, askedAtMs: -Infinity, isDue: false };
      this.signs.set(worker, signs);
    }
    return signs;
  }

  private look(worker: Asked, signs: Signs): void {
    if (worker.heard === signs.heard) return;
    signs.heard = worker.heard;
    signs.lastAtMs = this.nowMs();
  }

  private ask(worker: Asked, signs: Signs): void {
    signs.isDue = true;
    signs.askedAtMs = this.nowMs();
    worker.ask('alive', undefined).then(
      () => (signs.isDue = false),
      () => undefined,
    );
  }
}
