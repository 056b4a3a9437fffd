/**
 * Follows the calls of a function through the bodies of the functions it calls, to any depth. What those read counts as
 * read by the statement, what they change in the session as changed by it. A body that cannot be analyzed (dynamic SQL,
 * other languages) may do anything. Called by reach.ts and writes.ts.
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
  /** How the statement comes to call it: the beginning of every reason, "public.v " for a function of that view. */
  readonly prefix: string;
  /** The text itself calls the function: the custom settings that it reads count as read by the client. */
  readonly isSpoken: boolean;
}

/** The function whose body is being read. What its callees count for depends on it. */
interface Caller {
  readonly found: CatalogFunction | undefined;
  /** It, or a caller of it, is in routing.read_only_functions: what it calls counts as a read, too. */
  readonly isVouched: boolean;
  /** Declared IMMUTABLE: what it calls does not keep the answer out of the cache. Tables that it reads still count. */
  readonly isImmutable: boolean;
}

/** Adds to `way.reach` what the body of `start` runs; the caller has judged `start` itself. */
export function follow(start: CatalogFunction, way: Way): void {
  if (start.isSystem) return;
  go([{ found: start, isVouched: way.isVouched(start), isImmutable: start.volatility === 'immutable' }], way);
}

/** The same for the body of a DO block. Its relations are not added: a DO counts as a write of every table anyway. */
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
