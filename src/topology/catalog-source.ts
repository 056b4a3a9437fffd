/**
 * The node from which the catalog of a database is read: the primary, or a replica while there is none. Used by topology.ts.
 */
import type { CatalogSource } from './schema-watch.ts';
import type { TopologySnapshot } from './types.ts';

export function catalogSource(snapshot: TopologySnapshot): CatalogSource | undefined {
  if (snapshot.primary?.isUp) return { node: snapshot.primary.config, isPrimary: true };
  const replica = snapshot.replicas.find((node) => node.isUp && node.role === 'replica');
  return replica === undefined ? undefined : { node: replica.config, isPrimary: false };
}
