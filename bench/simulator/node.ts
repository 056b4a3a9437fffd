/**
 * A simulated PostgreSQL: how long statements take that run on it at the same time. Statements share its cores equally, and lose
 * a little to each other when there are more of them than cores; those that wait (pg_sleep, a remote server) take no core; those
 * that update one row follow each other.
 */
import type { Events } from './events.ts';

export interface Work {
  /** Which statement it is. */
  readonly template: string;
  /** On a core, alone. */
  readonly cpuMs: number;
  /** Without a core. */
  readonly waitMs: number;
  /** Part of the CPU time is under a lock that others want, too. */
  readonly hasLock: boolean;
}

export interface NodeModel {
  readonly cores: number;
  /** What each statement beyond the cores takes from all others: 0.005 is half a percent. */
  readonly penalty: number;
}

interface Running {
  /** The progress of all at which it is done. */
  readonly doneAt: number;
  readonly done: () => void;
}

/** One that was sent. */
interface Sent {
  isCancelled: boolean;
}

export class SimulatedNode {
  readonly model: NodeModel;
  private readonly events: Events;
  private running: Running[] = [];
  private readonly lockQueue: (() => void)[] = [];
  private isLocked = false;
  /** How far a statement has come that has run since the beginning; ms of CPU. */
  private progress = 0;
  private atMs = 0;
  private cancelNext: () => void = () => undefined;

  constructor(events: Events, model: NodeModel) {
    this.events = events;
    this.model = model;
  }

  /** Each statement takes so many times as long, alone. */
  slowness = 1;
  /** It takes no log-ins and no statements, and has ended all connections. */
  isDown = false;

  /** @returns ends it, unless it is over: nobody is told */
  run({ cpuMs, waitMs, hasLock }: Work, done: () => void): () => void {
    const sent: Sent = { isCancelled: false };
    const answer = (): void => {
      if (!sent.isCancelled) done();
    };
    if (waitMs > 0) this.events.after(waitMs, () => sent.isCancelled || this.runOnCpu(cpuMs, hasLock, sent, answer));
    else this.runOnCpu(cpuMs, hasLock, sent, answer);
    return () => {
      sent.isCancelled = true;
      this.drop(answer);
    };
  }

  private runOnCpu(cpuMs: number, hasLock: boolean, sent: Sent, done: () => void): void {
    if (cpuMs === 0) return done();
    if (!hasLock) return this.add(cpuMs, done);
    const locked = (): void => {
      if (sent.isCancelled) return this.unlock();
      this.isLocked = true;
      // Who waits for a lock is woken, looks whether it has it, and sleeps again: with many, that takes time. One that has it and is
      // cancelled keeps it until then: it rolls back.
      this.add(cpuMs * (1 + 0.02 * this.lockQueue.length), () => {
        this.unlock();
        done();
      });
    };
    if (this.isLocked) this.lockQueue.push(locked);
    else locked();
  }

  private unlock(): void {
    this.isLocked = false;
    this.lockQueue.shift()?.();
  }

  private drop(done: () => void): void {
    if (!this.running.some((each) => each.done === done)) return;
    this.passTime();
    this.running = this.running.filter((each) => each.done !== done);
    this.planNext();
  }

  private add(cpuMs: number, done: () => void): void {
    this.passTime();
    this.running.push({ doneAt: this.progress + cpuMs * this.slowness, done });
    this.planNext();
  }

  /** Progress in each ms of time. */
  private get rate(): number {
    const { cores, penalty } = this.model;
    const count = this.running.length;
    return Math.min(1, cores / Math.max(1, count)) / (1 + penalty * Math.max(0, count - cores));
  }

  private passTime(): void {
    const now = this.events.nowMs();
    this.progress += (now - this.atMs) * this.rate;
    this.atMs = now;
  }

  private planNext(): void {
    this.cancelNext();
    if (this.running.length === 0) return;
    const first = Math.min(...this.running.map(({ doneAt }) => doneAt));
    this.cancelNext = this.events.after((first - this.progress) / this.rate, () => this.finish());
  }

  private finish(): void {
    this.passTime();
    const nearly = this.progress + 1e-6;
    const over = this.running.filter(({ doneAt }) => doneAt <= nearly);
    this.running = this.running.filter(({ doneAt }) => doneAt > nearly);
    this.planNext();
    for (const { done } of over) done();
  }
}
