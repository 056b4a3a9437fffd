/**
 * The pools of one database: one for each node and user, made when it is first needed, with the database's part of what
 * each node has. Follows the topology and the configuration. Made by database.ts.
 */
import type { DatabaseConfig, NodeConfig } from '../config/config.ts';
import { nodeCapacity } from '../sizing/resize-loop.ts';
import { KeptBounds } from '../pool/bounds.ts';
import { NodeBudget } from '../pool/budget.ts';
import { Pool, type ConnectProblem } from '../pool/pool.ts';
import type { NodeState, TopologySnapshot } from '../topology/types.ts';
import type { BorrowedLogins } from './borrowed-logins.ts';
import { fallbackRoom, followNode, isToBeFilled } from './node-pools.ts';
import type { ServerLogins } from './server-logins.ts';
import type { DefaultsKeeper } from './session-defaults.ts';
import type { Shared } from './shared.ts';

/** The database as it is at the moment. */
export interface PoolParts {
  readonly name: string;
  readonly shared: Shared;
  config(): DatabaseConfig;
  readonly logins: ServerLogins;
  /** Of the present topology. */
  borrowed(): BorrowedLogins;
  readonly defaults: DefaultsKeeper;
}

export class DatabasePools {
  /** What operators asked for, until the configuration says something new. */
  readonly bounds = new KeptBounds();
  /** One of the servers has let somebody in. */
  isProven = false;
  isPaused = false;
  private readonly parts: PoolParts;
  private readonly byNode = new Map<string, Map<string, Pool>>();
  private readonly budgets = new Map<string, NodeBudget>();

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
      settings: this.parts.config().pool,
      budget: this.budgetOf(node),
      nowMs: services.nowMs,
      random: services.random,
      connect: async (onClosed) => {
        const defaults = this.parts.defaults.current;
        const server = await this.parts.logins.connect(node, user, onClosed).catch((problem: ConnectProblem) => {
          if (problem.refusal !== undefined) this.parts.borrowed().refused(node, user);
          throw problem;
        });
        this.parts.borrowed().accepted(node, user);
        this.isProven = true;
        if (defaults !== undefined && defaults.key !== this.parts.defaults.current?.key) server.isCloseNeeded = true;
        return server;
      },
      onResize: (stats) => {
        // A database that nobody could log in to may be a typing error: its pools are not worth a line in the log.
        if (this.isProven) this.parts.shared.onResize(stats);
      },
    });
    pool.role = role;
    for (const bounds of this.bounds.of(user, node.name)) pool.setBounds(bounds, 'RESIZE POOL before it was used');
    if (this.isPaused) pool.pause();
    return pool;
  }

  /** Its own part (max_db_connections) of what the node has for all databases. */
  private budgetOf(node: NodeConfig): NodeBudget {
    const key = `${node.host}:${node.port}`;
    let budget = this.budgets.get(key);
    if (budget === undefined) this.budgets.set(key, (budget = new NodeBudget(this.parts.shared.budget(node))));
    budget.limit = this.parts.config().pool.maxDbConnections || Infinity;
    return budget;
  }

  /** A place for a connection that is in no pool; how to give it back, or undefined if there is none. */
  takePlace(node: NodeConfig): (() => void) | undefined {
    const budget = this.budgetOf(node);
    return budget.tryTake({ yieldIdle: () => false }) ? () => budget.give() : undefined;
  }

  of(node: string): Iterable<Pool> {
    return this.byNode.get(node)?.values() ?? [];
  }

  *all(): Iterable<Pool> {
    for (const pools of this.byNode.values()) yield* pools.values();
  }

  /** Roles and health of nodes may be other ones. */
  follow(snapshot: TopologySnapshot): void {
    for (const node of snapshot.nodes) {
      for (const pool of this.of(node.name)) followNode(pool, node, snapshot.primary);
    }
    this.refreshBudgets(snapshot);
    this.fill(snapshot);
  }

  /** The configuration has other settings now. */
  reconfigure(snapshot: TopologySnapshot): void {
    for (const pool of this.all()) pool.reconfigure(this.parts.config().pool);
    this.refreshBudgets(snapshot);
    this.fill(snapshot);
  }

  /** The nodes are others: those in use end when their clients give them back. */
  replace(): void {
    for (const pool of this.all()) {
      pool.reconnect();
      pool.close();
    }
    this.byNode.clear();
  }

  pause(): void {
    this.isPaused = true;
    for (const pool of this.all()) pool.pause();
  }

  resume(): void {
    this.isPaused = false;
    for (const pool of this.all()) pool.resume();
  }

  /** min_pool_size does not wait for a client where it is known whom its servers are logged in as. */
  private fill(snapshot: TopologySnapshot): void {
    for (const node of snapshot.nodes) if (isToBeFilled(node, this.parts.config().pool)) this.pool(node, '');
  }

  private refreshBudgets(snapshot: TopologySnapshot): void {
    for (const node of snapshot.nodes) {
      const spare = nodeCapacity(node, 0);
      // Another database may know what this one has not been told yet.
      if (spare !== undefined) this.parts.shared.budget(node.config).limit = spare;
      this.budgetOf(node.config);
    }
  }

  /** How many reads may fall back to the primary is another number now. */
  refreshRoom({ primary }: TopologySnapshot): void {
    if (primary === undefined) return;
    const { shared } = this.parts;
    const { limit } = shared.budget(primary.config);
    primary.load.fallbackRoom = fallbackRoom(this.of(primary.name), shared.config().resize.enabled, limit);
  }
}
