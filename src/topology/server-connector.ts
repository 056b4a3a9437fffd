/**
 * Finds a log-in for the monitor of one server among those that its databases offer, and keeps the first that the
 * server accepts. If it accepts none ("mute"), only whether the server accepts TCP connections is known; log-ins are
 * tried again with growing pauses, and at once when a new one appears. Used by server-monitor.ts,
 * through resting-connector.ts.
 */
import { connect as connectTcp } from 'node:net';
import type { NodeConfig } from '../config/config.ts';
import type { Clock } from '../util/clock.ts';
import { connectTarget } from '../util/where.ts';
import { NameOfPrimary } from './name-of-primary.ts';
import { ProbeError, asProbeFailure } from './probe.ts';
import type { ConnectProbe, NodeIdentity, ProbeConnection, ProbeFailure, ProbeRow, ProbeSample } from './samples.ts';

/** One way to log in. */
export interface MonitorLogin {
  /** Equal for equal user, password and database. */
  readonly key: string;
  /** Lower ranks are tried first, equal ranks in the order of the databases. From BORROWED on: a client's log-in. */
  readonly rank: number;
  readonly connect: ConnectProbe;
}

/** Says what to set where: for an operator, it may be the only sign of why Weir only relays. */
export const NO_LOGIN =
  'no log-in for the monitor, so nothing is routed or cached until a client has logged in, whose log-in is used then: set "auth": {"user": "NAME"} with a line "NAME" "PASSWORD" in auth.file, or user:password in the URL';

/** Rank of log-ins borrowed from clients. */
export const BORROWED = 2;
const OWN_REFUSED = "the monitor's log-in is refused: ";

const KNOCK_EVERY_MS = 1000;
const TRY_AGAIN_MIN_MS = 500;
const TRY_AGAIN_MAX_MS = 30_000;

const ABSENT: ProbeSample = { isInRecovery: false, lsn: 0, timeline: undefined };

export class ServerConnector {
  readonly #logins: () => readonly MonitorLogin[];
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  /** Of all connections, one after the other. */
  readonly #name = new NameOfPrimary();
  #current: Connection | undefined;

  constructor(logins: () => readonly MonitorLogin[], clock: Clock, timeoutMs: number) {
    this.#logins = logins;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  readonly connect: ConnectProbe = async (node, onLost, signal) => {
    const connection = new Connection(node, this.#logins, this.#clock, this.#timeoutMs, this.#name, onLost, signal);
    await connection.begin();
    this.#current = connection;
    return connection;
  };

  loginsChanged(): void {
    this.#current?.loginsChanged();
  }
}

interface Open {
  readonly key: string;
  readonly connection: ProbeConnection;
  /**
   * A better log-in should be looked for: this one is no longer offered, or is a client's because Weir's own was
   * refused.
   */
  isMakeshift: boolean;
}

/** Either logged in, or mute and looking for a log-in. Probes and queries run one at a time. */
class Connection implements ProbeConnection {
  identity: NodeIdentity;
  readonly #node: NodeConfig;
  readonly #logins: () => readonly MonitorLogin[];
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #name: NameOfPrimary;
  readonly #onLost: (failure: ProbeFailure) => void;
  readonly #signal: AbortSignal;
  #open: Open | undefined;
  #isClosed = false;
  #tail: Promise<unknown> = Promise.resolve();
  #tryAgainMs = TRY_AGAIN_MIN_MS;
  #tryAtMs = 0;
  #knockedAtMs = -Infinity;

  constructor(
    node: NodeConfig,
    logins: () => readonly MonitorLogin[],
    clock: Clock,
    timeoutMs: number,
    name: NameOfPrimary,
    onLost: (failure: ProbeFailure) => void,
    signal: AbortSignal,
  ) {
    this.#node = node;
    this.#logins = logins;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#name = name;
    this.#onLost = onLost;
    this.#signal = signal;
    this.identity = mute(NO_LOGIN);
  }

