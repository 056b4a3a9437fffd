/**
 * Implements the actions of the admin console on the databases, pools and clients of this process.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { changeSetting } from '../config/change.ts';
import type {
  ConsoleActions,
  ExplainRequest,
  ExplainRow,
  InvalidateRequest,
  ResizeOutcome,
  ResizeRequest,
} from '../console/sources.ts';
import { WeirError } from '../errors/errors.ts';
import { resized, type PoolSize } from '../pool/bounds.ts';
import type { Invalidated } from '../cache/types.ts';
import type { Tag } from '../binding/plan.ts';
import { explainStatement } from '../request/explain.ts';
import type { SourceParts } from './console-sources.ts';
import type { DatabaseRuntime } from './database.ts';
import { Suspending } from './suspending.ts';
import { changedNodes, tryNode } from './node-changes.ts';
import type { WorkerLink } from '../workers/worker-link.ts';
import type { Config } from '../config/config.ts';

export interface ActionParts extends SourceParts {
  /** Reads the configuration file again and applies it; throws a WeirError when it is bad. */
  reload(): Promise<readonly string[]>;
  apply(config: Config): Promise<void>;
  shutdown(mode: 'now' | 'wait-for-servers' | 'wait-for-clients'): Promise<void>;
  /** Undefined: this process is the whole Weir. */
  readonly worker: Pick<WorkerLink, 'channel'> | undefined;
}

const pollMs = 20;

type Chosen = (name: string | undefined) => DatabaseRuntime[];

export function createActions(parts: ActionParts): ConsoleActions {
  const chosen: Chosen = (name) => {
    if (name === undefined) return [...parts.directory.all()];
    const database = parts.directory.get(name);
    if (database === undefined) throw refused(`there is no database "${name}"`);
    return [database];
  };
  const suspending = new Suspending(parts, until);
  return {
    ...pausing(chosen),
    suspend: (signal) => suspending.begin(signal),
    endSuspend: async () => suspending.end(),
    ...killing(parts, chosen),
    reload: () => parts.reload(),
    shutdown: (mode) => parts.shutdown(mode),
    ...restarting(parts),
    async setDraining(node, isDraining) {
      let isFound = false;
      for (const database of parts.directory.all())
        isFound = database.topology.setDraining(node, isDraining) || isFound;
      return isFound;
    },
    resizePool: async (request) => resizePools(chosen, request, !parts.config().resize.enabled),
    async setSetting(key, value, also) {
      const changed = changeSetting(parts.config(), key, value, also);
      if ('problem' in changed) throw refused(changed.problem);
      await parts.apply(changed.config);
    },
    tryNode: (added) => tryNode(parts.config(), added, parts.directory.all()),
    async changeNodes(change) {
      await parts.apply(changedNodes(parts.config(), change, parts.directory.all()));
      return [];
    },
    invalidate: (request) => invalidate(parts, request),
    resetStatements: async () => parts.services.statements.reset(),
    explainRoute: (request) => explainRoute(parts, request),
  };
}

/** Polls every 20 ms for a condition that has no event. */
async function until(isDone: () => boolean, signal: AbortSignal): Promise<void> {
  while (!isDone()) {
    if (signal.aborted) throw refused('canceled');
    await sleep(pollMs);
  }
}

/** PAUSE, RESUME, DISABLE, ENABLE, RECONNECT and WAIT_CLOSE. */
function pausing(
  chosen: Chosen,
): Pick<ConsoleActions, 'pause' | 'resume' | 'disable' | 'enable' | 'reconnect' | 'waitClose'> {
  return {
    async pause(name, signal) {
      const databases = chosen(name);
      for (const database of databases) database.pause();
      await until(
        () => databases.every((database) => [...database.pools()].every((pool) => pool.servers().size === 0)),
        signal,
      );
    },
    async resume(name) {
      for (const database of chosen(name)) database.resume();
    },
    async disable(name) {
      for (const database of chosen(name)) database.isDisabled = true;
    },
    async enable(name) {
      for (const database of chosen(name)) database.isDisabled = false;
    },
    async reconnect(name) {
      for (const database of chosen(name)) database.reconnect();
    },
    async waitClose(name, signal) {
      const databases = chosen(name);
      const isMarked = (database: DatabaseRuntime): boolean =>
        [...database.pools()].some((pool) => [...pool.servers()].some((server) => server.isCloseNeeded));
      await until(() => !databases.some(isMarked), signal);
    },
  };
}

function restarting({ worker }: ActionParts): Pick<ConsoleActions, 'restart' | 'restarts'> {
  return {
    async restart() {
      if (worker !== undefined) return worker.channel.ask('restart', undefined);
      throw refused(
        'this Weir is one process (workers: 1): there are no workers to replace one by one',
        'Start the new Weir beside this one (so_reuseport), or let systemd hold the sockets, and then drain this one: SIGTERM, or weir drain --wait. For most settings weir reload is enough.',
      );
    },
    restarts: async () => (worker === undefined ? [] : worker.channel.ask('restarts', undefined)),
  };
}

