/**
 * Entries of `replicas` with dns: asks DNS for the replicas of one database as often as the answers say, looks at each before
 * it is used, and gives up those that are not in the answer any more. Made by database-nodes.ts.
 */
import { isDeepStrictEqual } from 'node:util';
import type { DatabaseConfig, NodeConfig } from '../config/config.ts';
import { dnsKeyOf } from '../config/dns-replicas.ts';
import { nodesOf } from '../config/node-changes.ts';
import type { Log } from '../observability/types.ts';
import type { DnsLookup } from '../topology/dns-lookup.ts';
import type { Topology } from '../topology/types.ts';
import { DnsName } from './dns-name.ts';
import { freeName, NodeTrials } from './node-trials.ts';
import { serverKey } from '../util/server-key.ts';

export interface DnsFinderParts {
  readonly database: string;
  /** routing.dns_servers */
  servers(): readonly string[];
  makeLookup(servers: readonly string[]): DnsLookup;
  /** As the file and operators say. */
  configured(): DatabaseConfig;
  topology(): Pick<Topology, 'snapshot' | 'ask' | 'tryNode'>;
  /** @param why some are gone */
  onChange(why: string): void;
  /** See NodeTrialsParts. */
  readonly serverIds: Map<string, unknown>;
  readonly log: Log;
  nowMs(): number;
}

/** A node, and the entry that it is from. */
interface Used {
  readonly entry: string;
  readonly node: NodeConfig;
}

const considerEveryMs = 500;

export class DnsFinder {
  private readonly parts: DnsFinderParts;
  private readonly trials: NodeTrials;
  private readonly names = new Map<string, DnsName>();
  private used: readonly Used[] = [];
  private lookup: DnsLookup | undefined;
  private asked: readonly string[] = [];
  private considerAtMs = -Infinity;
  private isStopped = false;

  constructor(parts: DnsFinderParts) {
    this.parts = parts;
    this.trials = new NodeTrials({
      ...parts,
      where: 'DNS',
      isWanted: (node) => this.candidates().some((other) => serverKey(other.node) === serverKey(node)),
      use: (node) => this.use(node),
    });
    this.reconfigure();
  }

  get found(): readonly NodeConfig[] {
    return this.used.map(({ node }) => node);
  }

  /** What an operator should know, as text. */
  get problem(): string | undefined {
    const ofNames = [...this.names.values()].flatMap(({ problem }) => problem ?? []);
    const problems = [...ofNames, ...this.trials.problems];
    return problems.length === 0 ? undefined : problems.join('; ');
  }

  /** The configuration has changed: takes over what holds for the entries. Calls nobody. */
  reconfigure(): void {
    const entries = new Map((this.parts.configured().dns ?? []).map((entry) => [dnsKeyOf(entry), entry]));
    for (const key of this.names.keys()) if (!entries.has(key)) this.names.delete(key);
    for (const [key, entry] of entries) {
      const name = this.names.get(key);
      if (name === undefined) this.names.set(key, new DnsName(entry, this.parts));
      else name.entry = entry;
    }
    this.used = this.stillUsed();
    this.trials.retryTwins();
  }

  /** Called about ten times a second. */
  sweep(nowMs: number): void {
    if (this.names.size === 0 && this.used.length === 0) return;
    const lookup = this.lookupNow();
    for (const name of this.names.values())
      if (name.isDue(nowMs)) void name.ask(lookup).then((isAnswered) => this.answered(isAnswered));
    if (nowMs < this.considerAtMs) return;
    this.considerAtMs = nowMs + considerEveryMs;
    this.update();
    this.consider();
  }

  stop(): void {
    this.isStopped = true;
    this.lookup?.stop();
  }

  private lookupNow(): DnsLookup {
    const servers = this.parts.servers();
    if (this.lookup === undefined || !isDeepStrictEqual(servers, this.asked)) {
      this.lookup?.stop();
      this.lookup = this.parts.makeLookup(servers);
      this.asked = servers;
      for (const name of this.names.values()) name.askNow();
    }
    return this.lookup;
  }

  private answered(isAnswered: boolean): void {
    if (!isAnswered || this.isStopped) return;
    this.update();
    this.consider();
  }

  /** Those that the last answers have, as their entries say now. The primary in office stays. */
  private stillUsed(): readonly Used[] {
    const configured = nodesOf(this.parts.configured()).map(serverKey);
    return this.used.flatMap(({ entry, node }) => {
      const now = this.names.get(entry)?.nodes.find((other) => serverKey(other) === serverKey(node));
      if (configured.includes(serverKey(node))) return [];
      if (now !== undefined) return [{ entry, node: { ...now, name: node.name } }];
      return this.isPrimary(node) ? [{ entry, node }] : [];
    });
  }

  private isPrimary({ name }: NodeConfig): boolean {
    return this.used.length > 0 && this.parts.topology().snapshot().primary?.name === name;
  }

  /** Gives up what DNS does not name any more. */
  private update(): void {
    const now = this.stillUsed();
    if (isDeepStrictEqual(now, this.used)) return;
    if (now.length < this.used.length) this.trials.retryTwins();
    this.used = now;
    this.parts.onChange('DNS does not name it any more');
  }

  /** What DNS names and is no node: the first entry that has it counts. */
  private candidates(): readonly Used[] {
    if (this.isStopped) return [];
    const taken = new Set([...nodesOf(this.parts.configured()), ...this.found].map(serverKey));
    return [...this.names].flatMap(([entry, { nodes }]) =>
      nodes.flatMap((node) => {
        if (taken.has(serverKey(node))) return [];
        taken.add(serverKey(node));
        return [{ entry, node }];
      }),
    );
  }

  /** Without a primary nobody knows which cluster it is. */
  private consider(): void {
    const nodes = this.candidates().map(({ node }) => node);
    this.trials.keep(nodes);
    if (this.parts.topology().snapshot().primary?.isUp !== true) return;
    for (const node of nodes) void this.trials.consider(node);
  }

  private use(tried: NodeConfig): void {
    const candidate = this.candidates().find(({ node }) => serverKey(node) === serverKey(tried));
    if (candidate === undefined) return;
    const { entry, node } = candidate;
    const names = [node.name, `${node.name}-${node.host}`, `${node.name}-${serverKey(node)}`];
    const name = freeName(names, [...nodesOf(this.parts.configured()), ...this.found]);
    this.used = [...this.used, { entry, node: { ...node, name } }];
    this.parts.onChange('');
  }
}
