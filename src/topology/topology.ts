/**
 * Implements Topology for one database by connecting the ticker, the assessor, the monitor and the schema watch. Holds
 * no rules of its own. Made by the app, one per database that clients use.
 */
import type { NodeConfig } from '../config/config.ts';
import { Announcer } from './announce.ts';
import { Assessor } from './assess.ts';
import type { Catalog } from '../catalog/types.ts';
import { catalogSource } from './catalog-source.ts';
import { differs } from './changed-nodes.ts';
import { CatalogReadings } from './catalog-readings.ts';
import { loginsOf, ownReading, watchReading } from './database-logins.ts';
import { outcomesOf } from './database-outcomes.ts';
import type { Monitors } from './member.ts';
import { Monitor } from './monitor.ts';
import type { TopologyOptions } from './options.ts';
import type { Outcomes } from './outcomes.ts';
import { Presence } from './presence.ts';
import { ProbeError } from './probe.ts';
import { SchemaWatch } from './schema-watch.ts';
import { ServerMonitors } from './server-monitors.ts';
import type { Tried } from './trial.ts';
import type { MonitorLogin } from './server-connector.ts';
import { createTicker } from './ticker.ts';
import type { ProbeTicker } from './ticker.ts';
import type { LostBackend, NodeFailure, Topology, TopologySnapshot } from './types.ts';

export type { TopologyOptions } from './options.ts';

/** How long clients wait at most for the first state of the nodes and the first catalog. */
const SETTLE_MS = 3000;

/** A topology that can also read the catalog for other processes of the same Weir. */
export interface ReadingTopology extends Topology {
  readonly readings: CatalogReadings;
  /** How its monitor logs in to a server. */
  loginsAt(node: NodeConfig): readonly MonitorLogin[];
}

export function createTopology(options: TopologyOptions): ReadingTopology {
  return new DatabaseTopology(options);
}

class DatabaseTopology implements ReadingTopology {
  readonly ticker: ProbeTicker;
  readonly schema: SchemaWatch;
  /** Unused if this process is the whole Weir. */
  readonly readings: CatalogReadings;
  readonly #options: TopologyOptions;
  readonly #assessor: Assessor;
  readonly #monitor: Monitor;
  readonly #outcomes: Outcomes;
  readonly #presence: Presence;
  readonly #announcer: Announcer;
  readonly #asking = new Set<() => void>();
  readonly #listeners = new Set<(snapshot: TopologySnapshot) => void>();
  #seen: TopologySnapshot;
  #isSettled = false;
  #startedAtMs: number;

