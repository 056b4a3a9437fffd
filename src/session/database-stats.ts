/** The statistics of a database before anything is counted. Made by app/database.ts; request/count.ts counts in them. */
import { durationBoundsSeconds, durationPlaces, type DatabaseStats } from './types.ts';

export const histogram = (): Float64Array => new Float64Array(durationBoundsSeconds.length + 1);

export function newDatabaseStats(database: string): DatabaseStats {
  return {
    database,
    xacts: 0,
    queries: 0,
    receivedBytes: 0,
    sentBytes: 0,
    xactMs: 0,
    queryMs: 0,
    serverMs: 0,
    waitMs: 0,
    misroutes: 0,
    unserved: 0,
    ignoredHints: 0,
    recoveryConflicts: 0,
    logins: 0,
    replications: 0,
    clientParses: 0,
    serverParses: 0,
    binds: 0,
    byLabel: new Float64Array(24),
    durations: durationPlaces.map(histogram),
    durationSums: new Float64Array(durationPlaces.length),
    tagged: [],
  };
}
