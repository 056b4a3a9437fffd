/**
 * NODE ADD and NODE REMOVE: tries a node before it is added, and makes the configuration with the change in it. Called by
 * console-actions.ts and staged-change.ts.
 */
import type { Config } from '../config/config.ts';
import { nodeToAdd, withNodeChange, type AddedNode, type NodeChange } from '../config/node-changes.ts';
import { WeirError } from '../errors/errors.ts';
import type { Topology } from '../topology/types.ts';

/** A database as far as it matters here. */
interface WithTopology {
  readonly name: string;
  readonly topology: Pick<Topology, 'snapshot' | 'tryNode'>;
}

/** Those that clients use by an entry of the configuration. */
function ofEntry<T extends WithTopology>(config: Config, databases: Iterable<T>, entry: string): T[] {
  return [...databases].filter(({ name }) => (config.databases.has(name) ? name : '*') === entry);
}

/**
 * @param isAgain an operator has made the change before this process was started: if nothing is left to do, nothing is wrong
 * @throws WeirError
 */
export function changedNodes(
  config: Config,
  change: NodeChange,
  databases: Iterable<WithTopology>,
  isAgain = false,
): Config {
  const all = [...databases];
  const isPrimary = (entry: string, node: string): boolean =>
    ofEntry(config, all, entry).some(({ topology }) => topology.snapshot().primary?.name === node);
  const changed = withNodeChange(config, change, isPrimary);
  if ('config' in changed) return changed.config;
  if (isAgain) return config;
  const found = change.do === 'removeNode' ? whyFoundStays(change, ofEntry(config, all, change.database)) : undefined;
  throw refused(found ?? changed.problem);
}

/** SHOW NODES lists what was found, although no configuration has it. Undefined: it was not found. */
function whyFoundStays(
  { database, node }: { readonly database: string; readonly node: string },
  databases: readonly WithTopology[],
): string | undefined {
  const nodes = databases.flatMap(({ topology }) => topology.snapshot().nodes);
  const { source = 'operator' } = nodes.find(({ name }) => name === node)?.config ?? {};
  if (source === 'operator') return undefined;
  return `${database} has no node "${node}" that NODE ADD or the configuration has named and so can be removed: it was found, and goes when it is down (routing.auto_discover) or DNS does not name it; DRAIN keeps reads from it`;
}

/** Resolves to it with its name. Rejects with WeirError if it cannot be reached, or is not a standby of the cluster. */
export async function tryNode(config: Config, added: AddedNode, databases: Iterable<WithTopology>): Promise<AddedNode> {
  const node = nodeToAdd(config, added);
  if ('problem' in node) throw refused(node.problem);
  // An entry for all databases that no client has used yet has nothing to compare it with: it is looked at later.
  const [database] = ofEntry(config, databases, added.database);
  const problem = (await database?.topology.tryNode(node))?.problem;
  if (problem !== undefined) throw refused(`${node.name} was not added: ${problem}`);
  return { ...added, name: node.name };
}

function refused(what: string): WeirError {
  return new WeirError('console_refused', { what });
}
