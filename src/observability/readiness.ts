/**
 * Whether this Weir should be sent clients: what /readyz answers. Pure. "No" comes with reasons that name what to do.
 */
import type { TopologySnapshot } from '../topology/types.ts';
import type { ServingState, StatsSources } from './types.ts';

export interface Readiness {
  readonly isReady: boolean;
  /** In words; empty when it is ready. */
  readonly reasons: readonly string[];
  /** What keeps it from doing all that it could, in words, with the nodes concerned. */
  readonly notes: readonly string[];
}

/**
 * Ready = listening, not draining, and every database has a primary or at least one node that answers, and has been
 * looked at once (so that the first read finds its replica, but for a few seconds at most): reads go on
 * without a primary, and during a failover it is better to wait in Weir than to be refused by a load balancer.
 */
export function readiness(
  sources: Pick<StatsSources, 'topologies' | 'databases' | 'cacheStats'>,
  state: ServingState,
): Readiness {
  const reasons: string[] = [];
  if (!state.isListening) reasons.push('Weir does not listen for clients yet');
  if (state.isDraining) reasons.push('Weir is shutting down');
  for (const topology of sources.topologies()) {
    const problem = unreachable(topology.snapshot());
    if (problem !== undefined) reasons.push(`database "${topology.database}": ${problem}`);
    else if (topology.isSettled === false)
      reasons.push(`database "${topology.database}": its nodes are still being looked at`);
  }
  return {
    isReady: reasons.length === 0,
    reasons,
    notes: [...notesOf(sources.topologies()), ...databaseNotes(sources), ...cacheNotes(sources)],
  };
}

const drained = 'drained by an operator, it gets nothing new: UNDRAIN lets it have its share again';

/** Each problem once, though many databases have the same nodes. */
function notesOf(topologies: Iterable<{ snapshot(): TopologySnapshot }>): string[] {
  const names = new Map<string, Set<string>>();
  for (const topology of topologies) {
    for (const { name, problem, isDraining } of topology.snapshot().nodes) {
      for (const what of [problem, isDraining ? drained : undefined]) {
        if (what === undefined) continue;
        const known = names.get(what);
        if (known === undefined) names.set(what, new Set([name]));
        else known.add(name);
      }
    }
  }
  return [...names].map(([problem, nodes]) => `${[...nodes].join(', ')}: ${problem}`);
}

/** Neither of these makes it unready: clients wait in Weir, or are told why. */
function* databaseNotes({ databases }: Pick<StatsSources, 'databases'>): Iterable<string> {
  for (const { name, isPaused, isDisabled, problem } of databases()) {
    if (problem !== undefined) yield `database "${name}": ${problem}`;
    if (isPaused)
      yield `database "${name}" is paused by an operator (PAUSE or KILL), its clients wait: RESUME lets them go on`;
    if (isDisabled) yield `database "${name}" is disabled by an operator, it takes no new clients: ENABLE lets them in`;
  }
}

function* cacheNotes({ cacheStats }: Pick<StatsSources, 'cacheStats'>): Iterable<string> {
  const { redis, redisProblem, hasLease } = cacheStats();
  const what = 'nothing is cached, queries go to the servers';
  if (redis === 'down') {
    yield `Redis (cache.redis) cannot be used (${redisProblem ?? 'not in step yet'}): ${what}. Start or mend it, Weir finds it by itself`;
  } else if (redisProblem !== undefined) {
    yield `Redis (cache.redis): ${redisProblem}`;
  } else if (!hasLease) {
    yield `${what} until all Weirs that share the Redis are heard of: the log says which are missing (cache_members)`;
  }
}

function unreachable(snapshot: TopologySnapshot): string | undefined {
  if (snapshot.primary !== undefined && snapshot.primary.isUp) return undefined;
  if (snapshot.nodes.some((node) => node.isUp)) return undefined;
  const nodes = snapshot.nodes.map((node) => `${node.name}: ${node.problem ?? 'not heard of yet'}`);
  return `no node can be reached (${nodes.join('; ')})`;
}
