/**
 * What workers say to each other about the servers, through their supervisor. One worker is the lead: it probes the servers
 * and reads the catalogs for all. A term is the time of one lead; what belongs to another term is dropped. Types only.
 */
import type { Proven } from '../auth/types.ts';
import type { NodeConfig } from '../config/config.ts';
import type { CatalogQuestion } from '../topology/catalog-sharing.ts';
import type { NodeIdentity, ProbeFailure, ProbeRow, ProbeSample } from '../topology/samples.ts';

/** From a worker to the lead. `id` is the worker's number for one node of one of its databases. */
export type WatchMessage =
  | {
      readonly kind: 'watch';
      readonly id: number;
      readonly database: string;
      readonly node: NodeConfig;
      readonly intervalMs: number;
      /** The last request that was sent: it counts as heard with this message. */
      readonly request: number;
      readonly borrowedUsers: readonly string[];
    }
  /** A probe is wanted that is sent after this was heard, and `minGapMs` after the last one. */
  | { readonly kind: 'request'; readonly id: number; readonly request: number; readonly minGapMs: number }
  /** An answer is wanted that is newer than the one with the number `seen`. */
  | { readonly kind: 'refresh'; readonly id: number; readonly seen: number }
  | { readonly kind: 'suspect'; readonly id: number }
  | { readonly kind: 'interval'; readonly id: number; readonly intervalMs: number }
  | { readonly kind: 'logins'; readonly id: number; readonly borrowedUsers: readonly string[] }
  /** The node has refused this client's user, whom the lead may have borrowed. */
  | { readonly kind: 'refused'; readonly database: string; readonly node: NodeConfig; readonly user: string }
  | { readonly kind: 'leave'; readonly id: number }
  | { readonly kind: 'release'; readonly database: string };

/** From the lead to a worker. */
export type WatchNews =
  | { readonly kind: 'connected'; readonly id: number; readonly identity: NodeIdentity }
  | {
      readonly kind: 'sampled';
      readonly id: number;
      readonly sample: ProbeSample;
      /** When the probe was sent (shared-time.ts). */
      readonly sentAtMs: number;
      /** The last request that was heard before the probe was sent. */
      readonly heard: number;
      /** Grows with each probe whose answer this watch takes. */
      readonly number: number;
    }
  | { readonly kind: 'failed'; readonly id: number; readonly failure: ProbeFailure };

export type LeadQuestion =
  | { readonly kind: 'query'; readonly id: number; readonly sql: string; readonly values: readonly unknown[] }
  | {
      readonly kind: 'catalog';
      readonly database: string;
      readonly node: NodeConfig;
      readonly question: CatalogQuestion;
    };

export type LeadAnswer =
  | { readonly kind: 'rows'; readonly rows: readonly ProbeRow[] }
  | { readonly kind: 'failure'; readonly failure: ProbeFailure }
  /** The lead is gone: ask the next one. */
  | { readonly kind: 'no lead' };

export interface MonitorTopicsOfWorker {
  /** The worker can lead and be led. It is told who leads, and the log-ins that others have proven. */
  readonly follow: { readonly body: undefined; readonly reply: void };
  readonly toLead: { readonly body: { readonly term: number; readonly message: WatchMessage }; readonly reply: void };
  readonly askLead: {
    readonly body: { readonly term: number; readonly question: LeadQuestion };
    readonly reply: LeadAnswer;
  };
  /** The lead's news for a worker. */
  readonly fromLead: {
    readonly body: { readonly worker: number; readonly term: number; readonly news: WatchNews };
    readonly reply: void;
  };
  /** A client has proven a log-in: other workers may need it to log in to the servers. */
  readonly proven: { readonly body: Proven; readonly reply: void };
}

export interface MonitorTopicsOfSupervisor {
  /** From now on, this worker is the lead, or another one is. */
  readonly lead: { readonly body: { readonly term: number; readonly isThisWorker: boolean }; readonly reply: void };
  readonly toLead: { readonly body: { readonly worker: number; readonly message: WatchMessage }; readonly reply: void };
  readonly askLead: {
    readonly body: { readonly worker: number; readonly question: LeadQuestion };
    readonly reply: LeadAnswer;
  };
  /** All watches of the worker are over. */
  readonly workerGone: { readonly body: number; readonly reply: void };
  readonly fromLead: { readonly body: { readonly term: number; readonly news: WatchNews }; readonly reply: void };
  readonly proven: { readonly body: Proven; readonly reply: void };
  /** Does its event loop run? */
  readonly alive: { readonly body: undefined; readonly reply: true };
}
