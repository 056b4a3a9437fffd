/**
 * The lines of the log about nodes that come and go while Weir runs. Used by database.ts.
 */
import type { DatabaseConfig, NodeConfig } from '../config/config.ts';
import { nodesOf } from '../config/node-changes.ts';
import { isSameServer } from '../topology/changed-nodes.ts';
import type { Log } from '../observability/types.ts';

export interface NodeChanges {
  readonly gone: readonly NodeConfig[];
  readonly come: readonly NodeConfig[];
}

export function changesOf(before: DatabaseConfig, after: DatabaseConfig): NodeChanges {
  const missingIn = (nodes: readonly NodeConfig[], others: readonly NodeConfig[]): NodeConfig[] =>
    nodes.filter((node) => !others.some((other) => isSameServer(node, other)));
  const [old, now] = [nodesOf(before), nodesOf(after)];
  return { gone: missingIn(old, now), come: missingIn(now, old) };
}

const sources = {
  configuration: 'the configuration names it',
  operator: 'an operator added it',
  replication: 'found in pg_stat_replication',
  dns: 'found in DNS',
} as const;

/** @param why why they go; absent: the configuration or an operator */
export function logNodeChanges(log: Log, database: string, { gone, come }: NodeChanges, why?: string): void {
  const about = ({ name, host, port, source }: NodeConfig): object => {
    return { database, node: name, host, port, source: source ?? 'configuration' };
  };
  for (const node of gone) {
    const reason = why ?? 'an operator or the configuration has removed it';
    log('info', 'node_removed', `${node.name} gets no new work: ${reason}`, { ...about(node), reason });
  }
  for (const node of come) {
    const reason = sources[node.source ?? 'configuration'];
    log('info', 'node_added', `${node.name} is a node of ${database}: ${reason}`, { ...about(node), reason });
  }
}
