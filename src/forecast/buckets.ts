/**
 * Calendar time in buckets of five minutes, in UTC, so that daylight saving time moves none of them. Tells when the clock has
 * jumped against the monotonic one, and how much of a bucket was observed. Used by forecaster.ts.
 */

export const bucketMs = 300_000;
/** Of one day. */
export const bucketsPerDay = 288;

export type DayKind = 'workdays' | 'weekends';

export const bucketAt = (epochMs: number): number => Math.floor(epochMs / bucketMs);
/** Its place in the day. */
export const slotOf = (bucket: number): number => ((bucket % bucketsPerDay) + bucketsPerDay) % bucketsPerDay;

export function dayKindOf(bucket: number): DayKind {
  const day = new Date(bucket * bucketMs).getUTCDay();
  return day === 0 || day === 6 ? 'weekends' : 'workdays';
}

/** "09:00" */
export const timeOf = (bucket: number): string => new Date(bucket * bucketMs).toISOString().slice(11, 16);

/** The same moment on both clocks. */
export interface Moment {
  readonly epochMs: number;
  readonly nowMs: number;
}

export interface Passed {
  /** The bucket that is over, if at least four of its five minutes were observed. */
  readonly complete: number | undefined;
  /** A bucket has ended, observed or not. */
  readonly isOver: boolean;
  /** By how much the calendar has moved more than time has passed; 0: not by much. */
  readonly jumpMs: number;
}

/** Less is a clock that is being corrected. */
const leastJumpMs = 30_000;
/** What happens between two looks that are further apart was not observed. */
const longestLookMs = 15_000;
const enough = 0.8 * bucketMs;

export class Buckets {
  private last: Moment | undefined;
  private observedMs = 0;
  current = 0;

  /** Time has passed since the last call. */
  pass(moment: Moment): Passed {
    const { last, current } = this;
    this.last = moment;
    this.current = bucketAt(moment.epochMs);
    if (last === undefined) return { complete: undefined, isOver: false, jumpMs: 0 };
    const elapsedMs = moment.nowMs - last.nowMs;
    const aheadMs = moment.epochMs - last.epochMs - elapsedMs;
    const jumpMs = Math.abs(aheadMs) >= leastJumpMs ? aheadMs : 0;
    const isSeen = jumpMs === 0 && elapsedMs <= longestLookMs;
    if (this.current === current) {
      // A jump within a bucket: what was before it is of a time that is not known.
      this.observedMs = jumpMs === 0 ? this.observedMs + (isSeen ? elapsedMs : 0) : 0;
      return { complete: undefined, isOver: false, jumpMs };
    }
    const sinceStartMs = Math.max(0, moment.epochMs - this.current * bucketMs);
    const before = this.observedMs + (isSeen ? Math.max(0, elapsedMs - sinceStartMs) : 0);
    this.observedMs = isSeen ? Math.min(elapsedMs, sinceStartMs) : 0;
    const complete = jumpMs === 0 && before >= enough ? current : undefined;
    return { complete, isOver: true, jumpMs };
  }
}
