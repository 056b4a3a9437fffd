/**
 * Keeps one connection to one server and probes it repeatedly, one probe at a time; connects again when the connection
 * is lost. Decides when to probe, not what the answers mean (assess.ts). One per server, made by server-monitor.ts.
 */
import type { NodeConfig } from '../config/config.ts';
import type { Clock } from '../util/clock.ts';
import { asProbeFailure } from './probe.ts';
import type { ConnectProbe, NodeIdentity, ProbeConnection, ProbeFailure, ProbeSample } from './samples.ts';

export interface WatcherEvents {
  connected(identity: NodeIdentity): void;
  /** Called at the moment a probe is sent. */
  sending(): void;
  sampled(sample: ProbeSample, sentAtMs: number): void;
  /** The attempt, the connection or the probe failed; the watcher tries again by itself. */
  failed(failure: ProbeFailure): void;
  /** Another process probes the server for this one from now on. */
  moved?(): void;
  /** Milliseconds from the last probe sent to the next one. */
  intervalMs(): number;
}

const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 1000;

/**
 * One connection attempt and the connection that it made. Events of an attempt that is no longer the watcher's current
 * one are ignored.
 */
interface Attempt {
  readonly abort: AbortController;
  connection: ProbeConnection | undefined;
  /** As last reported to `connected`: the connection may replace its identity later (server-connector.ts). */
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

  /** Probe `minGapMs` after the last probe, or now if that is past. */
  hurry(minGapMs: number): void {
    this.hurryTo(this.#sentAtMs + minGapMs);
  }

  /** Probe at `atMs` (monotonic ms), or now if that is past; never later than already scheduled. */
  hurryTo(atMs: number): void {
    if (this.#state === 'idle') this.#arm(atMs);
  }

  /**
   * Something suggests that the server's state has changed: probe now. The answer to a probe already under way does
   * not count.
   */
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
      // The listener may have stopped the watcher.
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
    // At once after a connection that answered a probe, then with growing pauses until one answers again.
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
