/**
 * Replaces the supervisor itself, in a restart: starts the next one before the workers, has it start the new workers, and
 * gives it all state when no old worker is left. Until then this supervisor decides everything, and goes on if the next one
 * fails. Made by supervisor.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FixedSettings } from '../config/change.ts';
import type { OpenListener } from './listening.ts';
import type { EndMode } from './messages.ts';
import { NextSupervisor } from './next-supervisor.ts';
import { hopelessAfter, WeirEnds } from './restarts.ts';
import type { SupervisorState } from './succession-messages.ts';
import type { StartsSuccessor } from './supervisor-ports.ts';
import type { WorkerBody } from './worker-body.ts';
import type { WorkerPost } from './worker-link.ts';

export interface SuccessionOptions {
  readonly parent: StartsSuccessor;
  readonly fixed: FixedSettings;
  listeners(): readonly OpenListener[];
  /** The next supervisor does not take over: this one goes on. */
  goesOn(): void;
}

/** What the supervisor knows when it wants to hand over. */
export interface HandOver {
  /** Why not now, in words: a worker does not serve. @param numberOf of a worker that the next supervisor has started */
  problem(numberOf: (body: WorkerBody) => number | undefined): string | undefined;
  /** No question of a worker waits for its answer. */
  isAtRest(): boolean;
  /** No operator's change of the configuration or of sizes is under way. */
  isSettled(): boolean;
  /** Gives up what is not at rest. */
  refuseUnanswered(): void;
  state(numberOf: (body: WorkerBody) => number | undefined): SupervisorState;
}

/** So long the workers wait for what is under way. */
const restWithinMs = 200;
const againAfterMs = 100;
/** After so many tries, questions are given up: an operator's PAUSE may wait for very long. */
const patientTries = 20;
/** So long a worker may not serve, or a change be under way, until the supervisor stays the old one. */
const handOverWithinMs = 60_000;

export class Succession {
  private readonly options: SuccessionOptions;
  /** The one that starts new workers. */
  private next: NextSupervisor | undefined;
  /** All whose process has not ended. */
  private readonly all = new Set<NextSupervisor>();
  private isStopped = false;

  constructor(options: SuccessionOptions) {
    this.options = options;
  }

  /** Starts the next supervisor. Rejects with words for the operator. */
  async prepare(): Promise<readonly string[]> {
    for (let tries = 1; ; tries++) {
      if (this.isStopped) throw new WeirEnds();
      const { parent, fixed } = this.options;
      const next = new NextSupervisor(parent.start(this.options.listeners(), fixed));
      this.all.add(next);
      void next.whenEnded.then(() => this.all.delete(next));
      const problem = await next.whenStarted;
      if (problem === undefined) return (this.next = next).kept;
      next.kill();
      if (tries >= hopelessAfter) throw new Error(`${tries} times in a row, the new supervisor ${problem}`);
    }
  }

  /** Starts a worker in the next supervisor; undefined: there is none. */
  fork(post: WorkerPost): WorkerBody | undefined {
    return this.next?.isUsable === true ? this.next.fork(post) : undefined;
  }

  /** The restart is over without it. It ends when its last worker has. */
  dismiss(): void {
    this.next?.dismiss();
    this.next = undefined;
  }

  /** Resolves to the next supervisor when that works. Rejects with words for the operator: this one goes on. */
  async handOver(what: HandOver): Promise<NextSupervisor> {
    const { next } = this;
    try {
      if (next?.isUsable !== true) throw new Error('the new supervisor has ended');
      await this.tryUntilDone(next, what);
      return next;
    } catch (error) {
      this.dismiss();
      this.options.goesOn();
      throw error;
    }
  }

  private async tryUntilDone(next: NextSupervisor, what: HandOver): Promise<void> {
    const numberOf = (body: WorkerBody): number | undefined => next.numberOf(body);
    const untilMs = performance.now() + handOverWithinMs;
    for (let tries = 1; ; tries++) {
      const problem = what.problem(numberOf) ?? (await this.tryOnce(next, what, tries > patientTries));
      if (problem === undefined) return;
      if (this.isStopped) throw new Error('Weir ends');
      if (performance.now() > untilMs) throw new Error(problem);
      await sleep(againAfterMs);
    }
  }

  /** Resolves to why not. Rejects when another try is of no use. */
  private async tryOnce(next: NextSupervisor, what: HandOver, isImpatient: boolean): Promise<string | undefined> {
    await next.freeze();
    const numberOf = (body: WorkerBody): number | undefined => next.numberOf(body);
    const restUntilMs = performance.now() + restWithinMs;
    while (!(what.isAtRest() && what.isSettled()) && performance.now() < restUntilMs) await sleep(1);
    const problem = this.isStopped ? 'Weir ends' : (what.problem(numberOf) ?? unsettled(what, isImpatient));
    if (problem !== undefined) {
      next.thaw();
      return problem;
    }
    what.refuseUnanswered();
    await next.takeOver(what.state(numberOf));
    return undefined;
  }

  /** It has taken over, and this supervisor was told to end meanwhile. */
  shutDown(mode: EndMode): void {
    this.next?.shutDown(mode);
  }

  /** Weir ends: no other supervisor is started. */
  stop(): void {
    this.isStopped = true;
    for (const next of this.all) next.dismiss();
  }

  /** Call it when no worker is left. */
  async end(withinMs: number): Promise<void> {
    this.stop();
    const timer = setTimeout(() => {
      for (const next of this.all) next.kill();
    }, withinMs);
    await Promise.all([...this.all].map(({ whenEnded }) => whenEnded));
    clearTimeout(timer);
  }
}

function unsettled(what: HandOver, isImpatient: boolean): string | undefined {
  if (!what.isSettled()) return 'a change of the configuration is under way all the time';
  return what.isAtRest() || isImpatient ? undefined : 'workers wait for answers all the time';
}
