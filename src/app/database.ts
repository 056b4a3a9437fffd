/**
 * One database as clients name it, at work: its topology, its pools, those who wait for a node. Satisfies what a
 * session asks for (session/context.ts). Made by directory.ts; everything it holds is stopped with it.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { DatabaseConfig, NodeConfig, PoolSettings } from '../config/config.ts';
import { nodeCapacity } from '../sizing/resize-loop.ts';
import { isOtherSize, KeptBounds } from '../pool/bounds.ts';
import { NodeBudget } from '../pool/budget.ts';
import { Pool, type ConnectProblem } from '../pool/pool.ts';
import type { ClientSession } from '../request/client.ts';
import type { Database, Parked } from '../session/context.ts';
import { newDatabaseStats } from '../request/count.ts';
import { WelcomeDesk } from '../session/welcome.ts';
import type { NodeState, Topology, TopologySnapshot } from '../topology/types.ts';
import type { BorrowedLogins } from './borrowed-logins.ts';
import { makeTopology } from './database-topology.ts';
import { forgetAll, forgetAnswers } from './forget-answers.ts';
import { fallbackRoom, followNode, isToBeFilled } from './node-pools.ts';
import { ServerLogins } from './server-logins.ts';
import { DefaultsKeeper } from './session-defaults.ts';
import type { Shared } from './shared.ts';

/** After its last client left: until then it is asked for its catalog. */
const catalogKeptMs = 10_000;

export class DatabaseRuntime implements Database {
  readonly name: string;
  readonly stats;
  readonly turn = { value: 0 };
  hasAskedSequences = false;
  readonly welcome: WelcomeDesk;
  private readonly defaults: DefaultsKeeper;
  /** What operators asked for, until the configuration says something new. */
  readonly bounds = new KeptBounds();
  isDisabled = false;
  /** Clients that are logged in to it. */
  clients = 0;
  idleSinceMs: number;
  private usedAtMs = -Infinity;
  isProven = false; // One of its servers has let somebody in.
  readonly logins: ServerLogins;
  private readonly shared: Shared;
  private config: DatabaseConfig;
  private current: Topology;
  private borrowed!: BorrowedLogins;
  private unsubscribe: () => void;
  private readonly byNode = new Map<string, Map<string, Pool>>();
  private readonly budgets = new Map<string, NodeBudget>();
  private readonly parked = new Set<Parked>();
  /** On their way. */
  private readonly cancels = new Set<Promise<void>>();
  private isPaused = false;
  private prefix: string | undefined;

  constructor(name: string, config: DatabaseConfig, shared: Shared) {
    this.name = name;
    this.config = config;
    this.shared = shared;
    this.stats = newDatabaseStats(name);
    this.idleSinceMs = shared.services.nowMs();
    this.logins = new ServerLogins({ name, shared, config: () => this.config, topology: () => this.current });
    this.welcome = new WelcomeDesk(this, shared.services);
    this.defaults = new DefaultsKeeper({
      pools: () => this.pools(),
      sessions: () => this.sessions(),
      serverUser: (user) => this.serverUser(user),
      onChange: () => {
        this.welcome.forget();
        forgetAnswers(shared.services.cache, this.prefix);
      },
    });
    this.current = this.makeTopology();
    this.unsubscribe = this.current.onChange((snapshot) => this.changed(snapshot));
    this.current.start();
  }

  get topology(): Topology {
    return this.current;
  }

  get configuration(): DatabaseConfig {
    return this.config;
  }

  get paused(): boolean {
    return this.isPaused;
  }

  /** Somebody is about to: resolves when its catalog is known, or will not be soon. */
  use(): Promise<void> {
    this.usedAtMs = this.shared.services.nowMs();
    return this.current.use();
  }

  settings(): PoolSettings {
    return this.config.pool;
  }

  tagPrefix(): string | undefined {
    return this.current.catalog()?.tagPrefix ?? this.prefix;
  }

