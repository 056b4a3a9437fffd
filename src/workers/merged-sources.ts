/**
 * The figures of all workers in the form in which console and metrics read those of one process. Pure; actions are in
 * all-workers.ts.
 */
import type { ConsoleActions, ConsoleSources } from '../console/sources.ts';
import type { Slot } from '../observability/page/slot-types.ts';
import type { ServingState, WorkerFigures } from '../observability/types.ts';
import type { ClientStats } from '../session/types.ts';
import type { NodeState, TopologySnapshot } from '../topology/types.ts';
import { figureRules } from './figure-rules.ts';
import { onClock, type Figures, type TopologyFigures } from './figures.ts';
import { addPast, type PastFigures } from './past.ts';

/** What the supervisor knows of a worker by itself. */
export type WorkerInfo = Pick<WorkerFigures, 'number' | 'pid' | 'state' | 'startedAtMs' | 'restarts' | 'deaths'>;

/** The figures of all workers, as the supervisor has gathered them. */
export interface Gathered {
  /** Without figures: it has not started yet, or has not answered. At least one has figures. */
  readonly workers: readonly { readonly info: WorkerInfo; readonly figures: Figures | undefined }[];
  /** What workers that are gone, or silent, have counted. */
  readonly past: PastFigures;
  readonly silent: readonly number[];
  /** The whole Weir takes no new clients any more. */
  readonly isDraining: boolean;
  /** Changes of the sizes of pools, by direction and reason. */
  readonly resizes: Readonly<Record<string, number>>;
  /** For the page, if that was asked for. A supervisor of an older version does not say. */
  readonly slots?: readonly Slot[] | undefined;
}

export type ConsoleReads = Omit<ConsoleSources, keyof ConsoleActions>;

/** @param list at least one */
export function joinFigures(list: readonly Figures[]): Figures {
  const [head, ...rest] = list;
  if (head === undefined) throw new Error('no worker has given its figures');
  return rest.reduce((a, b) => figureRules.join(a, b), head);
}

/** @param nowMs monotonic time of this process, which times in the figures are then relative to */
export function mergeFigures(gathered: Gathered, nowMs: number): ConsoleReads {
  const { workers, past, silent, isDraining, resizes, slots } = gathered;
  const known = workers.flatMap(({ figures }) => (figures === undefined ? [] : [onClock(figures, nowMs)]));
  const all = addPast(joinFigures(known), past);
  const serving: ServingState = { ...all.serving, isDraining: isDraining || all.serving.isDraining };
  return {
    version: all.version,
    maxClientConn: all.maxClientConn,
    isDraining: serving.isDraining,
    isSuspended: serving.isSuspended === true,
    pools: () => all.pools.map(({ stats, waits }) => ({ stats: () => stats, waitHistogram: () => waits })),
    clients: () => clientsOf(all),
    servers: () => all.servers,
    replicationServers: () => all.replicationServers,
    databases: () => all.databases,
    databaseStats: () => all.databaseStats,
    topologies: () => all.topologies.map(topologyOf),
    cacheStats: () => all.cacheStats,
    stuck: () => all.stuck,
    memory: () => all.memory,
    limits: () => all.limits,
    // Workers of an older version do not say.
    connectionBudget: () => (all as Partial<Figures>).connectionBudget ?? [],
    budgets: () => all.budgets,
    decodings: () => (all as Partial<Figures>).decodings ?? [],
    forecast: () => all.forecast,
    statements: () => all.statements,
    settings: () => all.settings,
    users: () => all.users,
    preparedStatements: () => all.prepared,
    console: () => all.console ?? { clients: [], logins: 0, queries: 0 },
    workers: () => workers.map(({ info, figures }) => workerRow(info, figures)),
    periods: all.periods,
    whole: { process: { ...all.process, resizes }, serving, silent },
    slots,
  };
}

function* clientsOf({ clients }: Figures): Generator<ClientStats> {
  for (const { client, count } of clients) for (let i = 0; i < count; i++) yield client;
}

function topologyOf(figures: TopologyFigures): {
  readonly database: string;
  readonly isSettled: boolean;
  snapshot(): TopologySnapshot;
} {
  const { database, isSettled, epoch, nodes } = figures;
  const named = new Map(nodes.map((node) => [node.name, node]));
  const replicas = figures.replicas.flatMap((name): readonly NodeState[] => {
    const node = named.get(name);
    return node === undefined ? [] : [node];
  });
  const primary = figures.primary === undefined ? undefined : named.get(figures.primary);
  return { database, isSettled, snapshot: () => ({ database, primary, replicas, nodes, epoch }) };
}

function workerRow(info: WorkerInfo, figures: Figures | undefined): WorkerFigures {
  const clients = figures?.clients.reduce((sum, { count }) => sum + count, 0);
  return {
    ...info,
    version: figures?.version,
    clients,
    servers: figures?.servers.length,
    process: figures?.process,
    memory: figures?.memory,
  };
}
