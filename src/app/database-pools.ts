/**
 * The pools of one database: one for each node and user, made when it is first needed, within the database's share
 * (max_db_connections) of each node's connections. Follows the topology and the configuration. Made by database.ts.
 */
import type { DatabaseConfig, NodeConfig, PoolSettings } from '../config/config.ts';
import { nodeCapacity } from '../sizing/controller.ts';
import { KeptBounds } from '../pool/bounds.ts';
import type { Budget, Reserved } from '../pool/budget-types.ts';
import { Pool, type ConnectProblem } from '../pool/pool.ts';
import type { NodeState, TopologySnapshot } from '../topology/types.ts';
import type { BorrowedLogins } from './borrowed-logins.ts';
import { fallbackRoom, followNode, hasWaiting, isToBeFilled } from './node-pools.ts';
import type { ServerLogins } from './server-logins.ts';
import type { DefaultsKeeper } from './session-defaults.ts';
import type { Shared } from './shared.ts';
import { UnusedPools } from './unused-pools.ts';
import { serverKey } from '../util/server-key.ts';

/** Accessors to the current state of the database. */
export interface PoolParts {
  readonly name: string;
  readonly shared: Shared;
  config(): DatabaseConfig;
  /** Of the pools whose connections are logged in as this user. */
  settings(user: string): PoolSettings;
  readonly logins: ServerLogins;
  /** The borrowed log-ins of the current topology. */
  borrowed(): BorrowedLogins;
  readonly defaults: DefaultsKeeper;
}

export class DatabasePools {
  /** Bounds set by RESIZE POOL; a reload that changes the pool sizes drops them. */
  readonly bounds = new KeptBounds();
  /** A server of this database has accepted at least one log-in. */
  isProven = false;
  isPaused = false;
  private readonly parts: PoolParts;
  private readonly byNode = new Map<string, Map<string, Pool>>();
  private readonly budgets = new Map<string, Budget>();
  private readonly unused = new UnusedPools();

  constructor(parts: PoolParts) {
    this.parts = parts;
  }

  pool(node: NodeState, user: string): Pool {
    const serverUser = node.config.user ?? user;
    let pools = this.byNode.get(node.name);
    if (pools === undefined) this.byNode.set(node.name, (pools = new Map()));
    let pool = pools.get(serverUser);
    if (pool === undefined) pools.set(serverUser, (pool = this.makePool(node, serverUser)));
    return pool;
  }

  private makePool({ config: node, role }: NodeState, user: string): Pool {
    const { services } = this.parts.shared;
    const pool = new Pool({
      database: this.parts.name,
      user,
      node: node.name,
      settings: this.parts.settings(user),
      budget: this.budgetOf(node),
      nowMs: services.nowMs,
      random: services.random,
      connect: async (onClosed) => {
        // A new server has the new defaults: sessions that began before must have noted by then what they began with.
        await this.parts.defaults.whenKnown();
        const defaults = this.parts.defaults.current;
        const server = await this.parts.logins.connect(node, user, onClosed).catch((problem: ConnectProblem) => {
          if (problem.refusal !== undefined) this.parts.borrowed().refused(node, user);
          throw problem;
        });
        this.parts.borrowed().accepted(node, user);
        await this.parts.logins.connectQuery(server);
        this.isProven = true;
        if (defaults !== undefined && defaults.key !== this.parts.defaults.current?.key) server.isCloseNeeded = true;
        return server;
      },
      afterReset: (server) => this.parts.logins.connectQuery(server),
      onCheckFailed: (server, why) => this.parts.logins.checkFailed(server, why),
      onResize: (stats) => {
        // Without a successful log-in the name may be a typing error: its pools are not logged.
        if (this.isProven) this.parts.shared.onResize(stats);
      },
      lowDoesNotWait: () => services.budgetActions.why('shed_low_priority', this.parts.name),
      onOverload: (stats) => this.parts.shared.onOverload(stats),
    });
    pool.role = role;
    this.limitUser(node, user);
    const isFixed = !this.parts.shared.config().resize.enabled;
    for (const { min, max } of this.bounds.of(user, node.name))
      pool.setBounds({ min, max, isFixed }, 'RESIZE POOL before it was used');
    if (this.isPaused) pool.pause();
    return pool;
  }

