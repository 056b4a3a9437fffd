/**
 * Square-root staffing (Halfin and Whitt, 1981): how many servers a load needs so that few have to wait. Used by sizing, and by
 * EXPLAIN POOL.
 */

/** servers = load + staffing * sqrt(load) */
const staffing = 1.5;

/** @param load connections in use on average: arrivals times the time for which each is held (Little's law) */
export function serversForLoad(load: number): number {
  return Math.ceil(load + staffing * Math.sqrt(load));
}
