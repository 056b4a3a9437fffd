/**
 * The databases that clients can name: the configured ones, made at once, and those of "*", made when a client first names
 * one.
 */
import type { PeersDdl } from '../cache/shared-stamps.ts';
import type { Config, DatabaseConfig, NodeConfig } from '../config/config.ts';
import type { ServerConnection } from '../backend/server.ts';
import type { Budgets } from '../pool/budget-types.ts';
import { limitRepeats } from '../observability/bounded-log.ts';
import type { LostBackend } from '../topology/types.ts';
import { ServerMonitors } from '../topology/server-monitors.ts';
import type { SharedMonitors } from '../workers/shared-monitors.ts';
import { DatabaseRuntime } from './database.ts';
import type { Shared } from './shared.ts';

/** A database of "*" is removed after this time without a client. */
const forgetAfterMs = 60_000;
/** The same without any successful log-in: its name may be a typing error. Longer than pool/logins.ts keeps a refusal. */
const forgetUnprovenAfterMs = 5_000;
/** Limit of databases of "*" without a successful log-in. */
const mostUnproven = 100;

export class Directory {
  private readonly databases = new Map<string, DatabaseRuntime>();
  private readonly shared: Shared;
  /** By an operator who is connected to another worker. */
  private readonly opened = new Set<string>();

  /** Undefined: this process is the whole Weir. */
  private readonly workers: SharedMonitors | undefined;

  constructor(
    shared: Omit<Shared, 'monitors' | 'sharedCatalogs' | 'onLoginRefused' | 'said' | 'loginLog'>,
    workers: SharedMonitors | undefined,
  ) {
    this.workers = workers;
    this.shared = {
      ...shared,
      config: () => shared.config(),
      monitors: workers ?? new ServerMonitors(),
      sharedCatalogs: workers,
      onLoginRefused: (database, node, user) => workers?.loginRefused(database, node, user),
      said: new Map(),
      loginLog: limitRepeats(shared.services.log, shared.services.nowMs),
    };
  }

  open(config: Config): void {
    for (const [name, database] of config.databases) {
      if (name !== '*') this.databases.set(name, new DatabaseRuntime(name, database, this.shared));
    }
  }

  admits(name: string): 'ok' | 'unknown' | 'disabled' {
    if (this.configOf(name) === undefined) return 'unknown';
    return this.databases.get(name)?.isDisabled === true ? 'disabled' : 'ok';
  }

  private configOf(name: string): DatabaseConfig | undefined {
    const { databases } = this.shared.config();
    return databases.get(name) ?? databases.get('*');
  }

  /** @returns undefined: there is no such database */
  find(name: string): DatabaseRuntime | undefined {
    const known = this.databases.get(name);
    if (known !== undefined) return known;
    const config = this.configOf(name);
    if (config === undefined) return undefined;
    this.makeRoom();
    const database = new DatabaseRuntime(name, config, this.shared);
    this.databases.set(name, database);
    this.shared.serverLog?.autoDatabase(name);
    return database;
  }

  get budgets(): Budgets {
    return this.shared.budgets;
  }

  /** For PAUSE and the like: another worker has this database by the entry "*", and this one must obey, too. */
  openForOperator(name: string): void {
    if (this.find(name) !== undefined && !this.shared.config().databases.has(name)) this.opened.add(name);
  }

  /** Limits memory when a client tries one made-up name after the other. */
  private makeRoom(): void {
    const { databases } = this.shared.config();
    const unproven = [...this.databases].filter(([name, database]) => !database.isProven && !databases.has(name));
    let surplus = unproven.length - mostUnproven + 1;
    for (const [name, database] of unproven) {
      if (surplus <= 0) return;
      if (this.isInUse(name, database)) continue;
      surplus--;
      void this.remove(name, database);
    }
  }

  /** Clients have it, here or at a worker for which this process watches it; or it must be remembered. */
  private isInUse(name: string, database: DatabaseRuntime): boolean {
    if (database.usage.clients > 0 || this.workers?.holds(name) === true) return true;
    // If it were forgotten, its next client here would not find it paused, or disabled.
    return this.opened.has(name) && (database.paused || database.isDisabled);
  }

  /**
   * The database for physical replication, which copies a whole server; libpq often names the database "replication". The
   * database of that name if it is configured, else any database, provided that all have the same primary.
   */
  ofServer(name: string): DatabaseRuntime | undefined {
    const { databases } = this.shared.config();
    if (databases.has(name)) return this.find(name);
    const servers = new Set([...databases.values()].map(({ primary }) => `${primary.host}:${primary.port}`));
    if (servers.size !== 1) return undefined;
    const first = [...databases.keys()].find((each) => each !== '*');
    // With "*" alone: every server has the database postgres.
    return this.find(first ?? 'postgres');
  }

