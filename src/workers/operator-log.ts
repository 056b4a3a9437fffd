/**
 * What operators have set and what still holds: PAUSE, DISABLE, DRAIN, RESIZE POOL, SET, RELOAD. Kept by the supervisor for
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
    case 'disable':
    case 'enable':
      return older.do === 'disable' && older.database === newer.database;
    case 'setDraining':
      return older.do === 'setDraining' && older.node === newer.node;
    case 'resizePool':
      return older.do === 'resizePool' && isSamePools(older.request, newer.request);
    case 'set':
      return older.do === 'set' && older.key === newer.key;
    case 'reload':
      return older.do === 'reload' || older.do === 'set';
    default:
      return false;
  }
}

const isSamePools = (a: ResizeRequest, b: ResizeRequest): boolean =>
  a.database === b.database && a.user === b.user && a.node === b.node;

/** Both, as two RESIZE POOL one after the other leave them: of bounds that cross, the later stays. */
function bothBounds(older: ResizeRequest, newer: ResizeRequest): ResizeRequest {
  const { min = older.min, max = older.max } = newer;
  if (min === undefined || max === undefined || min <= max) return { ...newer, min, max };
  return newer.max === undefined ? { ...newer, min, max: min } : { ...newer, min: max, max };
}

export class OperatorLog {
  private entries: readonly Entry[] = [];
  private lastOrder = 0;

  /** @returns a number for drop() */
  add(what: Action | Change, atMs: number): number {
    // The connections that KILL has dropped are gone; that the database is paused stays.
    let kept = what.do === 'killDatabase' ? ({ do: 'pause', database: what.database } as const) : what;
    const order = ++this.lastOrder;
    if (kept.do === 'resizePool') {
      const { request } = kept;
      const older = this.entries.map((entry) => entry.what).find((each) => isVoidBy(each, kept));
      if (older?.do === 'resizePool') kept = { do: 'resizePool', request: bothBounds(older.request, request) };
    }
    this.entries = this.entries.filter((entry) => !isVoidBy(entry.what, kept));
    if (this.holds(kept)) this.entries = [...this.entries, { order, atMs, what: kept }];
    return order;
  }

  /** Does it change how a new worker has to begin? */
  private holds(what: Action | Change): boolean {
    switch (what.do) {
      case 'pause':
      case 'disable':
      case 'resizePool':
      case 'set':
      case 'reload':
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

function isPauseOfAll(what: Action | Change): boolean {
  return what.do === 'pause' && what.database === undefined;
}
