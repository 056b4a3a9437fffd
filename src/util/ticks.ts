/**
 * Special values of a tick (topology/types.ts).
 */

/** A tick that no probe ever reaches: no replica can be known to have replayed a write at this tick. */
export const noSuchTick = Number.MAX_SAFE_INTEGER;