  /** The database's own limit (max_db_connections), within the limit of the server for all databases. */
  private budgetOf(node: NodeConfig): Budget {
    const key = serverKey(node);
    let budget = this.budgets.get(key);
    if (budget === undefined) {
      this.parts.shared.connectionBudget().begin(node);
      budget = this.parts.shared.budgets.ofDatabase(node, this.parts.name);
      this.budgets.set(key, budget);
    }
    budget.limit = this.parts.config().pool.maxDbConnections || Infinity;
    return budget;
  }

  private limitUsers(node: NodeConfig): void {
    for (const { user } of this.of(node.name)) this.limitUser(node, user);
  }

  /** max_user_connections of the user, on the server of the node. */
  private limitUser(node: NodeConfig, user: string): void {
    this.budgetOf(node).limitUser(user, this.userLimit(user));
  }

  private userLimit(user: string): number {
    const { maxUserConnections, users } = this.parts.shared.config();
    return (users.get(user)?.maxUserConnections ?? maxUserConnections) || Infinity;
  }

  /** Reserves a connection for use outside of the pools (replication). Undefined: the limit is reached. */
  takePlace(node: NodeConfig, user: string): Promise<Reserved | undefined> {
    return this.budgetOf(node).reserve(node.name, user, this.userLimit(user));
  }

  of(node: string): Iterable<Pool> {
    return this.byNode.get(node)?.values() ?? [];
  }

  *all(): Iterable<Pool> {
    for (const pools of this.byNode.values()) yield* pools.values();
  }

  /** Applies a change of roles or health of the nodes. */
  follow(snapshot: TopologySnapshot): void {
    for (const node of snapshot.nodes) {
      for (const pool of this.of(node.name)) followNode(pool, node, snapshot.primary);
    }
    this.refreshBudgets(snapshot);
    this.fill(snapshot);
  }

  /** Applies changed settings of the configuration. */
  reconfigure(snapshot: TopologySnapshot): void {
    for (const pool of this.all()) pool.reconfigure(this.parts.settings(pool.user));
    this.refreshBudgets(snapshot);
    this.fill(snapshot);
  }

  /** Called when the primary is another server: a server in use is closed when its client releases it. */
  replace(): void {
    this.drop([...this.byNode.keys()]);
  }

  /** These nodes are gone, or other servers have their names. */
  drop(nodes: readonly string[]): void {
    for (const node of nodes) {
      const pools = [...this.of(node)];
      this.byNode.delete(node);
      for (const pool of pools) {
        pool.reconnect();
        pool.close();
      }
    }
  }

  /** pool_idle_timeout. @param clientUsers see UnusedPools.look() */
  forgetUnused(nowMs: number, clientUsers: () => ReadonlySet<string>): void {
    const { poolIdleTimeoutMs } = this.parts.config().pool;
    for (const pool of this.unused.look(this.all(), poolIdleTimeoutMs, nowMs, clientUsers)) {
      this.byNode.get(pool.node)?.delete(pool.user);
      pool.close();
    }
  }

  pause(why?: 'PAUSE' | 'KILL'): void {
    this.isPaused = true;
    for (const pool of this.all()) pool.pause(why);
  }

  resume(): void {
    this.isPaused = false;
    for (const pool of this.all()) pool.resume();
  }

  /** Makes the pools that need no client: min_pool_size is set and the configuration names the user of the node. */
  private fill(snapshot: TopologySnapshot): void {
    for (const node of snapshot.nodes)
      if (isToBeFilled(node, this.parts.settings(node.config.user ?? ''))) this.pool(node, '');
  }

  private refreshBudgets(snapshot: TopologySnapshot): void {
    for (const node of snapshot.nodes) {
      this.parts.shared.connectionBudget().learned(node, nodeCapacity(node, 0));
      this.budgetOf(node.config);
      this.limitUsers(node.config);
    }
  }

  /**
   * Computes anew how many reads may fall back to the primary and, where zones count, which nodes have no room. Connections above a
   * limit of their user that was lowered while they were in use are closed when they are idle.
   */
  refreshRoom({ primary, nodes }: TopologySnapshot): void {
    const { maxUserConnections, users } = this.parts.shared.config();
    if (maxUserConnections > 0 || users.size > 0) for (const { config } of nodes) this.limitUsers(config);
    if (this.parts.shared.config().routing.zone !== undefined)
      for (const { name, load } of nodes) load.isFull = hasWaiting(this.of(name));
    if (primary === undefined) return;
    const { shared } = this.parts;
    const most = shared.connectionBudget().most(primary.config);
    const isResizing = shared.config().resize.enabled;
    primary.load.fallbackRoom = fallbackRoom(this.of(primary.name), isResizing, most, shared.processes);
  }
}
