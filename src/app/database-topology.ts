/**
 * The current topology of a database, which is replaced when its nodes change. Gives it the log-ins of its monitor, its log
 * and the receivers of a new catalog. Made by database.ts.
 */
import type { DatabaseConfig, NodeConfig } from '../config/config.ts';
import { catalogFingerprint } from '../catalog/fingerprint.ts';
import type { Catalog } from '../catalog/types.ts';
import { readCatalog } from '../catalog/read-catalog.ts';
import type { CatalogQuestion } from '../topology/catalog-sharing.ts';
import { ProbeError } from '../topology/probe.ts';
import type { ProbeRow } from '../topology/samples.ts';
import type { MonitorLogin } from '../topology/server-connector.ts';
import { createTopology, type ReadingTopology } from '../topology/topology.ts';
import type { Topology, TopologySnapshot } from '../topology/types.ts';
import { systemClock } from '../util/clock.ts';
import { BorrowedLogins } from './borrowed-logins.ts';
import { forgetAll } from './forget-answers.ts';
import { isMonitorIdle, mayWaitForClient } from './monitor-idle.ts';
import type { Shared } from './shared.ts';
import type { ServerLogins } from './server-logins.ts';
import { topologyLog } from './topology-log.ts';

export interface DatabaseTopologyParts {
  readonly name: string;
  config(): DatabaseConfig;
  readonly shared: Shared;
  readonly logins: ServerLogins;
  isUsed(): boolean;
  onCatalog(catalog: Catalog): void;
  onCatalogConfirmed(): void;
  onChange(snapshot: TopologySnapshot): void;
}

interface Made {
  readonly topology: ReadingTopology;
  /** Log-ins to these nodes; they are not used for other nodes. */
  readonly borrowed: BorrowedLogins;
}

export class CurrentTopology {
  /** Catalog.tagPrefix of the last catalog; undefined: no catalog was read yet. */
  tagPrefix: string | undefined;
  private readonly parts: DatabaseTopologyParts;
  private made: Made;
  private unsubscribe: () => void = () => undefined;
  /** Nobody needs to know the nodes yet: they are not asked. */
  private isPutOff = false;

  constructor(parts: DatabaseTopologyParts) {
    this.parts = parts;
    this.made = this.make();
  }

  get topology(): Topology {
    return this.made.topology;
  }

  get borrowed(): BorrowedLogins {
    return this.made.borrowed;
  }

  /** Log-ins for a server that this process watches for another worker. */
  loginsAt(node: NodeConfig): readonly MonitorLogin[] {
    return this.made.topology.loginsAt(node);
  }

  /** Asks the database's own server for any worker. */
  askCatalog(asker: number, { host, port }: NodeConfig, question: CatalogQuestion): Promise<readonly ProbeRow[]> {
    const { primary, replicas } = this.parts.config();
    const node = [primary, ...replicas].find((each) => each.host === host && each.port === port);
    if (node === undefined) return Promise.reject(new ProbeError('it is not a node of the database', false));
    return this.made.topology.readings.ask(asker, node, question);
  }

  releaseCatalog(asker: number): void {
    this.made.topology.readings.release(asker);
  }

  start(): void {
    const { shared, config, isUsed } = this.parts;
    this.unsubscribe = this.topology.onChange((snapshot) => this.parts.onChange(snapshot));
    this.isPutOff = !isUsed() && mayWaitForClient(shared.config(), config());
    if (!this.isPutOff) this.topology.start();
  }

  /** A client comes, or somebody else needs to know which node is the primary. */
  begin(): void {
    if (!this.isPutOff) return;
    this.isPutOff = false;
    this.topology.start();
  }

  /**
   * Makes a topology of the new nodes. Resolves when the old topology has stopped.
   * @param onMade called before the new topology tells of its nodes
   */
  async replace(onMade: () => void): Promise<void> {
    const { topology } = this;
    this.leave();
    this.made = this.make();
    onMade();
    this.start();
    await topology.stop();
  }

  private make(): Made {
    const { parts } = this;
    return makeTopology({
      ...parts,
      onCatalog: (catalog) => {
        forgetAll(parts.shared.services.cache, this.tagPrefix);
        this.tagPrefix = catalog.tagPrefix;
        parts.onCatalog(catalog);
      },
    });
  }

  /** Stops calls of `onChange`. */
  leave(): void {
    this.unsubscribe();
  }
}

const serversOf = ({ primary, replicas }: DatabaseConfig): string =>
  [primary, ...replicas].map(({ name, host, port }) => `${name}=${host}:${port}`).join(' ');

function makeTopology(parts: DatabaseTopologyParts): Made {
  const { name, shared, logins } = parts;
  const config = parts.config();
  const { auth, routing, tls } = shared.config();
  const { user } = auth;
  const borrowed = new BorrowedLogins({
    databaseName: name,
    link: (node, as, parameters) => logins.link(node, as, parameters),
    secretOf: (as) => shared.credentials.of(name, as).secret,
    nowMs: shared.services.nowMs,
    isPrimary: (node) => topology.snapshot().primary?.name === node.name,
    onChange: () => topology.loginsChanged(),
    onRefused: (node, as) => shared.onLoginRefused(name, node, as),
  });
  const topology = createTopology({
    database: config,
    databaseName: name,
    routing,
    slowStartMs: () => shared.config().routing.slowStartMs,
    monitorCredentials: user === undefined ? undefined : { user, password: shared.users.get(user) },
    borrowedLogins: (node, queryTimeoutMs) => borrowed.of(node, queryTimeoutMs),
    borrowedUsers: (node) => borrowed.usersAt(node),
    tls: tls.server,
    connectTimeoutMs: config.pool.serverConnectTimeoutMs,
    monitors: shared.monitors,
    ...(shared.sharedCatalogs === undefined ? {} : { sharedCatalogs: shared.sharedCatalogs }),
    isUsed: () => parts.isUsed(),
    isMonitorIdle: () => isMonitorIdle(shared.config(), parts.config()),
    clock: systemClock,
    log: topologyLog(shared.services, shared.said, serversOf(config)),
    readCatalog: (query, previous) => readCatalog(async (sql) => [...(await query(sql))], { previous }),
    catalogFingerprint: (query) => catalogFingerprint(async (sql) => [...(await query(sql))]),
    onCatalog: (catalog) => {
      shared.services.cache.attach(catalog.tagPrefix, topology.ticker, topology.whenForeignGone);
      parts.onCatalog(catalog);
    },
    onCatalogConfirmed: () => parts.onCatalogConfirmed(),
    onEjection: (node, reason) => shared.onEjection(node, reason),
  });
  return { topology, borrowed };
}
