/**
 * What operators have set and what still holds: PAUSE, SUSPEND, DISABLE, DRAIN, RESIZE POOL, SET, RELOAD, NODE ADD. Kept by the supervisor for
 * workers that start later. What is void by a later action is not kept, so it does not grow. No I/O.
 */
import type { ResizeRequest } from '../console/sources.ts';
import type { Action, Change } from './console-topics.ts';

interface Entry {
  readonly order: number;
  readonly atMs: number;
  readonly what: Action | Change;
}

type Pausing = Extract<Action, { readonly database: string | undefined }>;

const isPausing = (what: Action | Change): what is Pausing => what.do === 'pause' || what.do === 'resume';

/** PAUSE of one database is void by PAUSE or RESUME of that one, or of all. */
function isVoidBy(older: Action | Change, newer: Action | Change): boolean {
  switch (newer.do) {
    case 'pause':
    case 'resume':
      return isPausing(older) && (newer.database ?? older.database) === older.database;
    case 'suspend':
    case 'endSuspend':
      return older.do === 'suspend';
    case 'disable':
    case 'enable':
      return older.do === 'disable' && older.database === newer.database;
    case 'setDraining':
      return older.do === 'setDraining' && older.node === newer.node;
    case 'resizePool':
      return older.do === 'resizePool' && setsAllOf(older.request, newer.request);
    case 'set':
      return older.do === 'set' && keysOf(older).every((key) => keysOf(newer).includes(key));
    case 'reload':
      // The file wins: nodes that it names are back.
      return older.do === 'reload' || older.do === 'set' || older.do === 'removeNode';
    case 'removeNode':
      return isOfNode(older, newer.database, newer.node);
    default:
      return false;
  }
}

/** Removed again, or twice. */
function isOfNode(older: Action | Change, database: string, node: string): boolean {
  if (older.do === 'removeNode') return older.database === database && older.node === node;
  return older.do === 'addNode' && older.node.database === database && older.node.name === node;
}

const isSamePools = (a: ResizeRequest, b: ResizeRequest): boolean =>
  a.database === b.database && a.user === b.user && a.node === b.node;

/** Undefined means every user, or node. */
const isWithin = (a: string | undefined, b: string | undefined): boolean => b === undefined || a === b;

/** It sets both bounds of all pools that the older one concerns. */
function setsAllOf(older: ResizeRequest, newer: ResizeRequest): boolean {
  const { database, user, node, min, max } = newer;
  const concerns = older.database === database && isWithin(older.user, user) && isWithin(older.node, node);
  return concerns && min !== undefined && max !== undefined;
}

function overlaps(what: Action | Change, { database, user, node }: ResizeRequest): boolean {
  if (what.do === 'set' || what.do === 'reload') return true;
  if (what.do !== 'resizePool' || what.request.database !== database) return false;
  const { user: otherUser, node: otherNode } = what.request;
  return (
    (isWithin(otherUser, user) || isWithin(user, otherUser)) && (isWithin(otherNode, node) || isWithin(node, otherNode))
  );
}

/** As two RESIZE POOL one after the other: of bounds that cross, the later moves the other. */
function bothBounds(older: ResizeRequest, newer: ResizeRequest): ResizeRequest {
  const { min = older.min, max = older.max } = newer;
  if (min === undefined || max === undefined || min <= max) return { ...newer, min, max };
  return newer.max === undefined ? { ...newer, min, max: min } : { ...newer, min: max, max };
}

const isOneBound = ({ min, max }: ResizeRequest): boolean => min === undefined || max === undefined;

/** Each sets one bound, and both the same. */
function isSameBound(a: ResizeRequest | undefined, b: ResizeRequest): boolean {
  return a !== undefined && isOneBound(a) && isOneBound(b) && (a.min === undefined) === (b.min === undefined);
}

/** Of two that set the same bound, the first moves the other bound at least as far. */
function movesMore(a: ResizeRequest, b: ResizeRequest): boolean {
  return a.max === undefined ? (a.min ?? 0) >= (b.min ?? 0) : a.max <= (b.max ?? Infinity);
}

/** Of RESIZE POOL that overlap and set one bound each, so that none makes another void. */
const mostResizes = 1_000;

export class OperatorLog {
  private entries: readonly Entry[];
  private lastOrder: number;

