/**
 * One database as clients name it, at work: its topology, its pools, those who wait for a node. Satisfies what a
 * session asks for (session/context.ts). Made by directory.ts; everything it holds is stopped with it.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { DatabaseConfig, NodeConfig, PoolSettings } from '../config/config.ts';
import { isOtherSize, type KeptBounds } from '../pool/bounds.ts';
import type { Pool } from '../pool/pool.ts';
import type { ClientSession } from '../request/client.ts';
import type { Database, Parked, PinnedBehindDdl } from '../session/context.ts';
import { newDatabaseStats } from '../request/count.ts';
import { WelcomeDesk } from '../session/welcome.ts';
import type { NodeState, Topology, TopologySnapshot } from '../topology/types.ts';
import type { BorrowedLogins } from './borrowed-logins.ts';
import { Cancels } from './cancels.ts';
import { DatabasePools } from './database-pools.ts';
import { makeTopology } from './database-topology.ts';
import { forgetAll, forgetAnswers } from './forget-answers.ts';
import { ServerLogins } from './server-logins.ts';
import { DefaultsKeeper } from './session-defaults.ts';
import type { Shared } from './shared.ts';
import { WaitingForNode } from './waiting-for-node.ts';

/** After its last client left: until then it is asked for its catalog. */
const catalogKeptMs = 10_000;

export class DatabaseRuntime implements Database {
  readonly name: string;
  readonly stats;
  readonly turn = { value: 0 };
  hasAskedSequences = false;
  readonly welcome: WelcomeDesk;
  private readonly defaults: DefaultsKeeper;
  readonly pinnedBehindDdl = new Set<PinnedBehindDdl>();
  isDisabled = false;
  /** Clients that are logged in to it. */
  clients = 0;
  idleSinceMs: number;
  private usedAtMs = -Infinity;
  readonly logins: ServerLogins;
  private readonly shared: Shared;
  private config: DatabaseConfig;
  private current: Topology;
  private borrowed!: BorrowedLogins;
  private unsubscribe: () => void;
  private readonly ofNodes: DatabasePools;
  private readonly waiting = new WaitingForNode();
  private readonly cancels: Cancels;
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
    this.ofNodes = new DatabasePools({
      name,
      shared,
      config: () => this.config,
      logins: this.logins,
      borrowed: () => this.borrowed,
      defaults: this.defaults,
    });
    this.cancels = new Cancels(this.logins);
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
    return this.ofNodes.isPaused;
  }

  /** One of its servers has let somebody in. */
  get isProven(): boolean {
    return this.ofNodes.isProven;
  }

  /** What operators asked for, until the configuration says something new. */
  get bounds(): KeptBounds {
    return this.ofNodes.bounds;
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
      onCatalogConfirmed: () => {
        for (const pinned of [...this.pinnedBehindDdl]) pinned.catalogConfirmed();
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
    return this.ofNodes.pool(node, user);
  }

  poolsOf(node: string): Iterable<Pool> {
    return this.ofNodes.of(node);
  }

  pools(): Iterable<Pool> {
    return this.ofNodes.all();
  }

  /** A place for a connection that is in no pool; how to give it back, or undefined if there is none. */
  takePlace(node: NodeConfig): (() => void) | undefined {
    return this.ofNodes.takePlace(node);
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

  private changed(snapshot: TopologySnapshot): void {
    this.ofNodes.follow(snapshot);
    this.waiting.retryAll();
  }

  /** About ten times a second. */
  sweep(nowMs: number): void {
    this.ofNodes.refreshRoom(this.current.snapshot());
    this.roomLeft();
    this.waiting.sweep(nowMs);
    for (const pool of this.pools()) pool.sweep();
    if (this.clients > 0) this.idleSinceMs = this.usedAtMs = nowMs;
  }

  /* ---- operators ---- */

  pause(): void {
    this.ofNodes.pause();
  }

  resume(): void {
    this.ofNodes.resume();
    // Replication connections wait there.
    this.waiting.retryAll();
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
    this.ofNodes.reconfigure(this.current.snapshot());
    if (!isTopologyStale && hadNodes === JSON.stringify([config.primary, config.replicas])) {
      // Passwords of clients may be other ones.
      return this.current.loginsChanged();
    }
    const old = this.current;
    this.unsubscribe();
    this.ofNodes.replace();
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
    await Promise.allSettled([...this.cancels.underWay, this.current.stop()]);
  }
}
