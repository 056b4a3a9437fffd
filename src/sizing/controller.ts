/**
 * Decides on the sizes of all pools from their figures of half a second: pressure.ts says what each pool wants, share-out.ts
 * divides what each node can spare. Keeps what it remembers of each pool; sets nothing. Called by resize-loop.ts, and for
 * several workers by workers/worker-resizing.ts.
 */
import type { ResizeReason } from '../pool/types.ts';
import type { NodeState } from '../topology/types.ts';
import { spareConnections } from '../util/spare-connections.ts';
import { assess, newPoolMemory } from './pressure.ts';
import type { PoolMemory } from './pressure.ts';
import { foreseen, loadOf } from './foreseen.ts';
import { shareOut } from './share-out.ts';
import type { Demand, PoolSample, Predictor, ResizeSettings } from './types.ts';

/** A pool and its figures since the last decision. */
export interface SampledPool<Key extends object> {
  /** The same object for the same pool each time. */
  readonly key: Key;
  readonly sample: PoolSample;
  /** host:port, the same for all databases of a server; undefined: not known. */
  readonly server: string | undefined;
  /** Of the server, 0: not known. */
  readonly connectionLimit: number;
  /** 0: no bound. */
  readonly maxDbConnections: number;
}

export interface PoolResize<Key extends object> {
  readonly key: Key;
  readonly from: number;
  readonly to: number;
  readonly reason: ResizeReason;
  readonly why: string;
}

/**
 * How many connections the pools of this Weir may open on a node: the server's limit less a tenth (at least two) for
 * probes, other programs and other proxies; at most max_db_connections.
 * @param maxDbConnections 0: no bound
 * @returns undefined if the limit of the server is not known yet
 */
export function nodeCapacity(
  node: Pick<NodeState, 'connectionLimit'> | undefined,
  maxDbConnections: number,
): number | undefined {
  const limit = node?.connectionLimit ?? 0;
  const spare = limit === 0 ? undefined : spareConnections(limit);
  if (maxDbConnections === 0) return spare;
  return spare === undefined ? maxDbConnections : Math.min(spare, maxDbConnections);
}

/** A pool, during one decision. */
interface Entry<Key extends object> extends SampledPool<Key> {
  readonly demand: Demand;
  readonly nodeKey: string;
  /** nodeKey with the database. */
  readonly databaseKey: string;
  want: number;
  /** Of what is predicted, as much as the pool may have. */
  readonly ahead: number;
  /** What its node can spare, as text: part of the reason for a growth. */
  room: string;
}

export class ResizeController<Key extends object> {
  private readonly memories = new WeakMap<Key, PoolMemory>();
  /** Connections that pools are to keep open ahead of their load, since the last decision; others: none. */
  readonly warm = new Map<Key, number>();

  /** @param nowMs monotonic time */
  decide(
    pools: readonly SampledPool<Key>[],
    settings: ResizeSettings,
    nowMs: number,
    predictor?: Predictor,
  ): PoolResize<Key>[] {
    const entries = pools.map((pool) => this.assess(pool, settings, nowMs, predictor));
    // Without resizing only a reserve is used and given up; no pool has to make room for others.
    if (settings.enabled) divideAll(entries);
    this.noteWarm(entries, predictor);
    return entries.flatMap((entry) => resizeOf(entry) ?? []);
  }

  private noteWarm(entries: readonly Entry<Key>[], predictor: Predictor | undefined): void {
    this.warm.clear();
    if (predictor === undefined) return;
    for (const { key, sample, ahead, want } of entries) {
      const count = Math.min(ahead, want);
      predictor.warmed(sample.stats, count);
      if (count > 0) this.warm.set(key, count);
    }
  }

  private assess(
    pool: SampledPool<Key>,
    settings: ResizeSettings,
    nowMs: number,
    predictor: Predictor | undefined,
  ): Entry<Key> {
    const { key, sample, server } = pool;
    const { database, node } = sample.stats;
    const memory = this.memories.get(key) ?? newPoolMemory(sample, settings, nowMs);
    this.memories.set(key, memory);
    const reactive = assess(sample, memory, settings, nowMs);
    if (!sample.stats.isPaused) predictor?.observe(sample.stats, loadOf(sample, reactive));
    // After 53300 no more is tried for a load that is not there.
    const most = settings.enabled && memory.ceiling === undefined ? Infinity : sample.stats.limit;
    const { demand, ahead } = foreseen(sample.stats, reactive, predictor?.predicted(sample.stats), most);
    const nodeKey = server ?? `${database}\0${node}`;
    return { ...pool, demand, ahead, nodeKey, databaseKey: `${database}\0${nodeKey}`, want: demand.want, room: '' };
  }
}

function divideAll(entries: readonly Entry<object>[]): void {
  for (const group of groupBy(entries, (entry) => entry.databaseKey)) {
    const cap = group[0]?.maxDbConnections ?? 0;
    if (cap > 0) divide(group, cap, 'max_db_connections leaves');
  }
  for (const group of groupBy(entries, (entry) => entry.nodeKey)) divideNode(group);
}

function groupBy<T>(entries: readonly T[], key: (entry: T) => string): Iterable<T[]> {
  const groups = new Map<string, T[]>();
  for (const entry of entries) {
    const group = groups.get(key(entry));
    if (group === undefined) groups.set(key(entry), [entry]);
    else group.push(entry);
  }
  return groups.values();
}

/** If every database on the node has a max_db_connections, the largest of them also bounds the node as a whole. */
function divideNode(group: readonly Entry<object>[]): void {
  const known = group.find((entry) => entry.connectionLimit > 0);
  // Nobody asks the server: the settings alone bound the pools.
  if (known?.connectionLimit === Infinity) return;
  const bounds = group.map((entry) => entry.maxDbConnections);
  const capacity = nodeCapacity(known, bounds.includes(0) ? 0 : Math.max(...bounds));
  if (capacity !== undefined) {
    divide(group, capacity, `node ${group[0]?.sample.stats.node ?? ''} can spare`);
    return;
  }
  // The limit of the server is not known yet: no pool may grow, and none has to shrink.
  for (const entry of group) entry.want = Math.min(entry.want, entry.sample.stats.limit);
}

function divide(group: readonly Entry<object>[], cap: number, room: string): void {
  const claims = group.map(({ demand, sample, want }) => ({
    floor: demand.floor,
    need: Math.min(demand.need, want),
    want,
    limit: sample.stats.limit,
    busy: demand.busy,
  }));
  const spare = Math.max(0, cap - claims.reduce((sum, claim) => sum + Math.max(claim.limit, claim.busy), 0));
  shareOut(claims, cap).forEach((target, index) => {
    const entry = group[index] as Entry<object>;
    entry.want = target;
    entry.room = `${room} ${spare}`;
  });
}

/** Undefined: the size stays. */
function resizeOf<Key extends object>({ key, sample, demand, want, room }: Entry<Key>): PoolResize<Key> | undefined {
  const from = sample.stats.limit;
  const resize = { key, from, to: want };
  if (want === from) return undefined;
  if (want > from) {
    const why = [demand.why || 'its minimum is more', room].filter(Boolean).join('; ');
    return { ...resize, reason: demand.reason ?? 'budget', why };
  }
  if (want === demand.want && demand.reason !== undefined) {
    return { ...resize, reason: demand.reason, why: demand.why };
  }
  return { ...resize, reason: 'budget', why: `all pools together want more than there is: ${room}` };
}
