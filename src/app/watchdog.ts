/**
 * Checks every client and every server once a second. One that has been stuck for too long (request/stuck.ts) is logged with
 * its state, counted, and its connection is closed. It finds only bugs of Weir. Made by parts.ts, called by sweeper.ts.
 */
import type { ServerConnection } from '../backend/server.ts';
import { WeirError } from '../errors/errors.ts';
import type { Log } from '../observability/types.ts';
import type { ClientSession } from '../request/client.ts';
import {
  describeServer,
  describeSession,
  suspicionOfServer,
  suspicionOfSession,
  type Suspicion,
} from '../request/stuck.ts';
import type { StuckKind } from '../session/types.ts';

/** Time that a stuck client or server gets; if the wait has a timeout of its own, in addition to that timeout. */
const patienceMs = 5_000;
/** Limit of a step, so that a suspended process or a jump of the clock makes no client or server count as stuck. */
const longestStepMs = 2_000;

interface Watched {
  settings(): { readonly queryWaitTimeoutMs: number };
  pools(): Iterable<{ servers(): Iterable<ServerConnection> }>;
}

export interface WatchdogOptions {
  sessions(): Iterable<ClientSession>;
  databases(): Iterable<Watched>;
  readonly log: Log;
}

interface Seen {
  readonly kind: StuckKind;
  readonly of: object;
  readonly ageMs: number;
}

export class Watchdog {
  readonly counts: Record<StuckKind, number> = {
    client_waiting: 0,
    client_asleep: 0,
    client_paused: 0,
    answer_lost: 0,
    server_paused: 0,
    server_unheld: 0,
    server_owes_nobody: 0,
  };
  private readonly options: WatchdogOptions;
  private before = new Map<object, Seen>();
  private now = new Map<object, Seen>();
  private lastMs: number | undefined;

  constructor(options: WatchdogOptions) {
    this.options = options;
  }

  /** About once a second. */
  pass(nowMs: number): void {
    const stepMs = Math.min(nowMs - (this.lastMs ?? nowMs), longestStepMs);
    this.lastMs = nowMs;
    [this.before, this.now] = [this.now, this.before];
    this.now.clear();
    const held = new Set<ServerConnection>();
    for (const session of [...this.options.sessions()]) {
      if (session.server !== undefined) held.add(session.server);
      const suspicion = suspicionOfSession(session);
      if (suspicion === undefined) continue;
      const { queryWaitTimeoutMs } = session.database.settings(session.user);
      if (this.isProven(session, suspicion, stepMs, queryWaitTimeoutMs)) this.closeSession(session, suspicion, nowMs);
    }
    for (const database of this.options.databases()) {
      const { queryWaitTimeoutMs } = database.settings();
      for (const server of serversOf(database)) {
        const suspicion = suspicionOfServer(server, held.has(server));
        if (suspicion === undefined) continue;
        if (this.isProven(server, suspicion, stepMs, queryWaitTimeoutMs)) this.closeServer(server, suspicion, nowMs);
      }
    }
  }

  private isProven(who: object, { kind, of, mayWait }: Suspicion, stepMs: number, waitMs: number): boolean {
    const seen = this.before.get(who);
    const ageMs = seen?.kind === kind && seen.of === of ? seen.ageMs + stepMs : 0;
    this.now.set(who, { kind, of, ageMs });
    return ageMs > (mayWait ? waitMs + patienceMs : patienceMs);
  }

  private closeSession(session: ClientSession, { kind }: Suspicion, nowMs: number): void {
    this.note(kind, `a client is stuck (${kind}): its connection is closed`, describeSession(session, nowMs));
    session.terminate(new WeirError('internal_error', { what: `the request was stuck (${kind})` }));
  }

  private closeServer(server: ServerConnection, { kind }: Suspicion, nowMs: number): void {
    this.note(kind, `a server connection is stuck (${kind}): it is closed`, { server: describeServer(server, nowMs) });
    server.destroy(`it was stuck (${kind})`);
  }

  private note(kind: StuckKind, message: string, state: object): void {
    this.counts[kind]++;
    this.options.log('error', 'stuck', message, { kind, ...state });
  }
}

function* serversOf(database: Watched): Iterable<ServerConnection> {
  // Closing one changes the pool.
  for (const pool of database.pools()) yield* [...pool.servers()];
}
