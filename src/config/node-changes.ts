/**
 * Nodes that operators add and remove while Weir runs (NODE ADD, NODE REMOVE): a configuration with the change in it, and what
 * stays of it after a reload. Pure. Called by app/node-changes.ts and app/reload.ts.
 */
import type { Config, DatabaseConfig, NodeConfig } from './config.ts';
import { nameNodes } from './databases.ts';
import { parseNode } from './node-url.ts';
import { formatHostPort } from './values.ts';

/** As many as fit into the bits of an integer (balancing/node-set.ts). */
export const mostNodes = 31;

/** A node as an operator has named it. */
export interface AddedNode {
  readonly database: string;
  readonly url: string;
  readonly name?: string | undefined;
  readonly weight?: number | undefined;
  readonly zone?: string | undefined;
}

/** Survives a structured clone. */
export type NodeChange =
  | { readonly do: 'addNode'; readonly node: AddedNode }
  | { readonly do: 'removeNode'; readonly database: string; readonly node: string };

type Problem = { readonly problem: string };

export const nodesOf = ({ primary, replicas }: DatabaseConfig): readonly NodeConfig[] => [primary, ...replicas];

/** A node that does not change what an entry for all databases ("*") says. */
function entryOf(config: Config, name: string): DatabaseConfig | Problem {
  const database = config.databases.get(name);
  if (database !== undefined) return database;
  const known = [...config.databases.keys()].join(', ');
  return { problem: `the configuration has no database "${name.slice(0, 63)}"; it has ${known}` };
}

/** The node as it would be in the configuration. */
export function nodeToAdd(config: Config, added: AddedNode): NodeConfig | Problem {
  const database = entryOf(config, added.database);
  if ('problem' in database) return database;
  const { url, weight, name, zone } = added;
  const parsed = parseNode({ url, weight, name, zone });
  if ('refused' in parsed) return { problem: `the node ${parsed.refused}` };
  if (nodesOf(database).length >= mostNodes) return { problem: `${database.name} has ${mostNodes} nodes already` };
  const same = nodesOf(database).find((node) => formatHostPort(node) === formatHostPort(parsed.node));
  if (same !== undefined)
    return { problem: `${formatHostPort(parsed.node)} is a node of ${database.name} already: ${same.name}` };
  const named = nameNodes([...nodesOf(database), parsed.node], database.name);
  if ('problem' in named) return { problem: `${database.name}: ${named.problem}` };
  return { ...named.nodes.at(-1)!, source: 'operator' };
}

/** @param isPrimary whether the node is the primary now, whatever the configuration says */
export function withNodeChange(
  config: Config,
  change: NodeChange,
  isPrimary: (database: string, node: string) => boolean,
): { readonly config: Config } | Problem {
  if (change.do === 'addNode') {
    const node = nodeToAdd(config, change.node);
    if ('problem' in node) return node;
    return { config: withReplicas(config, change.node.database, (replicas) => [...replicas, node]) };
  }
  const database = entryOf(config, change.database);
  if ('problem' in database) return database;
  const { name, primary, replicas } = database;
  const names = nodesOf(database).map((node) => node.name);
  if (!names.includes(change.node))
    return { problem: `${name} has no node "${change.node.slice(0, 80)}"; it has ${names.join(', ')}` };
  if (change.node === primary.name)
    return { problem: `${change.node} is the primary of ${name} in the configuration: it cannot be removed` };
  if (isPrimary(name, change.node))
    return { problem: `${change.node} is the primary of ${name}: it cannot be removed` };
  return { config: withReplicas(config, name, () => replicas.filter((node) => node.name !== change.node)) };
}

function withReplicas(
  config: Config,
  name: string,
  change: (replicas: readonly NodeConfig[]) => readonly NodeConfig[],
): Config {
  const databases = new Map(config.databases);
  const database = databases.get(name)!;
  databases.set(name, { ...database, replicas: change(database.replicas) });
  return { ...config, databases };
}

/**
 * What the file says, with the nodes that operators have added to what runs. Where the file names the same node or server, it
 * wins; a node that operators have removed is back if the file names it.
 * @returns also what happened, in words, where that is not plain
 */
export function keepAddedNodes(running: Config, file: Config): { readonly config: Config; readonly notices: string[] } {
  const notices: string[] = [];
  let config = file;
  for (const before of running.databases.values()) {
    const added = before.replicas.filter(({ source }) => source === 'operator');
    const after = file.databases.get(before.name);
    for (const node of added) {
      if (after === undefined)
        notices.push(`node ${node.name}, which was added, is gone with its database ${before.name}`);
      else if (nodesOf(after).some((other) => isSameNode(other, node)))
        notices.push(`node ${node.name} of ${before.name}, which was added, is now as the configuration says`);
      else config = withReplicas(config, before.name, (replicas) => [...replicas, node]);
    }
    const known = nodesOf(before).map(({ name }) => name);
    for (const { name } of after === undefined ? [] : nodesOf(after))
      if (!known.includes(name)) notices.push(`node ${name} of ${before.name} was added, as the configuration says`);
  }
  return { config, notices };
}

export const isSameNode = (a: NodeConfig, b: NodeConfig): boolean =>
  a.name === b.name || (a.host === b.host && a.port === b.port);
