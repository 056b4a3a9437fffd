/** What was noted of two seconds, for history.ts. Types only. */

/** Survives a structured clone. */
export interface Slot {
  /** Epoch milliseconds at its begin, divided by its length. */
  readonly slot: number;
  /** noted.ts says what is where. */
  readonly row: Float64Array;
}
