/**
 * A topology whose nodes change while it runs: which records stay, and what differs between two snapshots. Pure. Used by
 * assess.ts and topology.ts.
 */
import type { NodeConfig } from '../config/config.ts';
import { isSameState, type NodeRecord } from './node-record.ts';
import type { TopologySnapshot } from './types.ts';

/** For each node after a change: its index before; undefined: it is new. */
export type Origins = readonly (number | undefined)[];

/** Weight, zone and where it was named may change without a new connection. */
export function isSameServer(a: NodeConfig, b: NodeConfig): boolean {
  const isSameLogin = a.user === b.user && a.password === b.password && a.database === b.database;
  return a.name === b.name && a.host === b.host && a.port === b.port && a.tlsName === b.tlsName && isSameLogin;
}

/** What is known of a node that stays is kept. @param make the record of a new one */
export function rearranged(
  records: readonly NodeRecord[],
  configs: readonly NodeConfig[],
  make: (config: NodeConfig) => NodeRecord,
): { readonly records: readonly NodeRecord[]; readonly origins: Origins } {
  const origins = configs.map((config) => {
    const index = records.findIndex((record) => isSameServer(record.config, config));
    return index < 0 ? undefined : index;
  });
  const after = configs.map((config, index) => {
    const origin = origins[index];
    return origin === undefined ? make(config) : Object.assign(records[origin]!, { config });
  });
  return { records: after, origins };
}

/** @returns true if the snapshots differ in nodes, roles, health or eligibility; false if only positions (LSN, lag) differ */
export function differs(before: TopologySnapshot, after: TopologySnapshot): boolean {
  return (
    before.epoch !== after.epoch ||
    before.primary?.name !== after.primary?.name ||
    before.nodes.length !== after.nodes.length ||
    after.nodes.some(
      (node, index) => before.nodes[index]?.name !== node.name || !isSameState(before.nodes[index], node),
    )
  );
}