  get(name: string): DatabaseRuntime | undefined {
    return this.databases.get(name);
  }

  all(): IterableIterator<DatabaseRuntime> {
    return this.databases.values();
  }

  /**
   * Called when another Weir process begins DDL or has run it.
   * @param prefix Catalog.tagPrefix of the database; undefined: it may have been any database
   */
  peersDdl(prefix: string | undefined, about: PeersDdl): void {
    this.shared.services.book.catalogChanged();
    for (const database of this.databases.values()) {
      if (prefix !== undefined && database.tagPrefix() !== prefix) continue;
      if (about === 'catalog, perhaps') database.topology.schema.hurry();
      else if (about === 'catalog, changed') database.topology.catalogChanged();
      else database.defaultsChangeElsewhere(about === 'defaults, decided');
    }
  }

  /** Called when a log-in has proven a new secret of the user: the user's pools try it at once. */
  credentialsChanged(user: string): void {
    for (const database of this.databases.values()) {
      for (const pool of database.pools()) if (pool.user === user) pool.tryAgain();
    }
  }

  ownerOf(server: ServerConnection): DatabaseRuntime | undefined {
    for (const database of this.databases.values()) {
      for (const pool of database.pools()) if (pool.servers().has(server)) return database;
    }
    return undefined;
  }

  /**
   * Resolves to the primary of a database as soon as one is known. A client that has not logged in yet must not create a
   * database of "*": if it does not exist yet, the configured primary is returned. Rejects with the reason of `signal`.
   */
  primaryOf(name: string, signal: AbortSignal): Promise<NodeConfig> {
    const database = this.databases.get(name);
    database?.monitored.begin();
    const topology = database?.topology;
    const configured = this.configOf(name)?.primary;
    if (topology === undefined) {
      return configured === undefined ? Promise.reject(new Error('it is gone')) : Promise.resolve(configured);
    }
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const { primary } = topology.snapshot();
        if (primary?.isUp !== true) return;
        leave();
        resolve(primary.config);
      };
      const giveUp = (): void => {
        leave();
        const why = topology.snapshot().nodes.map((node) => `${node.name}: ${node.problem ?? node.role}`);
        reject(new Error(`there is no primary to ask (${why.join('; ')})`, { cause: signal.reason }));
      };
      const leaveTopology = topology.onChange(look);
      const leave = (): void => {
        leaveTopology();
        signal.removeEventListener('abort', giveUp);
      };
      signal.addEventListener('abort', giveUp);
      look();
    });
  }

  /** Resolves when the backend, which another worker has left, has ended. Rejects if its database is not in use here. */
  async backendGone(name: string, backend: Omit<LostBackend, 'connectedAtMs'>): Promise<void> {
    const database = this.find(name);
    if (database === undefined) throw new Error(`there is no database "${name}"`);
    await database.topology.whenForeignGone(backend);
  }

  sweep(nowMs: number): void {
    const { databases } = this.shared.config();
    for (const [name, database] of this.databases) {
      database.sweep(nowMs);
      const keptMs = database.isProven ? forgetAfterMs : forgetUnprovenAfterMs;
      if (databases.has(name) || this.isInUse(name, database) || nowMs - database.usage.idleSinceMs < keptMs) continue;
      void this.remove(name, database);
    }
  }

  private remove(name: string, database: DatabaseRuntime): Promise<void> {
    this.databases.delete(name);
    this.opened.delete(name);
    this.shared.credentials.forget(name);
    return database.stop();
  }

  async reconfigure(before: Config, after: Config): Promise<void> {
    const isTopologyStale =
      JSON.stringify([before.tls.server, before.auth.user, before.routing.maxReplicaLagMs]) !==
      JSON.stringify([after.tls.server, after.auth.user, after.routing.maxReplicaLagMs]);
    for (const [name, database] of [...this.databases]) {
      const config = after.databases.get(name) ?? after.databases.get('*');
      if (config === undefined) {
        await this.remove(name, database);
      } else {
        await database.reconfigure(config, isTopologyStale);
      }
    }
    for (const [name, config] of after.databases) {
      if (name !== '*' && !this.databases.has(name))
        this.databases.set(name, new DatabaseRuntime(name, config, this.shared));
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.databases.values()].map((database) => database.stop()));
    this.databases.clear();
  }
}
