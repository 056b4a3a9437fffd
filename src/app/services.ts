/**
 * What every session of an app gets: see session/context.ts. Made by parts.ts.
 */
import { ActionsInForce } from '../budgets/actions.ts';
import { createBinder } from '../binding/binder.ts';
import type { ResultCache } from '../cache/types.ts';
import { TurnWriter } from '../net/turn.ts';
import { createLatencyBaselines } from '../routing/latency.ts';
import { PgbouncerConnectionLog, type ConnectionLog } from '../frontend/connection-log.ts';
import { Forecasting } from '../forecast/forecasting.ts';
import type { Services } from '../session/context.ts';
import { StatementBook } from '../session/statements.ts';
import type { StatementTracer } from '../statements/types.ts';
import { Statements } from '../statements/watch.ts';
import type { Classifier } from '../sql/facts.ts';
import { UnreadTexts } from '../sql/unread-texts.ts';
import { systemClock } from '../util/clock.ts';
import type { WorkerLink } from '../workers/worker-link.ts';
import type { Current } from './current.ts';
import { Limits } from './limits.ts';
import type { Logs } from './logs.ts';
import { PgbouncerServerLog, type ServerLog } from './server-log.ts';
import { Tracing, type TracingOptions } from './tracing.ts';
import { priorityOf } from './user-priority.ts';

export interface AppServices extends Services {
  /** Undefined: log.format does not ask for it. */
  readonly connections: ConnectionLog | undefined;
  /** Likewise. */
  readonly serverLog: ServerLog | undefined;
  readonly budgetActions: ActionsInForce;
  readonly limits: Limits;
  readonly statements: Statements;
  readonly tracing: Tracing;
  readonly forecast: Forecasting;
}

export interface ServicesOptions {
  readonly version: string;
  readonly current: Current;
  readonly logs: Logs;
  readonly classifier: Classifier;
  readonly cache: ResultCache;
  /** Undefined: this process is the whole Weir. */
  readonly worker: WorkerLink | undefined;
  noteUnexpected(error: unknown): void;
  readonly spansDropped: TracingOptions['count'];
}

/** Without limits, as in PgBouncer: fail2ban counts these lines. */
function connectionLog(logs: Logs): ConnectionLog {
  return new PgbouncerConnectionLog(logs.whole, systemClock.nowMs);
}

export function createServices(options: ServicesOptions): AppServices {
  const { current, logs, classifier, cache, worker } = options;
  const { routing, cache: settings, log } = current.config;
  const connections = log.format === 'pgbouncer' ? connectionLog(logs) : undefined;
  const functionCall = classifier.classify(Buffer.from('CALL function_call()'));
  const statements = new Statements({
    settings: current.config.statements,
    ...{ log: logs.log, epochMs: Date.now, random: Math.random },
  });
  const use = (tracer: StatementTracer | undefined): void => statements.traceWith(tracer);
  return {
    connections,
    serverLog: connections && new PgbouncerServerLog(logs.whole, systemClock.nowMs),
    ending: connections && ((host, port, error) => connections.ending(host, port, error)),
    turn: new TurnWriter(),
    classifier,
    binder: createBinder({ readOnlyFunctions: routing.readOnlyFunctions, cacheTables: settings.tables }),
    cache,
    book: new StatementBook(),
    baselines: createLatencyBaselines(),
    limits: new Limits({ worker, log: logs.log, nowMs: systemClock.nowMs, epochMs: Date.now }),
    statements,
    tracing: new Tracing({ version: options.version, log: logs.log, use, count: options.spansDropped }),
    forecast: new Forecasting({
      settings: () => current.config.forecast,
      nowMs: systemClock.nowMs,
      epochMs: Date.now,
      log: logs.log,
    }),
    functionCall,
    unread: new UnreadTexts(classifier, functionCall),
    sqlPrepared: classifier.classify(Buffer.from('EXECUTE "\u0001"')),
    nowMs: systemClock.nowMs,
    random: Math.random,
    routing: () => current.config.routing,
    budgetActions: new ActionsInForce(systemClock.nowMs),
    priorityOf: (user) => priorityOf(user, current.config),
    maxEntrySizeBytes: () => current.config.cache.maxEntrySizeBytes,
    unexpected: (error) => options.noteUnexpected(error),
    log: logs.log,
  };
}
