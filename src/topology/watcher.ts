/**
 * Keeps one connection to one node and asks it again and again, at most one question at a time: connect, probe, probe,
 * lost, connect. Decides when to ask, not what the answers mean (assess.ts). One per node, made by monitor.ts.
 */
import type { NodeConfig } from '../config/config.ts';
import type { Clock } from '../util/clock.ts';
import { asProbeFailure } from './probe.ts';
import type { ConnectProbe, NodeIdentity, ProbeConnection, ProbeFailure, ProbeSample } from './samples.ts';

export interface WatcherEvents {
  connected(identity: NodeIdentity): void;
  /** A probe is being sent at this moment. */
  sending(): void;
  sampled(sample: ProbeSample, sentAtMs: number): void;
  /** The attempt, the connection or the probe failed; the watcher tries again by itself. */
  failed(failure: ProbeFailure): void;
  /** Milliseconds from the last probe sent to the next one. */
  intervalMs(): number;
}

const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 1000;

/**
 * One attempt to connect, and the connection that came of it. One that was given up is not listened to any more: it is not
 * the watcher's own then.
 */
interface Attempt {
  readonly abort: AbortController;
  connection: ProbeConnection | undefined;
  /** As last told: a connection may find out more about itself (server-connector.ts). */
  identity: NodeIdentity | undefined;
}

export class Watcher {
  readonly #node: NodeConfig;
  readonly #connect: ConnectProbe;
  readonly #clock: Clock;
  readonly #events: WatcherEvents;
  #state: 'stopped' | 'connecting' | 'idle' | 'asking' | 'waiting to connect' = 'stopped';
  #attempt: Attempt | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = 0;
  #sentAtMs = -Infinity;
  #openedAtMs = -Infinity;
  #isSuspect = false;
  #reconnectMs = 0;
  #closing: Promise<void> = Promise.resolve();

  constructor(node: NodeConfig, connect: ConnectProbe, clock: Clock, events: WatcherEvents) {
    this.#node = node;
    this.#connect = connect;
    this.#clock = clock;
    this.#events = events;
  }

  start(): void {
    if (this.#state === 'stopped') this.#open();
  }

  async stop(): Promise<void> {
    this.#state = 'stopped';
    this.#drop();
    await this.#closing;
  }

  /** Ask `minGapMs` after the last probe, or now if that is past. */
  hurry(minGapMs: number): void {
    this.hurryTo(this.#sentAtMs + minGapMs);
  }

  /** Ask at `atMs`, or now if that is past; never later than it would otherwise. */
  hurryTo(atMs: number): void {
    if (this.#state === 'idle') this.#arm(atMs);
  }

  /** Something is odd about the node: ask anew, and do not take an answer for it that was under way already. */
  suspect(): void {
    this.hurry(0);
    if (this.#state === 'asking') this.#isSuspect = true;
    else if (this.#state === 'waiting to connect') this.#arm(this.#openedAtMs + RECONNECT_MIN_MS);
  }

  /** Milliseconds since the last probe was sent. */
  get sinceSentMs(): number {
    return this.#clock.nowMs() - this.#sentAtMs;
  }

  /** Brings the timer forward to `atMs`; never puts it off. */
  #arm(atMs: number): void {
    if (this.#timer !== undefined) {
      if (this.#timerAtMs <= atMs) return;
      clearTimeout(this.#timer);
    }
    this.#timerAtMs = atMs;
    this.#timer = setTimeout(() => this.#ring(), Math.max(0, atMs - this.#clock.nowMs()));
    this.#timer.unref();
  }

  #ring(): void {
    this.#timer = undefined;
    if (this.#state === 'idle') void this.#ask(this.#attempt!);
    else if (this.#state === 'waiting to connect') this.#open();
  }

  #open(): void {
    this.#state = 'connecting';
    this.#openedAtMs = this.#clock.nowMs();
    const attempt: Attempt = { abort: new AbortController(), connection: undefined, identity: undefined };
    this.#attempt = attempt;
    const onLost = (failure: ProbeFailure): void => {
      if (attempt === this.#attempt) this.#fail(failure);
    };
    this.#connect(this.#node, onLost, attempt.abort.signal).then(
      (connection) => {
        if (attempt !== this.#attempt) return this.#close(connection);
        attempt.connection = connection;
        attempt.identity = connection.identity;
        this.#events.connected(connection.identity);
        void this.#ask(attempt);
      },
      (error: unknown) => {
        if (attempt === this.#attempt) this.#fail(asProbeFailure(error, 'cannot connect'));
      },
    );
  }

  async #ask(attempt: Attempt): Promise<void> {
    const connection = attempt.connection!;
    this.#state = 'asking';
    this.#sentAtMs = this.#clock.nowMs();
    const sentAtMs = this.#sentAtMs;
    this.#events.sending();
    try {
      const sample = await connection.probe();
      if (attempt !== this.#attempt) return;
      this.#state = 'idle';
      this.#reconnectMs = 0;
      if (attempt.identity !== connection.identity) {
        attempt.identity = connection.identity;
        this.#events.connected(connection.identity);
      }
      this.#events.sampled(sample, sentAtMs);
      // The listener may have stopped us, or hurried us already.
      if (attempt !== this.#attempt) return;
      this.#arm(sentAtMs + (this.#isSuspect ? 0 : this.#events.intervalMs()));
      this.#isSuspect = false;
    } catch (error) {
      if (attempt === this.#attempt) this.#fail(asProbeFailure(error, 'probe failed'));
    }
  }

  #fail(failure: ProbeFailure): void {
    this.#drop();
    this.#state = 'waiting to connect';
    // At once after a connection that was of use, then ever slower until one is again.
    this.#arm(this.#clock.nowMs() + this.#reconnectMs);
    this.#reconnectMs = Math.min(RECONNECT_MAX_MS, Math.max(RECONNECT_MIN_MS, this.#reconnectMs * 2));
    this.#events.failed(failure);
  }

  #drop(): void {
    const attempt = this.#attempt;
    this.#attempt = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (attempt?.connection !== undefined) this.#close(attempt.connection);
    else attempt?.abort.abort();
  }

  #close(connection: ProbeConnection): void {
    this.#closing = Promise.all([this.#closing, connection.close()]).then(() => undefined);
  }
}