  private makeTopology(): Topology {
    const { shared } = this;
    const made = makeTopology({
      name: this.name,
      config: this.config,
      shared,
      logins: this.logins,
      isUsed: () => this.clients > 0 || shared.services.nowMs() - this.usedAtMs < catalogKeptMs,
      onCatalog: ({ tagPrefix, sessionDefaults }) => {
        forgetAll(shared.services.cache, this.prefix);
        this.prefix = tagPrefix;
        this.defaults.read(sessionDefaults);
      },
    });
    this.borrowed = made.borrowed;
    return made.topology;
  }

  private *sessions(): Iterable<ClientSession> {
    for (const session of this.shared.sessions()) if (session.database === this) yield session;
  }

  defaultsChanged(): void {
    this.defaults.suspect();
  }

  defaultsKnown(): Promise<void> {
    return this.defaults.whenKnown();
  }

  serverUser(user: string): string {
    return this.config.primary.user ?? user;
  }

  /* ---- pools ---- */

  pool(node: NodeState, user: string): Pool {
    const serverUser = node.config.user ?? user;
    let pools = this.byNode.get(node.name);
    if (pools === undefined) this.byNode.set(node.name, (pools = new Map()));
    let pool = pools.get(serverUser);
    if (pool === undefined) pools.set(serverUser, (pool = this.makePool(node, serverUser)));
    return pool;
  }

