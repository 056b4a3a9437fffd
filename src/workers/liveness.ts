/**
 * Whether the event loops of the workers run: asks each twice a second. In the supervisor, made by lead.ts.
 */
import type { WorkerChannel } from './messages.ts';

const askEveryMs = 500;

type Asked = Pick<WorkerChannel, 'ask'>;

interface Answers {
  lastAtMs: number;
  askedAtMs: number;
  isDue: boolean;
}

export class Liveness {
  private readonly nowMs: () => number;
  private readonly answers = new WeakMap<Asked, Answers>();
  private sweptAtMs = -Infinity;

  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  /** For how long the worker has not answered; 0: it was never asked. */
  silentMs(worker: Asked): number {
    const answers = this.answers.get(worker);
    return answers === undefined ? 0 : this.nowMs() - answers.lastAtMs;
  }

  /** Call several times a second, with all that can answer. */
  sweep(workers: Iterable<Asked>): void {
    const now = this.nowMs();
    // This process was stalled itself: answers may wait unread.
    const wasStalled = now - this.sweptAtMs > askEveryMs;
    this.sweptAtMs = now;
    for (const worker of workers) {
      const answers = this.of(worker, now);
      if (wasStalled) answers.lastAtMs = now;
      if (!answers.isDue && now - answers.askedAtMs >= askEveryMs) this.ask(worker, answers);
    }
  }

  private of(worker: Asked, now: number): Answers {
    let answers = this.answers.get(worker);
    if (answers === undefined) {
      answers = { lastAtMs: now, askedAtMs: -Infinity, isDue: false };
      this.answers.set(worker, answers);
    }
    return answers;
  }

  private ask(worker: Asked, answers: Answers): void {
    answers.isDue = true;
    answers.askedAtMs = this.nowMs();
    const answered = (): void => {
      answers.isDue = false;
      answers.lastAtMs = this.nowMs();
    };
    worker.ask('alive', undefined).then(answered, () => undefined);
  }
}
