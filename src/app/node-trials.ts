/**
 * Looks at servers that were found before they become nodes: what cannot be used, or is a node already under another address,
 * costs nothing but a look now and then. Used by discovery.ts and dns-replicas.ts.
 */
import type { DatabaseConfig, NodeConfig } from '../config/config.ts';
import { mostNodes, nodesOf } from '../config/node-changes.ts';
import type { Log } from '../observability/types.ts';
import { SERVER_ID_SQL } from '../topology/standbys.ts';
import type { Topology } from '../topology/types.ts';
import { serverKey } from '../util/server-key.ts';

export interface NodeTrialsParts {
  readonly database: string;
  /** Without what was found in this way. */
  configured(): DatabaseConfig;
  /** Where they are found, in words. */
  readonly where: string;
  topology(): Pick<Topology, 'snapshot' | 'ask' | 'tryNode'>;
  /** Nobody has changed its mind in the meantime. */
  isWanted(node: NodeConfig): boolean;
  use(node: NodeConfig): void;
  /** By address: who the servers are that have become nodes. Of all that find nodes of the database. */
  readonly serverIds: Map<string, unknown>;
  readonly log: Log;
  nowMs(): number;
}

interface Attempt {
  readonly problem: string | undefined;
  readonly againAtMs: number;
  readonly delayMs: number;
}

interface Look {
  readonly problem: string | undefined;
  /** It is a node already, by another address. */
  readonly isTwin: boolean;
  readonly serverId?: unknown;
}

const firstDelayMs = 2_000;
const longestDelayMs = 60_000;

/** The first of the names that no other node has. */
export function freeName(names: readonly string[], others: readonly NodeConfig[]): string {
  const isFree = (name: string): boolean => !others.some((other) => other.name === name);
  return names.find(isFree) ?? `${names.at(-1)}/found`;
}

export class NodeTrials {
  private readonly parts: NodeTrialsParts;
  /** What was found and is not used. */
  private readonly attempts = new Map<string, Attempt>();
  private readonly underWay = new Set<string>();
  /** How often nodes have gone. */
  private departures = 0;

  constructor(parts: NodeTrialsParts) {
    this.parts = parts;
  }

  /** What an operator should know of what is not used. */
  get problems(): readonly string[] {
    return [...this.attempts].flatMap(([key, { problem }]) =>
      problem === undefined ? [] : [this.words(key, problem)],
    );
  }

  /** Forgets all others. */
  keep(found: readonly NodeConfig[]): void {
    const keys = new Set(found.map(serverKey));
    for (const key of this.attempts.keys()) if (!keys.has(key)) this.attempts.delete(key);
  }

  /** It is a node. */
  settled(node: NodeConfig): void {
    this.attempts.delete(serverKey(node));
  }

  /** A node is gone: what was the same server may be one now. */
  retryTwins(): void {
    this.departures++;
    for (const [key, { problem }] of this.attempts) if (problem === undefined) this.attempts.delete(key);
  }

  /** Tries it, unless that was done not long ago. Never rejects. */
  async consider(node: NodeConfig): Promise<void> {
    const key = serverKey(node);
    const before = this.attempts.get(key);
    if (this.underWay.has(key) || (before !== undefined && this.parts.nowMs() < before.againAtMs)) return;
    this.underWay.add(key);
    const { departures } = this;
    const look = await this.look(node).finally(() => this.underWay.delete(key));
    if (!this.parts.isWanted(node)) return;
    if (look.isTwin || this.isTwin(node, look.serverId)) {
      // It may have been the twin of one that has gone in the meantime.
      if (departures === this.departures) this.postpone(key, undefined, before);
    } else if (look.problem !== undefined) this.postpone(key, look.problem, before);
    else this.use(node, look.serverId);
  }

  private async look(node: NodeConfig): Promise<Look> {
    const topology = this.parts.topology();
    if (topology.snapshot().nodes.length >= mostNodes)
      return { problem: `the database has ${mostNodes} nodes`, isTwin: false };
    const { problem, serverId } = await topology.tryNode(node);
    if (serverId === undefined) return { problem, isTwin: false };
    const { nodes } = topology.snapshot();
    const named = nodesOf(this.parts.configured()).map(({ name }) => name);
    // It may be one that has not been heard of yet.
    if (problem === undefined && nodes.some(({ name, isUnheard }) => isUnheard === true && named.includes(name)))
      return { problem, serverId, isTwin: true };
    const others = nodes.filter(({ config }) => serverKey(config) !== serverKey(node));
    const ids = others.map(async ({ name, isUp }) => {
      const rows = isUp ? await topology.ask(name, SERVER_ID_SQL).catch(() => []) : [];
      return rows[0]?.['id'];
    });
    return { problem, serverId, isTwin: (await Promise.all(ids)).includes(serverId) };
  }

  /** The same server has become a node while this one was looked at. */
  private isTwin(node: NodeConfig, serverId: unknown): boolean {
    if (serverId === undefined) return false;
    const others = this.parts
      .topology()
      .snapshot()
      .nodes.map(({ config }) => serverKey(config));
    return others.some((key) => key !== serverKey(node) && this.parts.serverIds.get(key) === serverId);
  }

  private use(node: NodeConfig, serverId: unknown): void {
    const { parts } = this;
    const nodes = parts
      .topology()
      .snapshot()
      .nodes.map(({ config }) => serverKey(config));
    if (nodes.length >= mostNodes) return;
    for (const key of parts.serverIds.keys()) if (!nodes.includes(key)) parts.serverIds.delete(key);
    parts.serverIds.set(serverKey(node), serverId);
    this.attempts.delete(serverKey(node));
    parts.use(node);
  }

  private postpone(key: string, problem: string | undefined, before: Attempt | undefined): void {
    const delayMs = before === undefined ? firstDelayMs : Math.min(longestDelayMs, before.delayMs * 2);
    this.attempts.set(key, { problem, delayMs, againAtMs: this.parts.nowMs() + delayMs });
    if (problem === undefined || problem === before?.problem) return;
    const { database } = this.parts;
    this.parts.log('warn', 'discovery', this.words(key, problem), { database, address: key, problem });
  }

  private words(key: string, problem: string): string {
    return `found ${key} in ${this.parts.where}, which is not used: ${problem}`;
  }
}
