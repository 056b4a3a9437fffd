/**
 * Reads what budgets are judged by (budgets/) from the figures that there are: durations and errors of statements, how full the
 * nodes are, and how far the replicas lag. Called by the app every few seconds if there are budgets.
 */
import type { Counted, Gauge, Reading } from '../budgets/types.ts';
import { durationBoundsSeconds, durationPlaces, type DatabaseStats, type TaggedStats } from '../session/types.ts';
import type { NodeState } from '../topology/types.ts';
import { saturationRows } from './saturation.ts';
import type { StatsSources } from './types.ts';

export function* budgetReadings(sources: StatsSources, nowMs: number): Generator<Reading> {
  const utilisations = utilisationsOf(sources, nowMs);
  const lags = new Map(Array.from(sources.topologies(), (each) => [each.database, lagOf(each.snapshot().nodes)]));
  const unknown = { unknown: 'not known: Weir has not looked at the nodes yet' };
  for (const stats of sources.databaseStats()) {
    const { database, queries: statements, unserved } = stats;
    const tagged = new Map(taggedOf(stats).map((each) => [each.tag, copyOf(each)]));
    const reads = durationsOf(stats, true);
    const writes = durationsOf(stats, false);
    const [utilisation, lag] = [utilisations.get(database) ?? unknown, lags.get(database) ?? unknown];
    yield { database, reads, writes, statements, unserved, tagged, utilisation, lag };
  }
}

function durationsOf({ durations }: DatabaseStats, isRead: boolean): Float64Array {
  const counts = new Float64Array(durationBoundsSeconds.length + 1);
  for (const [place, kind] of durationPlaces.entries()) {
    if (kind.isRead !== isRead) continue;
    durations[place]?.forEach((count, i) => (counts[i] = (counts[i] as number) + count));
  }
  return counts;
}

/** A worker of an older version does not have it. */
const taggedOf = ({ tagged }: Partial<DatabaseStats>): readonly TaggedStats[] => tagged ?? [];

/** What goes on being counted must not change a reading. */
function copyOf({ reads, writes, statements, unserved }: TaggedStats): Counted {
  return { reads: reads.slice(), writes: writes.slice(), statements, unserved };
}

/** The fullest node of each database. */
function utilisationsOf(sources: StatsSources, nowMs: number): Map<string, Gauge> {
  const found = new Map<string, Gauge>();
  // Weir itself is no part of it.
  for (const { database, saturation, reason } of saturationRows({ ...sources, workers: () => [] }, nowMs)) {
    const before = found.get(database);
    const largest = before !== undefined && 'value' in before ? before.value : undefined;
    if (saturation !== null) found.set(database, { value: Math.max(saturation, largest ?? 0) });
    else if (before === undefined) found.set(database, { unknown: reason });
  }
  return found;
}

/** The replica that lags most, of those that are up. */
function lagOf(nodes: readonly NodeState[]): Gauge {
  // The role of a node that is down need not be known.
  if (nodes.length < 2) return { unknown: 'no replicas' };
  const up = nodes.filter(({ role, isUp }) => role === 'replica' && isUp);
  if (up.length === 0) return { unknown: 'no replica is up' };
  const known = up.filter(({ lagMs, isLagUnproven }) => Number.isFinite(lagMs) && isLagUnproven !== true);
  if (known.length === 0) return { unknown: 'the lag of the replicas is not known' };
  return { value: Math.max(...known.map(({ lagMs }) => lagMs)) / 1000 };
}