function killing({ clients }: ActionParts, chosen: Chosen): Pick<ConsoleActions, 'killClient' | 'killDatabase'> {
  return {
    async killClient(id) {
      const session = clients.get(id);
      session?.terminate(new WeirError('killed'));
      return session !== undefined;
    },
    async killDatabase(name) {
      const databases = new Set(chosen(name));
      for (const database of databases) database.pause('KILL');
      for (const session of clients.sessions()) {
        if (databases.has(session.database as DatabaseRuntime)) session.terminate(new WeirError('killed'));
      }
      const names = new Set([...databases].map((database) => database.name));
      for (const session of clients.replications()) {
        if (names.has(session.database)) session.terminate(new WeirError('killed'));
      }
      for (const database of databases) {
        for (const pool of database.pools()) for (const server of [...pool.servers()]) server.close('KILL');
      }
    },
  };
}

function resizePools(chosen: Chosen, request: ResizeRequest, isFixed: boolean): ResizeOutcome[] {
  const { min, max } = request;
  if (min !== undefined && max !== undefined && min > max) throw refused(`MIN ${min} is larger than MAX ${max}`);
  const outcomes = chosen(request.database).flatMap((database) => resizeDatabase(database, request, isFixed));
  if (outcomes.length === 0) {
    const user = request.user === undefined ? '' : `.${request.user}`;
    const node = request.node === undefined ? '' : ` on ${request.node}`;
    throw refused(
      `no pool of ${request.database}${user}${node} can be`,
      'SHOW POOLS lists the pools in use, SHOW DATABASES the users that databases force, SHOW NODES the nodes.',
    );
  }
  return outcomes;
}

async function explainRoute(
  { directory, services }: ActionParts,
  { sql, database, user }: ExplainRequest,
): Promise<readonly ExplainRow[]> {
  const known = [...directory.all()];
  const runtime = database === undefined ? (known.length === 1 ? known[0] : undefined) : directory.find(database);
  if (runtime === undefined)
    throw refused(database === undefined ? 'name a database: there are several' : `there is no database "${database}"`);
  await runtime.use();
  const forcedUser = runtime.configuration.primary.user ?? user;
  return explainStatement(runtime, services, forcedUser, sql);
}

/** Resizes existing pools at once, and later pools when they are made. */
function resizeDatabase(database: DatabaseRuntime, request: ResizeRequest, isFixed: boolean): ResizeOutcome[] {
  const { user, node: nodeName, min, max } = request;
  const bounds = { min, max, isFixed };
  const outcomes: ResizeOutcome[] = [];
  const why = [
    'RESIZE POOL by an operator',
    min === undefined ? '' : `MIN ${min}`,
    max === undefined ? '' : `MAX ${max}`,
  ];
  for (const node of database.topology.snapshot().nodes) {
    if ((nodeName ?? node.name) !== node.name) continue;
    const forced = node.config.user;
    if (forced !== undefined && user !== undefined && user !== forced) continue;
    const pools = [...database.poolsOf(node.name)].filter((pool) => (user ?? pool.user) === pool.user);
    for (const pool of pools) {
      const before = pool.limit;
      pool.setBounds(bounds, why.filter(Boolean).join(' '));
      const after = { after: pool.limit, min: pool.min, max: pool.max };
      outcomes.push({ database: database.name, user: pool.user, node: node.name, before, ...after });
    }
    if (pools.length > 0) continue;
    const { defaultPoolSize, minPoolSize, maxPoolSize } = database.poolSettings(forced ?? user ?? '*');
    let size: PoolSize = { limit: defaultPoolSize, min: minPoolSize, max: maxPoolSize };
    const whose = forced ?? user ?? '*';
    for (const kept of database.bounds.of(whose, node.name)) size = resized(size, { ...kept, isFixed });
    const { limit, ...rest } = resized(size, bounds);
    const toCome = { database: database.name, user: whose, node: node.name, isToCome: true } as const;
    outcomes.push({ ...toCome, before: size.limit, after: limit, ...rest });
  }
  if (outcomes.length > 0) database.bounds.keep({ user, node: nodeName, min, max });
  return outcomes;
}

async function invalidate(parts: ActionParts, request: InvalidateRequest): Promise<Invalidated> {
  const { cache } = parts.services;
  if (request.all) return cache.invalidateAll();
  const tags: Tag[] = request.tags.map((tag) => `t:${tag}`);
  for (const table of request.tables) {
    let isFound = false;
    for (const database of parts.directory.all()) {
      await database.use();
      const catalog = database.topology.catalog();
      const relation = catalog?.findRelation(table.schema, table.name, ['public']);
      if (catalog === undefined || relation === undefined) continue;
      tags.push(`${catalog.tagPrefix}r${relation.root}`);
      isFound = true;
    }
    if (!isFound) throw refused(`no database has a table ${table.schema ?? 'public'}.${table.name}`);
  }
  return cache.invalidate(tags, request.by ?? 'operator', request.patterns);
}

function refused(what: string, hint?: string): WeirError {
  return new WeirError('console_refused', { what }, hint);
}
