/**
 * Decides what /readyz answers: whether a load balancer should send clients to this process, with reasons and notes
 * that say what to do. Called by http.ts.
 */
import type { TopologySnapshot } from '../topology/types.ts';
import type { ServingState, StatsSources } from './types.ts';

export interface Readiness {
  readonly isReady: boolean;
  /** Why it is not ready, as text; empty if it is. */
  readonly reasons: readonly string[];
  /** Problems that do not make it unready, as text, with the nodes concerned. */
  readonly notes: readonly string[];
}

/**
 * Ready means: Weir listens and is not draining; and every database has at least one node that answers, and all its
 * nodes were probed once, or a few seconds have passed, so that the first read finds a replica. A missing primary does
 * not make it unready: reads go on, and during a failover clients had better wait in Weir than be refused by the load
 * balancer.
 */
export function readiness(
  sources: Pick<StatsSources, 'topologies' | 'databases' | 'cacheStats' | 'workers'>,
  state: ServingState,
): Readiness {
  const reasons: string[] = [];
  if (!state.isListening) reasons.push('Weir does not listen for clients yet');
  if (state.isDraining) reasons.push('Weir is shutting down');
  if (state.isSuspended === true) reasons.push('Weir is suspended until RESUME on the admin console');
  for (const topology of sources.topologies()) {
    const problem = unreachable(topology.snapshot());
    if (problem !== undefined) reasons.push(`database "${topology.database}": ${problem}`);
    else if (topology.isSettled === false)
      reasons.push(`database "${topology.database}": its nodes are still being looked at`);
  }
  return {
    isReady: reasons.length === 0,
    reasons,
    notes: [
      ...notesOf(sources.topologies()),
      ...databaseNotes(sources),
      ...cacheNotes(sources),
      ...workerNotes(sources),
    ],
  };
}

const drained = 'drained by an operator, it gets nothing new: UNDRAIN lets it have its share again';

/** Lists each problem once, with its nodes: many databases can have the same nodes. */
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

/** These do not make it unready: clients wait, or get an error with the reason. */
function* databaseNotes({ databases }: Pick<StatsSources, 'databases'>): Iterable<string> {
  for (const { name, isPaused, isDisabled, problem } of databases()) {
    if (problem !== undefined) yield `database "${name}": ${problem}`;
    if (isPaused)
      yield `database "${name}" is paused by an operator (PAUSE or KILL), its clients wait: RESUME lets them go on`;
    if (isDisabled) yield `database "${name}" is disabled by an operator, it takes no new clients: ENABLE lets them in`;
  }
}

function* cacheNotes({ cacheStats }: Pick<StatsSources, 'cacheStats'>): Iterable<string> {
  const { isEnabled, redis, redisProblem, workers, workersProblem, hasLease } = cacheStats();
  const what = isEnabled
    ? 'nothing is cached, queries go to the servers'
    : 'what others write through Weir is not heard of, and a replica may lack it';
  if (redis === 'down') {
    yield `Redis (cache.redis) cannot be used (${redisProblem ?? 'not in step yet'}): ${what}. Start or mend it, Weir finds it by itself`;
  } else if (redisProblem !== undefined) {
    yield `Redis (cache.redis): ${redisProblem}`;
  } else if (workers === 'down') {
    yield `the supervisor of the workers cannot be asked (${workersProblem ?? 'not in step yet'}): ${what}`;
  } else if (hasLease || !isEnabled) {
    return;
  } else if (workers === 'up') {
    yield `${what} until all workers are heard of: the log says which are missing (cache_members)`;
  } else {
    yield `${what} until all Weirs that share the Redis are heard of: the log says which are missing (cache_members)`;
  }
}

function* workerNotes({ workers }: Pick<StatsSources, 'workers'>): Iterable<string> {
  for (const { number, state } of workers())
    if (state === 'gone')
      yield `worker ${number} has ended, and no other has taken its place: the log says why (worker_died)`;
}

function unreachable(snapshot: TopologySnapshot): string | undefined {
  if (snapshot.primary !== undefined && snapshot.primary.isUp) return undefined;
  if (snapshot.nodes.some((node) => node.isUp)) return undefined;
  const nodes = snapshot.nodes.map((node) => `${node.name}: ${node.problem ?? 'not heard of yet'}`);
  return `no node can be reached (${nodes.join('; ')})`;
}
