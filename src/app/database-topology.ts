/**
 * The topology of one database, put together from what the app has: whom its monitor logs in as, where its words go, what
 * becomes of a catalog. Called by database.ts, anew after each change of the nodes.
 */
import type { DatabaseConfig } from '../config/config.ts';
import { catalogFingerprint } from '../catalog/fingerprint.ts';
import type { Catalog } from '../catalog/types.ts';
import { readCatalog } from '../catalog/read-catalog.ts';
import { createTopology } from '../topology/topology.ts';
import type { Topology } from '../topology/types.ts';
import { systemClock } from '../util/clock.ts';
import { BorrowedLogins } from './borrowed-logins.ts';
import type { Shared } from './shared.ts';
import type { ServerLogins } from './server-logins.ts';
import { topologyLog } from './topology-log.ts';

export interface DatabaseTopologyParts {
  readonly name: string;
  readonly config: DatabaseConfig;
  readonly shared: Shared;
  readonly logins: ServerLogins;
  isUsed(): boolean;
  onCatalog(catalog: Catalog): void;
  onCatalogConfirmed(): void;
}

export interface DatabaseTopology {
  readonly topology: Topology;
  /** Of these nodes: log-ins are not carried over to others. */
  readonly borrowed: BorrowedLogins;
}

const serversOf = ({ primary, replicas }: DatabaseConfig): string =>
  [primary, ...replicas].map(({ name, host, port }) => `${name}=${host}:${port}`).join(' ');

export function makeTopology(parts: DatabaseTopologyParts): DatabaseTopology {
  const { name, config, shared, logins } = parts;
  const { auth, routing, tls } = shared.config();
  const { user } = auth;
  const borrowed = new BorrowedLogins({
    databaseName: name,
    link: (node, as, parameters) => logins.link(node, as, parameters),
    secretOf: (as) => shared.credentials.of(name, as).secret,
    nowMs: shared.services.nowMs,
    isPrimary: (node) => topology.snapshot().primary?.name === node.name,
    onChange: () => topology.loginsChanged(),
  });
  const topology = createTopology({
    database: config,
    databaseName: name,
    routing,
    monitorCredentials: user === undefined ? undefined : { user, password: shared.users.get(user) },
    borrowedLogins: (node, queryTimeoutMs) => borrowed.of(node, queryTimeoutMs),
    tls: tls.server,
    connectTimeoutMs: config.pool.serverConnectTimeoutMs,
    monitors: shared.monitors,
    isUsed: () => parts.isUsed(),
    clock: systemClock,
    log: topologyLog(shared.services, shared.said, serversOf(config)),
    readCatalog: (query) => readCatalog(async (sql) => [...(await query(sql))]),
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
