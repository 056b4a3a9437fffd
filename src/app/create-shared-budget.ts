/**
 * Makes what shares the connections of servers with other Weirs (shared-budget.ts), for a Weir of one process or of several
 * workers. Called by parts.ts.
 */
import type { Log } from '../observability/types.ts';
import { NodeBudgets } from '../pool/budget.ts';
import { systemClock } from '../util/clock.ts';
import type { LeasedPlaces } from '../workers/leased-places.ts';
import { RemoteShares } from '../workers/remote-shares.ts';
import type { SharedMonitors } from '../workers/shared-monitors.ts';
import type { WorkerLink } from '../workers/worker-link.ts';
import type { Current } from './current.ts';
import type { Directory } from './directory.ts';
import { LocalShares } from './local-shares.ts';
import { SharedBudget } from './shared-budget.ts';

export interface SharedBudgetParts {
  readonly current: Current;
  readonly directory: Directory;
  readonly log: Log;
  /** Undefined: this process is the whole Weir. */
  readonly worker: WorkerLink | undefined;
  readonly shared: { readonly places: LeasedPlaces; readonly monitors: SharedMonitors } | undefined;
}

export function createSharedBudget(parts: SharedBudgetParts): SharedBudget {
  const { current, directory, log, worker, shared } = parts;
  const { nowMs } = systemClock;
  const common = {
    config: () => current.config,
    *topologies() {
      for (const { topology } of directory.all()) yield topology;
    },
    log,
    nowMs,
  };
  if (worker !== undefined && shared !== undefined) {
    const { places, monitors } = shared;
    const keeper = new RemoteShares(worker.channel);
    return new SharedBudget({
      ...common,
      budgets: places,
      local: undefined,
      keeper,
      leadTerm: () => monitors.leadTerm,
    });
  }
  const { budgets } = directory;
  if (!(budgets instanceof NodeBudgets)) throw new Error('the places are those of a worker');
  const local: LocalShares = new LocalShares({
    budgets,
    nowMs,
    short: (server) => budget.short(server),
    whenGone: (server, processId) => budget.whenGone(server, processId),
  });
  const options = { ...common, budgets, local, keeper: local.book, leadTerm: () => 0 };
  const budget: SharedBudget = new SharedBudget(options);
  return budget;
}