  private makePool({ config: node, role }: NodeState, user: string): Pool {
    const { services } = this.shared;
    const pool = new Pool({
      database: this.name,
      user,
      node: node.name,
      settings: this.config.pool,
      budget: this.budgetOf(node),
      nowMs: services.nowMs,
      random: services.random,
      connect: async (onClosed) => {
        const defaults = this.defaults.current;
        const server = await this.logins.connect(node, user, onClosed).catch((problem: ConnectProblem) => {
          if (problem.refusal !== undefined) this.borrowed.refused(node, user);
          throw problem;
        });
        this.borrowed.accepted(node, user);
        this.isProven = true;
        if (defaults !== undefined && defaults.key !== this.defaults.current?.key) server.isCloseNeeded = true;
        return server;
      },
      onResize: (stats) => {
        // A database that nobody could log in to may be a typing error: its pools are not worth a line in the log.
        if (this.isProven) this.shared.onResize(stats);
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
    if (budget === undefined) this.budgets.set(key, (budget = new NodeBudget(this.shared.budget(node))));
    budget.limit = this.config.pool.maxDbConnections || Infinity;
    return budget;
  }

  /** CancelRequest to the server's node; the server is kept back until it has arrived. */
  cancel(server: ServerConnection, isWanted?: () => boolean): Promise<void> {
    const arrived = this.logins.cancel(server, isWanted);
    this.cancels.add(arrived);
    void arrived.finally(() => this.cancels.delete(arrived));
    const earlier = server.cancelling ?? Promise.resolve();
    const both = Promise.all([earlier, arrived]).then(() => {
      if (server.cancelling === both && server.state !== 'resetting') server.cancelling = undefined;
    });
    server.cancelling = both;
    return arrived;
  }

  /** A place for a connection that is in no pool; how to give it back, or undefined if there is none. */
  takePlace(node: NodeConfig): (() => void) | undefined {
    const budget = this.budgetOf(node);
    return budget.tryTake({ yieldIdle: () => false }) ? () => budget.give() : undefined;
  }

  poolsOf(node: string): Iterable<Pool> {
    return this.byNode.get(node)?.values() ?? [];
  }

  *pools(): Iterable<Pool> {
    for (const pools of this.byNode.values()) yield* pools.values();
  }

  /* ---- waiting for a node ---- */

  park(parked: Parked): () => void {
    this.parked.add(parked);
    return () => void this.parked.delete(parked);
  }

  /** Whoever is woken may not need the room, or be waiting for something else: then it is the next one's. Each once. */
  roomLeft(): void {
    const load = this.topology.snapshot().primary?.load;
    let left = this.parked.size;
    for (const each of this.parked) {
      if (left-- === 0 || load === undefined || load.fallbackReads >= load.fallbackRoom) return;
      this.parked.delete(each);
      each.retry();
    }
  }

  private changed(snapshot: TopologySnapshot): void {
    for (const node of snapshot.nodes) {
      for (const pool of this.poolsOf(node.name)) followNode(pool, node, snapshot.primary);
    }
    this.refreshBudgets(snapshot);
    this.fill(snapshot);
    this.retryParked();
  }

  /** min_pool_size does not wait for a client where it is known whom its servers are logged in as. */
  private fill(snapshot: TopologySnapshot): void {
    for (const node of snapshot.nodes) if (isToBeFilled(node, this.config.pool)) this.pool(node, '');
  }

  private retryParked(): void {
    const parked = [...this.parked];
    this.parked.clear();
    for (const each of parked) each.retry();
  }

  private refreshBudgets(snapshot: TopologySnapshot): void {
    for (const node of snapshot.nodes) {
      const spare = nodeCapacity(node, 0);
      // Another database may know what this one has not been told yet.
      if (spare !== undefined) this.shared.budget(node.config).limit = spare;
      this.budgetOf(node.config);
    }
  }

  private refreshRoom(): void {
    const { primary } = this.current.snapshot();
    if (primary === undefined) return;
    const { resize } = this.shared.config();
    primary.load.fallbackRoom = fallbackRoom(
      this.poolsOf(primary.name),
      resize.enabled,
      this.shared.budget(primary.config).limit,
    );
  }

  /** About ten times a second. */
  sweep(nowMs: number): void {
    this.refreshRoom();
    this.roomLeft();
    for (const parked of [...this.parked]) {
      if (nowMs < parked.deadlineMs) continue;
      this.parked.delete(parked);
      parked.expired();
    }
    for (const pool of this.pools()) pool.sweep();
    if (this.clients > 0) this.idleSinceMs = this.usedAtMs = nowMs;
  }

  /* ---- operators ---- */

  pause(): void {
    this.isPaused = true;
    for (const pool of this.pools()) pool.pause();
  }

  resume(): void {
    this.isPaused = false;
    for (const pool of this.pools()) pool.resume();
    // Replication connections wait there.
    this.retryParked();
  }

  reconnect(): void {
    this.welcome.forget();
    for (const pool of this.pools()) pool.reconnect();
  }

  /** New settings, perhaps other nodes: pools of nodes that are gone end when their servers come back. */
  async reconfigure(config: DatabaseConfig, isTopologyStale: boolean): Promise<void> {
    const hadNodes = JSON.stringify([this.config.primary, this.config.replicas]);
    if (isOtherSize(this.config.pool, config.pool)) this.bounds.forget();
    this.config = config;
    for (const pool of this.pools()) pool.reconfigure(config.pool);
    this.refreshBudgets(this.current.snapshot());
    this.fill(this.current.snapshot());
    if (!isTopologyStale && hadNodes === JSON.stringify([config.primary, config.replicas])) {
      // Passwords of clients may be other ones.
      return this.current.loginsChanged();
    }
    const old = this.current;
    this.unsubscribe();
    for (const pool of this.pools()) {
      pool.reconnect();
      pool.close();
    }
    this.byNode.clear();
    this.welcome.forget();
    this.current = this.makeTopology();
    this.unsubscribe = this.current.onChange((snapshot) => this.changed(snapshot));
    this.current.start();
    await old.stop();
  }

  async stop(): Promise<void> {
    this.unsubscribe();
    for (const pool of this.pools()) pool.close();
    // Statements whose clients were cut off must not go on.
    await Promise.allSettled([...this.cancels, this.current.stop()]);
  }
}