  async begin(): Promise<void> {
    await this.#logIn();
    if (this.#open === undefined) await this.#knock();
  }

  probe(): Promise<ProbeSample> {
    return this.#inTurn(async () => {
      if (this.#open?.isMakeshift !== false && this.#clock.nowMs() >= this.#tryAtMs) await this.#change();
      if (this.#open !== undefined) return this.#sample(this.#open.connection);
      if (this.#clock.nowMs() - this.#knockedAtMs >= KNOCK_EVERY_MS) await this.#knock();
      return ABSENT;
    });
  }

  async #sample(connection: ProbeConnection): Promise<ProbeSample> {
    const sample = await connection.probe();
    const problem = this.#name.problem(this.#node.host, connection.address, sample, this.#clock.nowMs());
    if (problem !== undefined) throw new ProbeError(problem, false);
    return sample;
  }

  query = (text: string, values: readonly unknown[] = []): Promise<ProbeRow[]> =>
    this.#inTurn(() => {
      if (this.#open === undefined) throw new ProbeError(this.identity.limitation ?? NO_LOGIN, false);
      return this.#open.connection.query(text, values);
    });

  async close(): Promise<void> {
    this.#isClosed = true;
    const open = this.#open;
    this.#open = undefined;
    await open?.connection.close();
  }

  loginsChanged(): void {
    this.#tryAtMs = 0;
    this.#tryAgainMs = TRY_AGAIN_MIN_MS;
    const open = this.#open;
    if (open !== undefined && !this.#logins().some(({ key }) => key === open.key)) open.isMakeshift = true;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  /** Logs in with the best log-in accepted, then closes the old connection. */
  async #change(): Promise<void> {
    const before = this.#open;
    this.#open = undefined;
    try {
      await this.#logIn();
    } finally {
      await before?.connection.close();
    }
  }

  /** Tries the log-ins in order. Rejects if the server cannot be reached; does not reject if it refuses them all. */
  async #logIn(): Promise<void> {
    this.#tryAtMs = this.#clock.nowMs() + this.#tryAgainMs;
    this.#tryAgainMs = Math.min(TRY_AGAIN_MAX_MS, this.#tryAgainMs * 2);
    let why = NO_LOGIN;
    for (const { key, rank, connect } of this.#logins()) {
      try {
        const lost = (failure: ProbeFailure): void => this.#lost(key, failure);
        const connection = await connect(this.#node, lost, this.#signal);
        if (this.#isClosed) return void connection.close();
        const isMakeshift = rank >= BORROWED && why !== NO_LOGIN;
        this.#open = { key, connection, isMakeshift };
        const { identity } = connection;
        this.identity = isMakeshift ? { ...identity, limitation: `${why}; a client's is used` } : identity;
        return;
      } catch (error) {
        const failure = asProbeFailure(error, 'cannot connect');
        if (failure.isRefused !== true || this.#signal.aborted) throw failure;
        if (rank < BORROWED) why = OWN_REFUSED + failure.problem;
      }
    }
    this.identity = mute(why === NO_LOGIN ? why : `${why}; nothing is routed or cached`);
  }

  #lost(key: string, failure: ProbeFailure): void {
    // Another log-in has replaced this connection.
    if (this.#open?.key !== key) return;
    this.#open = undefined;
    if (!this.#isClosed) this.#onLost(failure);
  }

  async #knock(): Promise<void> {
    await knock(this.#node, this.#timeoutMs);
    this.#knockedAtMs = this.#clock.nowMs();
  }
}

function mute(limitation: string): NodeIdentity {
  return {
    systemId: undefined,
    serverVersion: '',
    connectionLimit: 0,
    seesWalReceiver: false,
    limitation,
    isMute: true,
  };
}

function knock(node: NodeConfig, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(connectTarget(node.host, node.port));
    const fail = (error: unknown): void => {
      socket.destroy();
      reject(asProbeFailure(error, 'cannot connect'));
    };
    socket.setTimeout(timeoutMs, () => fail(new Error(`no answer within ${timeoutMs} ms`)));
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    // The listener stays for the life of the socket: a second 'error' event without a listener would throw.
    socket.on('error', fail);
  });
}
