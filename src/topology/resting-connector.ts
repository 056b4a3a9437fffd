/**
 * Connects to one server for its monitor, but only while that must not rest (rest.ts). A probe at rest sends nothing, and is
 * answered with what was known last. Used by server-monitor.ts.
 */
import type { NodeConfig } from '../config/config.ts';
import type { Clock } from '../util/clock.ts';
import { ProbeError } from './probe.ts';
import { Rest } from './rest.ts';
import type { ConnectProbe, NodeIdentity, ProbeConnection, ProbeFailure, ProbeRow, ProbeSample } from './samples.ts';

/** Nothing was asked yet: the server counts as the configured primary, as one does that lets no monitor in. */
const UNASKED: NodeIdentity = {
  systemId: undefined,
  serverVersion: '',
  connectionLimit: 0,
  seesWalReceiver: false,
  limitation: undefined,
  isMute: true,
};

export class RestingConnector {
  readonly #awake: ConnectProbe;
  readonly #rest: Rest;
  #current: RestingConnection | undefined;

  /** @param awake connects in any case */
  constructor(awake: ConnectProbe, mayRest: () => boolean, clock: Clock) {
    this.#awake = awake;
    this.#rest = new Rest(mayRest, clock);
  }

  readonly connect: ConnectProbe = async (node, onLost, signal) => {
    const connection = new RestingConnection({ node, onLost, signal, awake: this.#awake, rest: this.#rest });
    await connection.begin();
    this.#current = connection;
    return connection;
  };

  /** The next probe is a real one. */
  alarm(): void {
    this.#rest.alarm();
  }

  async ask(sql: string, values: readonly unknown[], name: string): Promise<ProbeRow[]> {
    if (this.#current === undefined) throw new ProbeError(`not connected to ${name}`, false);
    return this.#current.query(sql, values);
  }
}

interface RestingOptions {
  readonly node: NodeConfig;
  readonly onLost: (failure: ProbeFailure) => void;
  readonly signal: AbortSignal;
  readonly awake: ConnectProbe;
  readonly rest: Rest;
}

class RestingConnection implements ProbeConnection {
  identity = UNASKED;
  readonly #options: RestingOptions;
  /** undefined: at rest. */
  #open: ProbeConnection | undefined;
  #isClosed = false;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: RestingOptions) {
    this.#options = options;
  }

  async begin(): Promise<void> {
    if (!this.#options.rest.isNow) await this.#wake();
  }

  probe(): Promise<ProbeSample> {
    return this.#inTurn(async () => {
      const { rest } = this.#options;
      if (rest.isNow) {
        await this.#lieDown();
        return rest.sample;
      }
      const open = await this.#wake();
      try {
        const sample = await open.probe();
        rest.answered(sample);
        this.identity = open.identity;
        return sample;
      } catch (error) {
        rest.failed();
        throw error;
      }
    });
  }

  query = (text: string, values: readonly unknown[] = []): Promise<ProbeRow[]> =>
    this.#inTurn(async () => {
      if (this.#open === undefined) this.#options.rest.alarm();
      return (await this.#wake()).query(text, values);
    });

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#hangUp();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  async #wake(): Promise<ProbeConnection> {
    if (this.#open !== undefined) return this.#open;
    const { node, awake, rest, signal, onLost } = this.#options;
    let lost: ProbeFailure | undefined;
    try {
      const connection = await awake(
        node,
        (failure) => {
          lost = failure;
          if (this.#open !== connection) return;
          this.#open = undefined;
          rest.failed();
          onLost(failure);
        },
        signal,
      );
      if (this.#isClosed || lost !== undefined) {
        void connection.close();
        throw new ProbeError(lost?.problem ?? 'stopped', lost?.isStopped ?? false);
      }
      this.#open = connection;
      this.identity = connection.identity;
      return connection;
    } catch (error) {
      if (!signal.aborted && !this.#isClosed) rest.failed();
      throw error;
    }
  }

  async #lieDown(): Promise<void> {
    if (this.#open === undefined) return;
    // What a monitor without a log-in cannot see concerns nobody now.
    if (this.identity.isMute === true || this.identity.limitation !== undefined)
      this.identity = { ...this.identity, limitation: undefined };
    await this.#hangUp();
  }

  async #hangUp(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.close();
  }
}
