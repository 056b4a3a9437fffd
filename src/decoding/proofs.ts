/**
 * Proves, from time to time, up to which moment all commits have been decoded: a snapshot of the primary, and a position in the WAL
 * before which is everything that it sees. When the stream has passed the position, the moment before the snapshot is proven.
 * Made by reader.ts.
 */
import type { Clock } from '../util/clock.ts';
import { readSnapshot, type Snapshot } from './snapshots.ts';
import type { AskServer } from './types.ts';
import type { WalStream } from './wal-stream.ts';

export interface ProofsOptions {
  readonly ask: AskServer;
  readonly stream: Pick<WalStream, 'position' | 'heard' | 'askPosition'>;
  readonly clock: Clock;
  /** Longest time between two proofs. */
  readonly everyMs: number;
}

/** Everything visible in `snapshot`, which was taken after `atMs` (monotonic), is in the WAL before `position`. */
export interface Claim {
  readonly atMs: number;
  readonly snapshot: Snapshot;
  readonly position: number;
}

/** Who is asked for its position and says nothing for so long is gone. */
const silentMs = 30_000;
/** A claim that is not proven by then is helped by a record that makes the server write out its WAL. */
const nudgeAfterMs = 600;

const SNAPSHOT = `SELECT pg_catalog.pg_current_snapshot()::text, (pg_catalog.pg_current_wal_insert_lsn() - '0/0')::text`;
const NUDGE = `SELECT pg_catalog.pg_logical_emit_message(true, 'weir', '')::text`;

export class Proofs {
  private readonly options: ProofsOptions;
  private claim: Claim | undefined;
  private nextMs = -Infinity;
  private wasNudged = false;
  private heard = 0;
  private heardAtMs = -Infinity;

  constructor(options: ProofsOptions) {
    this.options = options;
  }

  get isUnderWay(): boolean {
    return this.claim !== undefined;
  }

  /** Until the next one begins. */
  get dueInMs(): number {
    return this.isUnderWay ? Infinity : Math.max(0, Math.ceil(this.nextMs - this.options.clock.nowMs()));
  }

  get isReached(): boolean {
    return this.claim !== undefined && this.options.stream.position >= this.claim.position;
  }

  async look(): Promise<Omit<Claim, 'atMs'>> {
    const [row] = await this.options.ask(SNAPSHOT, [], 1);
    return { snapshot: readSnapshot(row?.[0] ?? ''), position: Number(row?.[1]) };
  }

  /** Only what was visible before this call is claimed. @param check rejects if something else than this claim is to be made */
  async begin(check: () => Promise<void>): Promise<void> {
    const { clock, everyMs } = this.options;
    const atMs = clock.nowMs();
    this.nextMs = atMs + everyMs;
    const seen = await this.look();
    await check();
    this.claim = { atMs, ...seen };
    this.wasNudged = false;
    this.heardAtMs = atMs;
  }

  /** @returns the claim, once all that it sees has been decoded. Rejects if the server says nothing for too long. */
  async settle(): Promise<Claim | undefined> {
    const { claim } = this;
    const { stream, clock, ask } = this.options;
    if (claim === undefined) return undefined;
    if (this.isReached) {
      this.claim = undefined;
      return claim;
    }
    const nowMs = clock.nowMs();
    if (stream.heard > this.heard) this.heardAtMs = nowMs;
    else if (nowMs - this.heardAtMs > silentMs) throw new Error(`no word from the server for ${silentMs / 1000} s`);
    this.heard = stream.heard;
    stream.askPosition();
    if (this.wasNudged || nowMs - claim.atMs < nudgeAfterMs) return undefined;
    this.wasNudged = true;
    await ask(NUDGE, [], 1);
    return undefined;
  }
}
