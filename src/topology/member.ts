/**
 * How the monitor of one database has a server probed, whoever sends the probes: this process (server-monitor.ts) or
 * another one of the same Weir (workers/remote-member.ts). Types only.
 */
import type { NodeConfig, TlsSide } from '../config/config.ts';
import type { Clock } from '../util/clock.ts';
import type { CatalogConnections } from './catalog-connections.ts';
import type { ProbeRow } from './samples.ts';
import type { MonitorLogin } from './server-connector.ts';
import type { WatcherEvents } from './watcher.ts';

/** A node of one database. */
export interface MemberOptions {
  /** The name that clients use. */
  readonly database: string;
  readonly node: NodeConfig;
  /** The log-ins that this database offers, best first. May change from call to call. */
  readonly logins: () => readonly MonitorLogin[];
  /** The clients' users among them. Absent: none. */
  readonly borrowedUsers?: () => readonly string[];
  /** A tick waits for a probe of this node that has not been sent yet. Absent: never. */
  readonly isTickAwaited?: () => boolean;
  /** The database can do without probes while nothing goes wrong. Absent: never. */
  readonly mayRest?: () => boolean;
  readonly events: WatcherEvents;
}

/** One database's subscription to one server. */
export interface Member {
  /** Milliseconds since the last probe was sent whose answer this member took or will take. */
  readonly sinceSentMs: number;
  /** A probe that is sent from now on is wanted: `minGapMs` after the last one, or now if that is past. */
  hurry(minGapMs: number): void;
  /** A newer answer than the last one is wanted now; the answer to a probe that is under way will do. */
  refresh(): void;
  /**
   * Something suggests that the server's state has changed: probe now. The answer to a probe already under way does
   * not count.
   */
  suspect(): void;
  /** Before `suspect`: something has gone wrong, so that probes at rest must ask the server again. Absent: they never rest. */
  alarm?(): void;
  loginsChanged(): void;
  /** Runs a short query between two probes. Rejects if the monitor is not logged in, or there is no answer in time. */
  ask(sql: string, values?: readonly unknown[]): Promise<ProbeRow[]>;
  leave(): Promise<void>;
}

export interface Monitors {
  /** @param tls the current settings: with other settings, a server gets another monitor */
  join(options: MemberOptions, tls: TlsSide, connectTimeoutMs: number, clock: Clock): Member;
  catalogConnectionsAt(node: NodeConfig): CatalogConnections;
}
