/**
 * What succession.ts asks when this supervisor hands over: whether it can be now, and its state. Made by supervisor.ts.
 */
import { WeirError } from '../errors/errors.ts';
import type { Fleet } from './fleet.ts';
import type { ForAll } from './for-all.ts';
import type { RollingRestart } from './rolling-restart.ts';
import type { HandOver } from './succession.ts';
import type { SupervisorState } from './succession-messages.ts';
import type { Switchboard } from './switchboard.ts';
import type { WorkerBody } from './worker-body.ts';
import type { WorkerProcess } from './worker-process.ts';

export interface HandingOverParts {
  readonly fleet: Fleet;
  readonly forAll: ForAll;
  readonly switchboard: Switchboard;
  readonly restarts: RollingRestart;
  /** Weir neither starts nor ends. */
  isServing(): boolean;
}

type NumberOf = (body: WorkerBody) => number | undefined;

export class HandingOver implements HandOver {
  private readonly parts: HandingOverParts;

  constructor(parts: HandingOverParts) {
    this.parts = parts;
  }

  problem(numberOf: NumberOf): string | undefined {
    const { fleet, isServing } = this.parts;
    if (!isServing()) return 'Weir ends';
    if (fleet.problem !== undefined) return fleet.problem;
    for (const worker of this.workers())
      if (worker.since() === undefined || numberOf(worker.body) === undefined)
        return `worker ${worker.number} was not started by the new supervisor, or has ended`;
    return undefined;
  }

  isAtRest(): boolean {
    return this.workers().every(({ channel }) => channel.unanswered === 0);
  }

  isSettled(): boolean {
    return this.parts.switchboard.sizesVersion !== undefined;
  }

  refuseUnanswered(): void {
    for (const { channel } of this.workers()) channel.refuseUnanswered(meanwhile);
  }

  state(numberOf: NumberOf): SupervisorState {
    const { fleet, forAll, switchboard, restarts } = this.parts;
    const shared = forAll.state();
    const workers = this.workers().flatMap((worker) => {
      const [number, since] = [numberOf(worker.body), worker.since()];
      if (number === undefined || since === undefined) return [];
      return [{ worker: number, since, forAll: forAll.stateOf(worker) }];
    });
    return {
      workers,
      fleet: fleet.state(),
      forAll: shared,
      switchboard: switchboard.state(),
      restarts: restarts.rowsAfter(),
    };
  }

  private workers(): WorkerProcess[] {
    return [...this.parts.fleet.alive()];
  }
}

/** For an operator whose command was under way. */
const meanwhile = (): Error =>
  new WeirError('console_refused', { what: 'the supervisor was replaced meanwhile; the same command again' });
