/**
 * One database, by the name that clients use: its topology, its pools, the sessions that wait for a node. Implements what a
 * session needs of a database (session/context.ts). Made by directory.ts; stopping it stops all that it holds.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { DatabaseConfig, NodeConfig, PoolSettings } from '../config/config.ts';
import { nodesOf } from '../config/node-changes.ts';
import { isOtherSize, type KeptBounds } from '../pool/bounds.ts';
import type { Reserved } from '../pool/budget-types.ts';
import type { Pool } from '../pool/pool.ts';
import type { ResizeRecord } from '../pool/types.ts';
import type { ClientSession } from '../request/client.ts';
import type { Database, Parked } from '../session/context.ts';
import { countTags } from '../request/count.ts';
import { newDatabaseStats } from '../session/database-stats.ts';
import { SharedBySessions } from '../session/shared-by-sessions.ts';
import { WelcomeDesk } from '../session/welcome.ts';
import type { NodeState, Topology } from '../topology/types.ts';
import { Cancels } from './cancels.ts';
import { DatabaseNodes } from './database-nodes.ts';
import { DatabasePools } from './database-pools.ts';
import { CurrentTopology } from './database-topology.ts';
import { forgetAnswers } from './forget-answers.ts';
import { changesOf, logNodeChanges } from './node-log.ts';
import { ServerLogins } from './server-logins.ts';
import { DefaultsKeeper } from './session-defaults.ts';
import type { LeasedPool, LeaseSize } from '../sizing/lease-types.ts';
import { settingsByUser, type SettingsByUser } from './settings-by-user.ts';
import type { Shared } from './shared.ts';
import { Usage } from './usage.ts';
import { WaitingForNode } from './waiting-for-node.ts';

export class DatabaseRuntime implements Database {
  readonly name: string;
  readonly stats;
  readonly common = new SharedBySessions();
  readonly welcome: WelcomeDesk;
  readonly usage: Usage;
  /** DISABLE on the admin console: no new clients. */
  isDisabled = false;
  readonly logins: ServerLogins;
  private readonly shared: Shared;
  private readonly nodes: DatabaseNodes;
  private readonly current: CurrentTopology;
  private readonly defaults: DefaultsKeeper;
  private readonly ofNodes: DatabasePools;
  private readonly waiting = new WaitingForNode();
  private readonly cancels: Cancels;
  /** Undefined: the configuration says nothing of single users. */
  private byUser: SettingsByUser | undefined;

  constructor(name: string, config: DatabaseConfig, shared: Shared) {
    this.name = name;
    this.shared = shared;
    this.nodes = new DatabaseNodes(config, {
      name,
      shared,
      topology: () => this.topology,
      // The primary in office is never forgotten, so that nothing else can have changed.
      changed: (before, why) => void this.changeNodes(before, why),
    });
    this.byUser = settingsByUser(this.config, shared.config().users);
    this.stats = newDatabaseStats(name);
    countTags(this.stats, config.pool.budgets);
    this.usage = new Usage(shared.services.nowMs());
    this.logins = new ServerLogins({ name, shared, config: () => this.config, topology: () => this.topology });
    this.welcome = new WelcomeDesk(this, shared.services, shared.welcomePeers);
    this.defaults = new DefaultsKeeper({
      pools: () => this.pools(),
      sessions: () => this.sessions(),
      serverUser: (user) => this.serverUser(user),
      onChange: () => {
        this.welcome.forget();
        forgetAnswers(shared.services.cache, this.current.tagPrefix);
      },
    });
    this.ofNodes = new DatabasePools({
      name,
      shared,
      config: () => this.config,
      settings: (user) => this.poolSettings(user),
      logins: this.logins,
      borrowed: () => this.current.borrowed,
      defaults: this.defaults,
    });
    this.cancels = new Cancels(this.logins);
    this.current = this.makeTopology();
    this.current.start();
  }

  get topology(): Topology {
    return this.current.topology;
  }

  /** Its topology and what belongs to it, for the monitors of other workers. */
  get monitored(): CurrentTopology {
    return this.current;
  }

  /** What an operator should know, although all nodes may be up. */
  get problem(): string | undefined {
    return this.topology.problem ?? this.nodes.problem;
  }

  /** With the nodes that were found. */
  get configuration(): DatabaseConfig {
    return this.nodes.config;
  }

  private get config(): DatabaseConfig {
    return this.nodes.config;
  }

  get paused(): boolean {
    return this.ofNodes.isPaused;
  }

  /** A server of this database has accepted at least one log-in. */
  get isProven(): boolean {
    return this.ofNodes.isProven;
  }

  /** Bounds set by RESIZE POOL; a reload that changes the pool sizes drops them. */
  get bounds(): KeptBounds {
    return this.ofNodes.bounds;
  }

  /** Called when a client is about to log in. Resolves when the catalog is known, or cannot be known soon. */
  use(): Promise<void> {
    this.usage.begin(this.shared.services.nowMs());
    return this.topology.use();
  }

  settings(user?: string): PoolSettings {
    return this.byUser === undefined || user === undefined ? this.config.pool : this.byUser.ofClient(user);
  }

  /** @param user as whom Weir logs in to the servers */
  poolSettings(user: string): PoolSettings {
    return this.byUser?.ofPool(user) ?? this.config.pool;
  }

  tagPrefix(): string | undefined {
    return this.topology.catalog()?.tagPrefix ?? this.current.tagPrefix;
  }

  private makeTopology(): CurrentTopology {
    const { shared } = this;
    return new CurrentTopology({
      name: this.name,
      config: () => this.config,
      shared,
      logins: this.logins,
      isUsed: () => this.usage.isRecent(shared.services.nowMs()),
      onCatalog: ({ sessionDefaults }) => this.defaults.read(sessionDefaults),
      onChange: (snapshot) => {
        this.ofNodes.follow(snapshot);
        this.waiting.retryAll();
      },
      onCatalogConfirmed: () => this.common.catalogConfirmed(),
    });
  }

  private *sessions(): Iterable<ClientSession> {
    for (const session of this.shared.sessions()) if (session.database === this) yield session;
  }

  defaultsChanged(): void {
    this.defaults.suspect();
  }

  /** The same by another Weir or worker, perhaps before it is committed. */
  defaultsChangeElsewhere(isDecided: boolean): void {
    this.defaults.suspect(isDecided);
    // What is being read now may be from before it.
    if (isDecided) this.topology.catalogChanged();
  }

  defaultsKnown(): Promise<void> {
    return this.defaults.whenKnown();
  }

  defaultsKey(): string | undefined {
    return this.defaults.key;
  }

  serverUser(user: string): string {
    return this.config.primary.user ?? user;
  }

  /* ---- pools ---- */

  pool(node: NodeState, user: string): Pool {
    return this.ofNodes.pool(node, user);
  }

  poolsOf(node: string): Iterable<Pool> {
    return this.ofNodes.of(node);
  }

  pools(): Iterable<Pool> {
    return this.ofNodes.all();
  }

  /** Reserves a connection for use outside of the pools (replication). Undefined: the limit is reached. */
  takePlace(node: NodeConfig, user: string): Promise<Reserved | undefined> {
    return this.ofNodes.takePlace(node, user);
  }

  /** The size of a pool has changed for all workers of this Weir. */
  setPoolSize(name: Pick<LeasedPool, 'user' | 'node'>, size: LeaseSize, resize: ResizeRecord | undefined): void {
    for (const pool of this.ofNodes.of(name.node)) if (pool.user === name.user) pool.setSize(size, resize);
  }

  cancel(server: ServerConnection, isWanted?: () => boolean): Promise<void> {
    return this.cancels.cancel(server, isWanted);
  }

  /* ---- waiting for a node ---- */

  park(parked: Parked): () => void {
    return this.waiting.park(parked);
  }

  roomLeft(): void {
    this.waiting.roomLeft(this.topology.snapshot().primary?.load);
  }

  /** Called about ten times a second. */
  sweep(nowMs: number): void {
    this.nodes.sweep(nowMs);
    this.ofNodes.refreshRoom(this.topology.snapshot());
    this.roomLeft();
    this.waiting.sweep(nowMs);
    for (const pool of this.pools()) pool.sweep();
    this.ofNodes.forgetUnused(nowMs, () => new Set(Array.from(this.sessions(), ({ user }) => this.serverUser(user))));
    this.usage.sweep(nowMs);
  }

  /* ---- operators ---- */

  pause(why?: 'PAUSE' | 'KILL'): void {
    this.ofNodes.pause(why);
  }

  resume(): void {
    this.ofNodes.resume();
    // Replication clients wait for RESUME there.
    this.waiting.retryAll();
  }

  reconnect(): void {
    this.welcome.forget();
    for (const pool of this.pools()) pool.reconnect();
  }

  /** Applies a new configuration. Pools of removed nodes end when their servers are released. */
  async reconfigure(config: DatabaseConfig, isTopologyStale: boolean): Promise<void> {
    const before = this.config;
    if (isOtherSize(before.pool, config.pool)) this.bounds.forget();
    this.nodes.reconfigure(config);
    this.byUser = settingsByUser(this.config, this.shared.config().users);
    countTags(this.stats, config.pool.budgets);
    this.ofNodes.reconfigure(this.topology.snapshot());
    if (!isTopologyStale && this.changeNodes(before)) {
      // Passwords of clients may have changed.
      return this.topology.loginsChanged();
    }
    await this.current.replace(() => {
      // Whoever waits there is routed again at once: by the new nodes, or a pool of the old server would be made anew.
      this.ofNodes.replace();
      this.welcome.forget();
    });
  }

  /** False: the primary is another server, so that nothing of what is known of the nodes holds. */
  private changeNodes(before: DatabaseConfig, why?: string): boolean {
    const { config, shared } = this;
    if (JSON.stringify(before.primary) !== JSON.stringify(config.primary)) return false;
    if (JSON.stringify(before.replicas) === JSON.stringify(config.replicas)) return true;
    if (!this.topology.setNodes(nodesOf(config))) return false;
    const changed = changesOf(before, config);
    // What waits for them is routed again, now that they are no nodes any more.
    this.ofNodes.drop(changed.gone.map(({ name }) => name));
    logNodeChanges(shared.services.log, this.name, changed, why);
    return true;
  }

  async stop(): Promise<void> {
    this.nodes.stop();
    this.current.leave();
    for (const pool of this.pools()) pool.close();
    // Statements of disconnected clients must not keep running on the servers.
    await Promise.allSettled([...this.cancels.underWay, this.topology.stop()]);
  }
}
