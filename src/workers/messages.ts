/**
 * Everything that the supervisor and a worker say to each other. Each part of a Weir with several processes lists its own
 * topics in its own interface; here they are put together. Types only.
 */
import type { Entry, Guest } from '../util/client-counts.ts';
import type { Channel } from './channel.ts';
import type { Reported, WelcomeQuestion } from '../session/welcome-types.ts';
import type { WriteTopicsOfSupervisor, WriteTopicsOfWorker } from './write-topics.ts';
import type { BudgetTopicsOfSupervisor, BudgetTopicsOfWorker } from './budget-topics.ts';
import type { DecodingTopicsOfSupervisor, DecodingTopicsOfWorker } from './decoding-topics.ts';
import type { ConsoleTopicsOfSupervisor, ConsoleTopicsOfWorker } from './console-topics.ts';
import type { LeaseTopicsOfSupervisor, LeaseTopicsOfWorker } from './lease-topics.ts';
import type { LimitTopicsOfWorker } from './limit-topics.ts';
import type { MonitorTopicsOfSupervisor, MonitorTopicsOfWorker } from './monitor-messages.ts';
import type { ResizeTopicsOfSupervisor, ResizeTopicsOfWorker } from './resize-messages.ts';
import type { RestartTopicsOfWorker } from './restart-topics.ts';
import type { SettingsTopicsOfWorker } from './settings-topics.ts';
import type { ShareTopicsOfWorker } from './share-topics.ts';
import type { StampTopicsOfSupervisor, StampTopicsOfWorker } from './stamp-topics.ts';

/** Clients: who serves them, who may come in. The socket of a client travels beside the message. */
export interface ClientTopicsOfWorker {
  /** The worker serves: it may be given clients. */
  readonly ready: { readonly body: undefined; readonly reply: void };
  /** As many connections that the worker was given have closed. */
  readonly closed: { readonly body: number; readonly reply: void };
  /** A client has logged in: may it come in under max_client_conn and the limits of its user and database, for all workers? */
  readonly enter: { readonly body: Guest | undefined; readonly reply: Entry };
  /** One of those that were let in has left, or as many of whom no more is known. */
  readonly left: { readonly body: Guest | number; readonly reply: void };
  /** A client came with its session from another worker, which had let it in. */
  readonly arrived: { readonly body: Guest | undefined; readonly reply: void };
  /** Weir drains, and no client of this worker is left. Answered when none of any worker is. */
  readonly drained: { readonly body: undefined; readonly reply: void };
  /** Weir drains: no new clients, where another Weir takes them. */
  readonly stopAccepting: { readonly body: 'shared' | 'own' | 'inherited'; readonly reply: void };
  /** A CancelRequest for a client that this worker does not have: was it another's? */
  readonly cancel: { readonly body: CancelKey; readonly reply: boolean };
  /** A client logs in, and this worker has no server to ask: does another worker know what servers report? */
  readonly welcome: { readonly body: WelcomeQuestion; readonly reply: Reported | undefined };
}

export interface ClientTopicsOfSupervisor {
  readonly cancel: { readonly body: CancelKey; readonly reply: boolean };
  readonly welcome: { readonly body: WelcomeQuestion; readonly reply: Reported | undefined };
  /** End: let statements and transactions finish first, or at once. Answered when nothing is left. */
  readonly end: { readonly body: EndMode; readonly reply: void };
  /** Answered when the backend has ended, which another worker has left. Fails if the worker cannot find that out. */
  readonly backendGone: { readonly body: LostBackendOf; readonly reply: void };
  /**
   * Give all clients away that can be moved, each as soon as it is at rest. Answered when no such client is left but log-ins
   * whose client sends nothing, or after so many milliseconds.
   */
  readonly empty: { readonly body: number; readonly reply: Emptied };
  /** End the clients that cannot be moved, spread out over time. Answered with how many have to connect again, the late ones included. */
  readonly part: { readonly body: PartingTimes; readonly reply: number };
}

export interface Emptied {
  /** Clients that could be moved, and did not come to rest in time. */
  readonly late: number;
  /** Log-ins that wait for their client, which sends nothing. */
  readonly silent: number;
  /** Clients that cannot be moved. */
  readonly stay: number;
}

export interface PartingTimes {
  /** So long the ends are spread over. */
  readonly overMs: number;
  /** So long the last ones may then take to reach a boundary. */
  readonly graceMs: number;
}

export interface CancelKey {
  readonly id: number;
  readonly secret: Uint8Array;
}

export interface LostBackendOf {
  readonly database: string;
  readonly host: string;
  readonly port: number;
  readonly processId: number;
}

export type EndMode = 'now' | 'wait-for-servers' | 'wait-for-clients';

/** What workers say. */
export type WorkerTopics = Topical<
  ClientTopicsOfWorker &
    BudgetTopicsOfWorker &
    WriteTopicsOfWorker &
    ConsoleTopicsOfWorker &
    DecodingTopicsOfWorker &
    LeaseTopicsOfWorker &
    LimitTopicsOfWorker &
    MonitorTopicsOfWorker &
    ResizeTopicsOfWorker &
    RestartTopicsOfWorker &
    SettingsTopicsOfWorker &
    ShareTopicsOfWorker &
    StampTopicsOfWorker
>;
/** What the supervisor says. */
export type SupervisorTopics = Topical<
  ClientTopicsOfSupervisor &
    BudgetTopicsOfSupervisor &
    WriteTopicsOfSupervisor &
    ConsoleTopicsOfSupervisor &
    DecodingTopicsOfSupervisor &
    LeaseTopicsOfSupervisor &
    MonitorTopicsOfSupervisor &
    ResizeTopicsOfSupervisor &
    StampTopicsOfSupervisor
>;

/** An interface as a Topics, which has an index signature. */
type Topical<T> = { readonly [Topic in keyof T]: T[Topic] };

export type WorkerChannel = Channel<WorkerTopics, SupervisorTopics>;
export type SupervisorChannel = Channel<SupervisorTopics, WorkerTopics>;
