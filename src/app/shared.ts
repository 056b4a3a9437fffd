/**
 * What all databases share. Made by directory.ts. Types only.
 */
import type { KeyDeriver } from '../auth/keys.ts';
import type { Config, NodeConfig } from '../config/config.ts';
import type { Log } from '../observability/types.ts';
import type { Budgets } from '../pool/budget-types.ts';
import type { PoolStats } from '../pool/types.ts';
import type { ClientSession } from '../request/client.ts';
import type { Services } from '../session/context.ts';
import type { WelcomePeers } from '../session/welcome-types.ts';
import type { SharedCatalogs } from '../topology/catalog-sharing.ts';
import type { Monitors } from '../topology/member.ts';
import type { Credentials } from './credentials.ts';
import type { ServerLog } from './server-log.ts';
import type { SharedBudget } from './shared-budget.ts';
import type { Said } from './topology-log.ts';

export interface Shared {
  config(): Config;
  readonly services: Services;
  readonly users: ReadonlyMap<string, string>;
  readonly credentials: Credentials;
  readonly keys: KeyDeriver;
  /** How many connections the pools may open on each server. */
  readonly budgets: Budgets;
  /** How many of them this Weir may have. */
  connectionBudget(): Pick<SharedBudget, 'begin' | 'learned' | 'most'>;
  /** One per server (host and port), whatever databases and pools use it. */
  readonly monitors: Monitors;
  /** Undefined: this process is the whole Weir. */
  readonly sharedCatalogs: SharedCatalogs | undefined;
  /** A server has refused a client's user: tells the worker that may have borrowed the log-in. */
  onLoginRefused(database: string, node: NodeConfig, user: string): void;
  /** How many processes this Weir has. */
  readonly processes: number;
  /** Undefined: this process is the whole Weir. */
  readonly welcomePeers: WelcomePeers | undefined;
  readonly said: Said;
  /** For failed log-ins: repeated failures are combined into one line. */
  readonly loginLog: Log;
  /** Undefined: log.format does not ask for it. */
  readonly serverLog: ServerLog | undefined;
  nextServerId(): number;
  onResize(stats: PoolStats): void;
  onOverload(stats: PoolStats): void;
  onEjection(node: string, reason: string): void;
  /** The client sessions of all databases. */
  sessions(): Iterable<ClientSession>;
}
