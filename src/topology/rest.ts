/**
 * When the monitor of one server may do without a connection: nothing needs what it would learn, and nothing suggests that the
 * server's state has changed (docs/adr/0017-monitor-when-needed.md). Until then the server counts as what it was known to be
 * last, at first as a primary that is up. Used by resting-connector.ts.
 */
import type { Clock } from '../util/clock.ts';
import type { ProbeSample } from './samples.ts';

/** How long the monitor stays connected after the last alarm. */
const AWAKE_MS = 1000;

export class Rest {
  readonly #isAllowed: () => boolean;
  readonly #clock: Clock;
  #awakeUntilMs = -Infinity;
  /** The last attempt to reach the server has failed. */
  #isFailing = false;
  #last: ProbeSample | undefined;

  /** @param isAllowed whether every database that has the server as a node can do without */
  constructor(isAllowed: () => boolean, clock: Clock) {
    this.#isAllowed = isAllowed;
    this.#clock = clock;
  }

  get isNow(): boolean {
    // A standby is watched until it is promoted.
    if (this.#isFailing || this.#last?.isInRecovery === true) return false;
    return this.#isAllowed() && this.#clock.nowMs() >= this.#awakeUntilMs;
  }

  /** In place of an answer: what was known last, without the position, which was passed long ago. */
  get sample(): ProbeSample {
    return { isInRecovery: false, lsn: 0, timeline: this.#last?.timeline };
  }

  /** Something suggests that the server's state has changed, or somebody asks it something. */
  alarm(): void {
    this.#awakeUntilMs = this.#clock.nowMs() + AWAKE_MS;
  }

  answered(sample: ProbeSample): void {
    if (this.#isFailing) this.alarm();
    this.#isFailing = false;
    this.#last = sample;
  }

  failed(): void {
    this.#isFailing = true;
  }
}