  constructor(options: TopologyOptions) {
    const { clock, database, databaseName, routing } = options;
    this.#options = options;
    this.ticker = createTicker(() => this.#monitor.wake());
    this.#assessor = new Assessor({
      databaseName,
      database,
      maxReplicaLagMs: routing.maxReplicaLagMs,
      ...(options.slowStartMs === undefined ? {} : { slowStartMs: options.slowStartMs }),
      primaryTakesReads: routing.primaryReads !== 'never',
      onPrimaryEjected: (node) => options.onEjection?.(node, 'connect'),
      ticker: this.ticker,
      nowMs: clock.nowMs(),
    });
    const monitors = options.monitors ?? new ServerMonitors();
    this.#monitor = this.#makeMonitor(monitors);
    this.readings = new CatalogReadings(ownReading(options, monitors));
    this.schema = this.#makeSchemaWatch(monitors);
    this.#outcomes = outcomesOf(this.#assessor, this.#monitor, options);
    this.#presence = new Presence({
      name: database.primary.database ?? databaseName,
      clock,
      ask: async (sql, values) => {
        if (this.#mayRest()) throw new ProbeError('the monitor rests', false);
        return this.#monitor.ask(this.#assessor.primaryIndex ?? -1, sql, values);
      },
    });
    this.#seen = this.#assessor.snapshot;
    this.#announcer = new Announcer(this.#seen, options.log);
    this.#startedAtMs = clock.nowMs();
  }

  #makeMonitor(monitors: Monitors): Monitor {
    const options = this.#options;
    return new Monitor({
      database: options.databaseName,
      nodes: this.#assessor.configs,
      assessor: this.#assessor,
      ticker: this.ticker,
      join: (member) => monitors.join(member, options.tls, options.connectTimeoutMs, options.clock),
      logins: loginsOf(options),
      borrowedUsers: options.borrowedUsers ?? (() => []),
      clock: options.clock,
      maxReplicaLagMs: options.routing.maxReplicaLagMs,
      onNews: () => {
        this.#notice();
        for (const listener of [...this.#asking]) listener();
      },
      isUrgent: () => this.#asking.size > 0,
      mayRest: () => this.#mayRest(),
    });
  }

  /** There is nothing to elect. */
  #mayRest(): boolean {
    return this.#options.isMonitorIdle?.() === true && this.#assessor.configs.length === 1 && this.#asking.size === 0;
  }

  #makeSchemaWatch(monitors: Monitors): SchemaWatch {
    const options = this.#options;
    return new SchemaWatch({
      ...watchReading(options, monitors),
      ...(options.isUsed === undefined ? {} : { isUsed: options.isUsed }),
      source: () => catalogSource(this.#assessor.snapshot),
      isBrief: () => this.#mayRest(),
      onCatalog: (catalog) => this.#catalogRead(catalog),
      onConfirmed: () => options.onCatalogConfirmed?.(),
      onProblem: (problem) => this.#announcer.catalogFailed(problem),
    });
  }

  #catalogRead(catalog: Catalog): void {
    const { log, databaseName, onCatalog } = this.#options;
    this.#announcer.catalogIsKnown();
    log('debug', { event: 'catalog', database: databaseName, version: catalog.version }, 'read the catalog');
    onCatalog?.(catalog);
  }

  get database(): string {
    return this.#options.databaseName;
  }

  get isSettled(): boolean {
    return (this.#isSettled ||= this.#hasLookedAround());
  }

  get problem(): string | undefined {
    return this.#presence.problem ?? (this.schema.isAsleep ? undefined : this.schema.problem);
  }

  snapshot(): TopologySnapshot {
    return this.#assessor.snapshot;
  }

  catalog(): Catalog | undefined {
    return this.schema.catalog;
  }

  lastCatalog(): Catalog | undefined {
    return this.schema.last;
  }

  catalogChanged(): void {
    this.schema.changed();
  }

  #isPastSettling(): boolean {
    return this.#options.clock.nowMs() - this.#startedAtMs > SETTLE_MS;
  }

  #hasLookedAround(): boolean {
    if (this.#isPastSettling()) return true;
    const { primary, replicas } = this.#assessor.snapshot;
    return (
      (this.schema.hasTried || this.schema.isAsleep) &&
      primary !== undefined &&
      replicas.every((node) => !node.isUp || node.lagMs < Infinity)
    );
  }

  /** Logs what changed and calls the listeners, if anything changed. */
  #notice(): void {
    const { log, routing } = this.#options;
    const before = this.#seen;
    const after = this.#assessor.snapshot;
    if (before === after) return;
    if (differs(before, after)) {
      this.#announcer.announce(after);
      if (before.epoch !== after.epoch && before.epoch > 0) this.schema.changed();
      else this.schema.kick();
    } else if (routing.primaryReads !== 'never' && after.primary?.isUp) {
      return;
    }
    this.#outcomes.look();
    // With primary_reads "never", or while the primary is down, reads wait for replicas: then progress of a replica
    // is news, too.
    this.#seen = after;
    for (const listener of [...this.#listeners]) {
      try {
        listener(after);
      } catch (error) {
        log('error', { event: 'listener', err: error }, 'a listener of the topology failed');
      }
    }
  }

  reportFailure(node: string, failure: NodeFailure, detail: string): void {
    const { clock, onEjection } = this.#options;
    const index = this.#assessor.indexOf(node);
    if (index < 0) return;
    if (this.#assessor.reportFailure(index, failure, detail, clock.nowMs())) onEjection?.(node, failure);
    this.#monitor.probeNow(index);
    this.#notice();
  }

  reportSuccess(node: string): void {
    const index = this.#assessor.indexOf(node);
    if (index >= 0) this.#assessor.reportSuccess(index);
  }

  suspectRole(node: string): void {
    const index = this.#assessor.indexOf(node);
    if (index >= 0) this.#monitor.probeNow(index);
  }

  setDraining(node: string, isDraining: boolean): boolean {
    const index = this.#assessor.indexOf(node);
    if (index < 0) return false;
    this.#assessor.setDraining(index, isDraining, this.#options.clock.nowMs());
    this.#notice();
    return true;
  }

  setNodes(nodes: readonly NodeConfig[]): boolean {
    const origins = this.#assessor.setNodes(nodes, this.#options.clock.nowMs());
    if (origins === undefined) return false;
    void this.#monitor.setNodes(nodes, origins);
    this.#notice();
    return true;
  }

  tryNode(node: NodeConfig): Promise<Tried> {
    return this.#monitor.tryNode(node);
  }

  loginsAt(node: NodeConfig): readonly MonitorLogin[] {
    return loginsOf(this.#options)(node);
  }

  whenGone(backend: LostBackend): Promise<void> {
    return this.#outcomes.whenGone(backend);
  }

  /** The backend existed when this was called: a process with the same pid that is younger is another one. */
  readonly whenForeignGone = (backend: Omit<LostBackend, 'connectedAtMs'>): Promise<void> =>
    this.#outcomes.whenGone({ ...backend, connectedAtMs: this.#options.clock.nowMs() });

  onChange(listener: (snapshot: TopologySnapshot) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async ask(node: string, sql: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    return this.#monitor.ask(this.#assessor.indexOf(node), sql, values);
  }

  loginsChanged(): void {
    this.#monitor.loginsChanged();
    this.schema.tryAgain();
  }

  use(): Promise<void> {
    this.schema.wake();
    // No node can be read from: new clients must not wait longer than those that are already connected.
    const isHopeless = catalogSource(this.#assessor.snapshot) === undefined && this.#isPastSettling();
    if (isHopeless) return Promise.resolve();
    return this.schema.whenKnown(SETTLE_MS);
  }

  askNow(listener: () => void): () => void {
    this.#asking.add(listener);
    this.#monitor.askAll();
    return () => this.#asking.delete(listener);
  }

  start(): void {
    this.#startedAtMs = this.#options.clock.nowMs();
    this.#monitor.start();
    this.schema.start();
  }

  async stop(): Promise<void> {
    for (const { load } of this.#assessor.snapshot.nodes) load.isGone = true;
    await Promise.all([this.#monitor.stop(), this.schema.stop(), this.readings.stop()]);
  }
}
