/**
 * Starts what sizes the pools: the resize controller (connections), of this process or of all workers, and the search for how many
 * statements may run at once, of each process for itself. Made by parts.ts.
 */
import type { ActionsInForce } from '../budgets/actions.ts';
import type { Forecasting } from '../forecast/forecasting.ts';
import { boundedLog, withoutFigures } from '../observability/bounded-log.ts';
import type { Log } from '../observability/types.ts';
import type { Pool } from '../pool/pool.ts';
import { poolInWords } from '../pool/resize-words.ts';
import { AtOnceLoop } from '../sizing/at-once-loop.ts';
import { createResizeLoop, type ResizeLoop, type ResizeSources } from '../sizing/resize-loop.ts';
import { systemClock } from '../util/clock.ts';
import type { WorkerLink } from '../workers/worker-link.ts';
import { WorkerResizing } from '../workers/worker-resizing.ts';
import type { Current } from './current.ts';

export interface ResizingParts {
  readonly current: Current;
  readonly log: Log;
  readonly sources: Pick<ResizeSources, 'topologies' | 'poolSettings' | 'isLimitUnasked'> & { pools(): Iterable<Pool> };
  readonly forecast: Forecasting;
  readonly budgetActions: Pick<ActionsInForce, 'why'>;
  /** Undefined: this process is the whole Weir. */
  readonly worker: { readonly link: WorkerLink; leadTerm(): number | undefined } | undefined;
  onError(error: unknown): void;
}

/** Above this share of its time the event loop of Weir is what clients wait for. */
const busyShare = 0.9;
/** A search that follows a changing load may say much. */
const lines = { burst: 10, windowMs: 60_000 };

export interface Resizing {
  start(): void;
  stop(): void;
}

export function createResizing(parts: ResizingParts): Resizing {
  const { current, log, sources, forecast, worker, onError } = parts;
  const settings = (): typeof current.config.resize => current.config.resize;
  const raiseWhy = (database: string): string | undefined => parts.budgetActions.why('raise_pool', database);
  const ofConnections: ResizeSources = { ...sources, settings: () => ({ ...settings(), raiseWhy }) };
  const loop: ResizeLoop =
    worker === undefined
      ? createResizeLoop({ sources: ofConnections, clock: systemClock, forecast, onError })
      : new WorkerResizing({
          channel: worker.link.channel,
          leadTerm: worker.leadTerm,
          sources: ofConnections,
          forecast,
          nowMs: systemClock.nowMs,
          onError,
        });
  const atOnceLog = boundedLog(log, { nowMs: systemClock.nowMs, kindOf: withoutFigures, ...lines });
  const atOnce = new AtOnceLoop({
    pools: sources.pools,
    mode: () => settings().mode,
    isBusy: busySinceLastAsked(),
    nowMs: systemClock.nowMs,
    say: ({ database, user, node }, message, change) =>
      atOnceLog.log('info', 'statements_at_once', `${poolInWords({ database, user, node })}: ${message}`, {
        ...{ database, user, node },
        ...(change !== undefined && { from: change.from, to: change.to }),
      }),
    onError,
  });
  return {
    start() {
      loop.start();
      atOnce.start();
    },
    stop() {
      loop.stop();
      atOnce.stop();
    },
  };
}

function busySinceLastAsked(): () => boolean {
  let before = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    return utilization > busyShare;
  };
}
