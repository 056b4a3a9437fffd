/**
 * Follows calls through the bodies of functions, however deep: what they read counts as read by the statement, what they
 * leave in the session as left by it. What cannot be seen through (dynamic SQL, other languages) may do anything.
 * Called by reach.ts.
 */
import type { CatalogFunction, CatalogRelation } from '../catalog/types.ts';
import type { Bodies, Called, Callees } from './bodies.ts';
import { judgeFunction, leavesTraces, showsNames } from './functions.ts';
import type { Reach } from './reached.ts';

export interface Way {
  readonly bodies: Bodies;
  readonly reach: Reach;
  readonly isVouched: (found: CatalogFunction) => boolean;
  readonly reachRelation: (relation: CatalogRelation) => void;
  /** How the statement comes to call it, in words. */
  readonly prefix: string;
  /** The text calls it, or something that it calls: what is asked for in there is asked for by the client. */
  readonly isSpoken: boolean;
}

/** Who has called it decides what counts. */
interface Caller {
  readonly found: CatalogFunction | undefined;
  /** The operator says that it is a read: what it calls is taken for one, too. */
  readonly isVouched: boolean;
  /** Its owner says that its result depends on nothing else: taken at their word, but for tables. */
  readonly isImmutable: boolean;
}

export function follow(start: CatalogFunction, way: Way): void {
  if (start.isSystem) return;
  go([{ found: start, isVouched: way.isVouched(start), isImmutable: start.volatility === 'immutable' }], way);
}

/** Of a DO block: what it reads and writes is unknown anyway. */
export function followText(body: string, way: Way): void {
  const queue: Caller[] = [];
  const { functions } = way.bodies.ofText(body);
  for (const called of functions) call(called, { found: undefined, isVouched: false, isImmutable: false }, way, queue);
  go(queue, way);
}

function go(queue: Caller[], way: Way): void {
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    const found = at.found as CatalogFunction;
    const key = `${found.oid} ${at.isVouched} ${at.isImmutable}`;
    if (way.reach.followed.has(key)) continue;
    way.reach.followed.add(key);
    const callees = way.bodies.of(found);
    if (callees.problem !== undefined) unseen(found, callees, at, way);
    for (const relation of callees.relations) way.reachRelation(relation);
    for (const called of callees.functions) call(called, at, way, queue);
  }
}

function unseen({ schema, name }: CatalogFunction, { problem }: Callees, { isVouched }: Caller, way: Way): void {
  const what = `${way.prefix}calls ${schema}.${name}(), which ${problem}`;
  way.reach.refuseCache(what);
  if (isVouched) return;
  way.reach.refuse(what);
  way.reach.writesAll ??= what;
  way.reach.isSuspect = true;
}

function call({ found, constant }: Called, caller: Caller, way: Way, queue: Caller[]): void {
  const { reach } = way;
  if (leavesTraces(found)) {
    reach.isSuspect = true;
    reach.leavesState ||= caller.found?.leavesState === true;
  }
  if (found.isSystem && found.volatility !== 'volatile' && caller.isImmutable) return;
  const isVouched = caller.isVouched || way.isVouched(found);
  const judgement = judgeFunction(found, isVouched, constant);
  if (!caller.isImmutable && !judgement.isKeyed)
    reach.refuseCache(`${way.prefix}calls ${found.schema}.${found.name}()`);
  reach.asksSequences ||= found.asksSequences;
  reach.showsNames ||= showsNames(found);
  if (way.isSpoken && found.asksSettings.length > 0)
    reach.asksSettings = [...reach.asksSettings, ...found.asksSettings];
  if (!caller.isVouched) {
    if (judgement.refusal !== undefined) reach.refuse(way.prefix + judgement.refusal);
    if (judgement.writes) reach.writesAll ??= way.prefix + (judgement.refusal ?? '');
    reach.isSuspect ||= judgement.isSuspect;
    reach.leavesState ||= judgement.leavesState;
  }
  if (!found.isSystem) queue.push({ found, isVouched, isImmutable: caller.isImmutable });
}
