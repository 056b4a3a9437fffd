/** Ticks of a database's LSN ticker that mean something of themselves. */

/** No clock reaches it: a replica can never be known to have what was written at it. */
export const noSuchTick = Number.MAX_SAFE_INTEGER;
