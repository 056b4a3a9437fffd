/**
 * Follows the calls of a function through the bodies of the functions it calls, to any depth. The statement counts as reading
 * the relations and changing the session state that they do. A body that cannot be analyzed (dynamic SQL, other languages)
 * may do anything. Called by reach.ts and writes.ts.
 */
import type { CatalogFunction, CatalogRelation } from '../catalog/types.ts';
import type { Bodies, Called, Callees } from './bodies.ts';
import { judgeFunction, mayChangeSession, showsNames } from './functions.ts';
import type { Reach } from './reached.ts';

export interface FollowContext {
  readonly bodies: Bodies;
  readonly reach: Reach;
  readonly isDeclaredReadOnly: (found: CatalogFunction) => boolean;
  readonly reachRelation: (relation: CatalogRelation) => void;
  /** Beginning of every reason, which names the object that calls the function: "public.v " for a view. */
  readonly prefix: string;
  /** The text itself calls the function, so custom settings that the function reads count as read by the client. */
  readonly isCalledByText: boolean;
}

/** The function whose body is being read. What its callees count for depends on it. */
interface Caller {
  readonly found: CatalogFunction | undefined;
  /** The function or one of its callers is in routing.read_only_functions: the functions it calls count as reads, too. */
  readonly isDeclaredReadOnly: boolean;
  /** The function is IMMUTABLE: functions it calls do not keep the answer out of the cache. Tables it reads still count. */
  readonly isImmutable: boolean;
}

/** Adds to `context.reach` what the body of `start` runs; the caller has judged `start` itself. */
export function follow(start: CatalogFunction, context: FollowContext): void {
  if (start.isSystem) return;
  followAll(
    [
      {
        found: start,
        isDeclaredReadOnly: context.isDeclaredReadOnly(start),
        isImmutable: start.volatility === 'immutable',
      },
    ],
    context,
  );
}

/** Like follow(), for the body of a DO block. Adds no relations, because a DO counts as a write of every table. */
export function followText(body: string, context: FollowContext): void {
  const queue: Caller[] = [];
  const { functions } = context.bodies.ofText(body);
  for (const called of functions)
    addCall(called, { found: undefined, isDeclaredReadOnly: false, isImmutable: false }, context, queue);
  followAll(queue, context);
}

function followAll(queue: Caller[], context: FollowContext): void {
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    const found = at.found as CatalogFunction;
    const key = `${found.oid} ${at.isDeclaredReadOnly} ${at.isImmutable}`;
    if (context.reach.followed.has(key)) continue;
    context.reach.followed.add(key);
    const callees = context.bodies.of(found);
    if (callees.problem !== undefined) addUnreadable(found, callees, at, context);
    for (const relation of callees.relations) context.reachRelation(relation);
    for (const called of callees.functions) addCall(called, at, context, queue);
  }
}

function addUnreadable(
  { schema, name }: CatalogFunction,
  { problem }: Callees,
  { isDeclaredReadOnly }: Caller,
  context: FollowContext,
): void {
  const what = `${context.prefix}calls ${schema}.${name}(), which ${problem}`;
  context.reach.refuseCache(what);
  if (isDeclaredReadOnly) return;
  context.reach.refuse(what);
  context.reach.writesAll ??= what;
  context.reach.isSuspect = true;
}

function addCall({ found, constant }: Called, caller: Caller, context: FollowContext, queue: Caller[]): void {
  const { reach } = context;
  if (mayChangeSession(found)) {
    reach.isSuspect = true;
    reach.leavesState ||= caller.found?.leavesState === true;
  }
  if (found.isSystem && found.volatility !== 'volatile' && caller.isImmutable) return;
  const isDeclaredReadOnly = caller.isDeclaredReadOnly || context.isDeclaredReadOnly(found);
  const judgement = judgeFunction(found, isDeclaredReadOnly, constant);
  if (!caller.isImmutable && !judgement.isKeyed)
    reach.refuseCache(`${context.prefix}calls ${found.schema}.${found.name}()`);
  reach.asks.sequences ||= found.asksSequences;
  reach.asks.preparedNames ||= showsNames(found);
  if (context.isCalledByText && found.asksSettings.length > 0)
    reach.asks.settings = [...reach.asks.settings, ...found.asksSettings];
  if (!caller.isDeclaredReadOnly) {
    if (judgement.refusal !== undefined) reach.refuse(context.prefix + judgement.refusal);
    if (judgement.writes) reach.writesAll ??= context.prefix + (judgement.refusal ?? '');
    reach.isSuspect ||= judgement.isSuspect;
    reach.leavesState ||= judgement.leavesState;
  }
  if (!found.isSystem) queue.push({ found, isDeclaredReadOnly, isImmutable: caller.isImmutable });
}
