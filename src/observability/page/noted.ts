/**
 * What is noted of every two seconds for the charts of the page: a row of numbers of a fixed length, so that a quarter of an
 * hour needs a fixed amount of memory, and those of several workers can be added up. Used by recorder.ts, history.ts, points.ts.
 */
import { waitBoundsSeconds } from '../../pool/types.ts';
import { durationBoundsSeconds } from '../../session/types.ts';

export const slotMs = 2_000;
/** A quarter of an hour. */
export const slotCount = 450;

/** Counted in these two seconds. */
const counted = ['primary', 'replica', 'cache', 'errors', 'unserved', 'hits', 'misses'] as const;
/** At the end of them. */
const present = ['clients', 'active', 'open', 'waiting', 'memoryBytes'] as const;
/** Of several workers the largest counts. A lag of -1: no replica has a known one. */
const largest = ['limit', 'longestWaitMs', 'lagMs', 'loopDelayMs'] as const;

export type Noted = (typeof counted | typeof present | typeof largest)[number];

const latencyLength = durationBoundsSeconds.length + 1;
const waitLength = waitBoundsSeconds.length + 1;
const afterHistograms = latencyLength + waitLength;
const names: readonly Noted[] = [...counted, ...present, ...largest];

export const rowLength = afterHistograms + names.length;
/** Before this index: counted since the last row. From it on: as it is now. */
export const countedLength = afterHistograms + counted.length;
const firstLargest = rowLength - largest.length;

const indexes = Object.fromEntries(names.map((name, i) => [name, afterHistograms + i])) as Record<Noted, number>;

export const indexOf = (name: Noted): number => indexes[name];
/** Where the histogram of the durations of statements is, not cumulative. */
export const latencyOf = (row: Float64Array): Float64Array => row.subarray(0, latencyLength);
/** That of the waits for a server connection, of those that had to wait. */
export const waitsOf = (row: Float64Array): Float64Array => row.subarray(latencyLength, afterHistograms);

/** Adds what another worker has noted of the same two seconds. */
export function addTo(row: Float64Array, other: ArrayLike<number>): void {
  for (let i = 0; i < firstLargest; i++) row[i] = (row[i] as number) + (other[i] ?? 0);
  for (let i = firstLargest; i < rowLength; i++) row[i] = Math.max(row[i] as number, other[i] ?? -1);
}
