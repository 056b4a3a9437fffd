/**
 * The configuration of one database with the nodes that were found beside those that it names. Made by database.ts.
 */
import type { DatabaseConfig } from '../config/config.ts';
import { isSameNode, mostNodes, nodesOf } from '../config/node-changes.ts';
import { createDnsLookup } from '../topology/dns-lookup.ts';
import type { Topology } from '../topology/types.ts';
import { Discovery } from './discovery.ts';
import { DnsFinder } from './dns-replicas.ts';
import type { Shared } from './shared.ts';

export interface DatabaseNodesParts {
  readonly name: string;
  readonly shared: Shared;
  topology(): Topology;
  /** Nodes were found, or are gone. */
  changed(before: DatabaseConfig, why: string): void;
}

export class DatabaseNodes {
  private configured: DatabaseConfig;
  private now: DatabaseConfig;
  private readonly changed: DatabaseNodesParts['changed'];
  private readonly dns: DnsFinder;
  private readonly discovery: Discovery;

  constructor(config: DatabaseConfig, { name, shared, topology, changed }: DatabaseNodesParts) {
    this.configured = this.now = config;
    this.changed = changed;
    const common = {
      database: name,
      topology,
      serverIds: new Map<string, unknown>(),
      log: shared.services.log,
      nowMs: shared.services.nowMs,
    };
    this.dns = new DnsFinder({
      ...common,
      servers: () => shared.config().routing.dnsServers,
      makeLookup: createDnsLookup,
      configured: () => this.configured,
      onChange: (why) => this.foundOthers(why),
    });
    this.discovery = new Discovery({
      ...common,
      settings: () => shared.config().routing,
      // Who names a replica in DNS has said more about it than pg_stat_replication does.
      configured: () => this.withDns(),
      onChange: (_found, why) => this.foundOthers(why),
    });
  }

  get config(): DatabaseConfig {
    return this.now;
  }

  /** What an operator should know of nodes that were found. */
  get problem(): string | undefined {
    const problems = [this.dns.problem, this.discovery.problem].filter((each) => each !== undefined);
    return problems.length === 0 ? undefined : problems.join('; ');
  }

  reconfigure(config: DatabaseConfig): void {
    this.configured = config;
    this.dns.reconfigure();
    this.now = this.withFound();
  }

  sweep(nowMs: number): void {
    this.dns.sweep(nowMs);
    this.discovery.sweep(nowMs);
  }

  stop(): void {
    this.dns.stop();
    this.discovery.stop();
  }

  private foundOthers(why: string): void {
    const before = this.now;
    this.now = this.withFound();
    this.changed(before, why);
  }

  private withDns(): DatabaseConfig {
    const { found } = this.dns;
    if (found.length === 0) return this.configured;
    const named = nodesOf(this.configured);
    const own = found.filter((node) => !named.some((other) => isSameNode(other, node)));
    return { ...this.configured, replicas: [...this.configured.replicas, ...own] };
  }

  private withFound(): DatabaseConfig {
    const configured = this.withDns();
    const { found } = this.discovery;
    if (configured === this.configured && found.length === 0) return configured;
    return { ...configured, replicas: [...configured.replicas, ...found].slice(0, mostNodes - 1) };
  }
}
