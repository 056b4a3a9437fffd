/**
 * May this unit be answered from the cache, under which key, depending on what, for how long? Called by handle-request.
 */
import { Frontend } from '../protocol/codes.ts';
import { endOfString, readName } from '../protocol/read.ts';
import { TxStatus } from '../protocol/codes.ts';
import type { KeyParts } from '../cache/types.ts';
import type { Consistency } from '../config/config.ts';
import type { Tag } from '../binding/plan.ts';
import { hasTimeWord } from '../sql/time-words.ts';
import type { Session } from '../session/session.ts';
import type { Message, Unit } from '../session/unit.ts';

/** A single statement, all of its rows: simple, or Parse and Describe as drivers send them. */
const shapes: ReadonlySet<string> = new Set(['Q', 'PBE', 'PBDE', 'PSBE', 'PSBDE', 'BE', 'BDE', 'SBE', 'SBDE']);

/** Why the cache is not asked; '' = it is. */
export function cacheObstacle(session: Session, unit: Unit): string {
  if (!session.services.cache.isEnabled) return 'the cache is off';
  const plan = unit.plans[0];
  if (plan === undefined || unit.plans.length !== 1) return 'not a single statement';
  if (!plan.isCacheable) return plan.cacheWhy;
  if (wish(session, unit) === 'off')
    return unit.hints?.cache === 'off' ? 'the hint says cache=off' : 'weir.cache is off';
  if (!unit.isComplete || unit.form.isStreamed || !shapes.has(unit.form.shape))
    return 'this sequence of messages is not cached';
  if (session.status !== TxStatus.Idle) return 'in a transaction';
  if (session.state.isPinned) return 'the session has state of its own on a server';
  if (unit.target.attempts > 0) return 'a second attempt';
  const bind = find(unit, Frontend.Bind);
  if (bind !== undefined && hasTimeWord(bind.buffer, bind.start, bind.end))
    return "a parameter may mean the current time ('now', 'today')";
  return '';
}

function wish(session: Session, unit: Unit): 'on' | 'off' | number {
  return unit.hints?.cache ?? session.concerns.preferences.cache ?? 'on';
}

/** ms; Infinity = nothing but cache.ttl bounds it. */
export function cacheTtlMs(session: Session, unit: Unit): number {
  const wanted = wish(session, unit);
  return typeof wanted === 'number' ? wanted : Infinity;
}

export function consistencyOf(session: Session, unit: Unit): Consistency {
  return unit.hints?.consistency ?? session.concerns.preferences.consistency ?? session.services.routing().consistency;
}

export function cacheTags(unit: Unit): readonly Tag[] {
  const reads = unit.plans[0]?.reads ?? [];
  const hints = unit.hints?.tags ?? [];
  return hints.length === 0 ? reads : [...reads, ...hints.map((tag) => `t:${tag}`)];
}

function find(unit: Unit, type: number): Message | undefined {
  return unit.messages?.find((message) => message.type === type);
}

function keyOf(
  session: Session,
  unit: Unit,
  sql: Buffer,
  types: Buffer | undefined,
  bind: Buffer | undefined,
): KeyParts {
  const { database, user, state } = session;
  return {
    database: database.name,
    user,
    settings: state.settings.forCacheKey,
    shape: unit.form.shape,
    sql,
    types,
    bind,
  };
}

export function cacheKey(session: Session, unit: Unit): KeyParts {
  const query = find(unit, Frontend.Query);
  if (query !== undefined) {
    return keyOf(session, unit, query.buffer.subarray(query.start + 5, query.end - 1), undefined, undefined);
  }
  const bind = find(unit, Frontend.Bind) as Message;
  const portalEnd = endOfString(bind.buffer, bind.start + 5, bind.end);
  const nameEnd = endOfString(bind.buffer, portalEnd + 1, bind.end);
  const values = bind.buffer.subarray(nameEnd + 1, bind.end);
  const parse = find(unit, Frontend.Parse);
  if (parse !== undefined) {
    const { buffer, start, end } = parse;
    const sqlStart = endOfString(buffer, start + 5, end) + 1;
    const sqlEnd = endOfString(buffer, sqlStart, end);
    return keyOf(session, unit, buffer.subarray(sqlStart, sqlEnd), buffer.subarray(sqlEnd + 1, end), values);
  }
  const name = readName(bind.buffer, portalEnd + 1, nameEnd);
  const statement = session.prepared.get(name);
  const key = keyOf(session, unit, statement?.sql ?? Buffer.alloc(0), statement?.types, values);
  // Who was told another result type than is true by now must not get the rows of today.
  return { ...key, shape: `${unit.form.shape} ${statement?.description?.resultType ?? ''}` };
}
