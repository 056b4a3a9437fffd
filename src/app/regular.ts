/**
 * The parts that do something every so often, by a timer of their own; with several workers, most of them only in the lead. Made
 * by parts.ts, started and stopped by lifecycle.ts.
 */
import type { ConsoleSources } from '../console/sources.ts';
import type { Log, StatsSources } from '../observability/types.ts';
import type { Pool } from '../pool/pool.ts';
import { systemClock } from '../util/clock.ts';
import type { SharedMonitors } from '../workers/shared-monitors.ts';
import type { WorkerLink } from '../workers/worker-link.ts';
import { Budgets } from './budgets.ts';
import { createSharedBudget, type SharedBudgetParts } from './create-shared-budget.ts';
import type { Current } from './current.ts';
import { Decodings } from './decodings.ts';
import type { Directory } from './directory.ts';
import { isMonitorIdle } from './monitor-idle.ts';
import { createResizing, type Resizing } from './resizing.ts';
import type { AppServices } from './services.ts';

export interface Regular {
  readonly resizing: Resizing;
  readonly budgets: Budgets;
  readonly connections: ReturnType<typeof createSharedBudget>;
  readonly decodings: Decodings;
}

export interface RegularParts {
  readonly current: Current;
  readonly log: Log;
  /** Undefined: this process is the whole Weir. */
  readonly worker: WorkerLink | undefined;
  readonly shared: (SharedBudgetParts['shared'] & { readonly monitors: SharedMonitors }) | undefined;
  readonly directory: Directory;
  readonly services: AppServices;
  /** The figures of this process. */
  readonly sources: ConsoleSources;
  /** Those of all workers; undefined: this process is the whole Weir. */
  readonly totals: (() => Promise<StatsSources>) | undefined;
  onError(error: unknown): void;
}

export function createRegular(parts: RegularParts): Regular {
  const { current, directory, log, worker, shared } = parts;
  return {
    resizing: makeResizing(parts),
    budgets: makeBudgets(parts),
    connections: createSharedBudget({ current, directory, log, worker, shared }),
    decodings: makeDecodings(parts),
  };
}

/** Number of the time for which this worker is the lead; undefined: it is not. 0 where there is one process. */
const leadTermOf = (shared: RegularParts['shared']) => (): number | undefined =>
  shared === undefined ? 0 : shared.monitors.leadTerm;

function makeBudgets({ current, sources, totals, shared, worker, services, log, onError }: RegularParts): Budgets {
  return new Budgets({
    config: () => current.config,
    own: () => sources,
    gather: totals,
    leadTerm: leadTermOf(shared),
    channel: worker?.channel,
    inForce: services.budgetActions,
    log,
    nowMs: systemClock.nowMs,
    onError,
  });
}

function makeDecodings({ current, directory, services, log, worker, shared, onError }: RegularParts): Decodings {
  const { cache } = services;
  return new Decodings({
    config: () => current.config,
    ...{ directory, cache, log, channel: worker?.channel, leadTerm: leadTermOf(shared), onError },
  });
}

function makeResizing({ current, worker, log, shared, sources, directory, services, onError }: RegularParts): Resizing {
  return createResizing({
    current,
    log,
    sources: {
      pools: () => sources.pools() as Iterable<Pool>,
      topologies: () => sources.topologies(),
      isLimitUnasked: () => isMonitorIdle(current.config, {}),
      poolSettings: (name, user) => directory.get(name)?.poolSettings(user) ?? current.config.pool,
    },
    forecast: services.forecast,
    budgetActions: services.budgetActions,
    worker: worker && shared && { link: worker, leadTerm: () => shared.monitors.leadTerm },
    onError,
  });
}