  /** @param holding what the log of another supervisor has kept */
  constructor(holding: readonly (Action | Change)[] = []) {
    this.entries = holding.map((what, order) => ({ order, atMs: 0, what }));
    this.lastOrder = holding.length;
  }

  /** For the next supervisor, whose clock is another; the workers that it has have read their configuration. */
  state(): readonly (Action | Change)[] {
    return this.for(Infinity);
  }

  /** @returns a number for drop() */
  add(what: Action | Change, atMs: number): number {
    // The connections that KILL has dropped are gone; that the database is paused stays.
    const asked = what.do === 'killDatabase' ? ({ do: 'pause', database: what.database } as const) : what;
    const kept = asked.do === 'resizePool' ? this.withEarlierBounds(asked.request) : asked;
    const order = ++this.lastOrder;
    this.entries = this.entries.filter((entry) => !isVoidBy(entry.what, kept));
    if (this.holds(kept)) this.entries = [...this.entries, { order, atMs, what: kept }];
    if (kept.do === 'resizePool') this.limitResizes();
    return order;
  }

  /**
   * Takes the last RESIZE POOL of the same pools into this one if both bounds are known then. Of several that set the same
   * bound, two say it all: the one that may have moved the other bound most, and the last.
   */
  private withEarlierBounds(request: ResizeRequest): Action {
    const earlier = this.sameAtTheEnd(request);
    const [last] = earlier;
    if (last !== undefined && !isSameBound(last.request, request)) {
      this.drop(last.order);
      return { do: 'resizePool', request: bothBounds(last.request, request) };
    }
    earlier.forEach(({ order, request: older }, index) => {
      const isBetween = isSameBound(earlier[index + 1]?.request, request);
      if (isBetween || movesMore(request, older)) this.drop(order);
    });
    return { do: 'resizePool', request };
  }

  /** RESIZE POOL of the same pools, the last first, as long as nothing else has concerned them since. */
  private sameAtTheEnd(request: ResizeRequest): { readonly order: number; readonly request: ResizeRequest }[] {
    const found: { order: number; request: ResizeRequest }[] = [];
    for (const { order, what } of [...this.entries].reverse()) {
      if (what.do === 'resizePool' && isSamePools(what.request, request)) found.push({ order, request: what.request });
      else if (overlaps(what, request)) break;
    }
    return found;
  }

  private limitResizes(): void {
    const resizes = this.entries.filter(({ what }) => what.do === 'resizePool');
    const [oldest] = resizes;
    if (oldest !== undefined && resizes.length > mostResizes) this.drop(oldest.order);
  }

  /** Does it change how a new worker has to begin? */
  private holds(what: Action | Change): boolean {
    switch (what.do) {
      case 'pause':
      case 'suspend':
      case 'disable':
      case 'resizePool':
      case 'set':
      case 'reload':
      case 'addNode':
      case 'removeNode':
        return true;
      case 'setDraining':
        return what.isDraining;
      case 'resume':
        // One database goes on while all are paused.
        return what.database !== undefined && this.entries.some(({ what: older }) => isPauseOfAll(older));
      default:
        return false;
    }
  }

  /** Every worker has refused it. */
  drop(order: number): void {
    this.entries = this.entries.filter((entry) => entry.order !== order);
  }

  /** A change of the configuration has set the pool sizes of these databases: earlier RESIZE POOL there is void. */
  dropResizes(databases: readonly string[], before: number): void {
    const isVoid = ({ what, order }: Entry): boolean =>
      what.do === 'resizePool' && order < before && databases.includes(what.request.database);
    this.entries = this.entries.filter((entry) => !isVoid(entry));
  }

  /** What a worker has to do that has read its configuration at `sinceMs`: it needs no RELOAD before that. */
  for(sinceMs: number): (Action | Change)[] {
    return this.entries.filter(({ what, atMs }) => what.do !== 'reload' || atMs >= sinceMs).map(({ what }) => what);
  }

  /** Nodes that operators have drained. */
  drains(): Action[] {
    return this.entries.flatMap(({ what }) => (what.do === 'setDraining' ? [what] : []));
  }
}

const keysOf = ({ key, also = [] }: Change & { readonly do: 'set' }): readonly string[] => [
  key,
  ...also.map(([other]) => other),
];

function isPauseOfAll(what: Action | Change): boolean {
  return what.do === 'pause' && what.database === undefined;
}
