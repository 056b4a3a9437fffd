/**
 * The configuration of one database with the nodes that were found beside those that it names. Made by database.ts.
 */
import type { DatabaseConfig } from '../config/config.ts';
import type { Topology } from '../topology/types.ts';
import { Discovery } from './discovery.ts';
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
  private readonly discovery: Discovery;

  constructor(config: DatabaseConfig, { name, shared, topology, changed }: DatabaseNodesParts) {
    this.configured = this.now = config;
    this.discovery = new Discovery({
      database: name,
      settings: () => shared.config().routing,
      configured: () => this.configured,
      topology,
      onChange: (_found, why) => {
        const before = this.now;
        this.now = this.withFound();
        changed(before, why);
      },
      log: shared.services.log,
      nowMs: shared.services.nowMs,
    });
  }

  get config(): DatabaseConfig {
    return this.now;
  }

  /** What an operator should know of nodes that were found. */
  get problem(): string | undefined {
    return this.discovery.problem;
  }

  reconfigure(config: DatabaseConfig): void {
    this.configured = config;
    this.now = this.withFound();
  }

  sweep(nowMs: number): void {
    this.discovery.sweep(nowMs);
  }

  stop(): void {
    this.discovery.stop();
  }

  private withFound(): DatabaseConfig {
    const { configured, discovery } = this;
    const { found } = discovery;
    return found.length === 0 ? configured : { ...configured, replicas: [...configured.replicas, ...found] };
  }
}
