/**
 * Whether a request may be answered from the cache, under which key and tags, and for how long. Called by
 * handle-request.ts and the steps.
 */
import { Frontend } from '../protocol/codes.ts';
import { endOfString } from '../protocol/read.ts';
import { TxStatus } from '../protocol/codes.ts';
import type { KeyParts } from '../cache/types.ts';
import type { Consistency } from '../config/config.ts';
import type { Tag } from '../binding/plan.ts';
import { hasTimeWord } from '../sql/time-words.ts';
import type { Session } from '../session/session.ts';
import { statementName } from './statement-name.ts';
import type { Message, Request } from '../session/request.ts';

/** Message sequences of a single statement with all of its rows: simple, or Parse and Describe as drivers send them. */
const shapes: ReadonlySet<string> = new Set(['Q', 'PBE', 'PBDE', 'PSBE', 'PSBDE', 'BE', 'BDE', 'SBE', 'SBDE']);

/** @returns why the cache is not used for the request; '': it is */
export function cacheObstacle(session: Session, request: Request): string {
  if (!session.services.cache.isEnabled) return 'the cache is off';
  const plan = request.plans[0];
  if (plan === undefined || request.plans.length !== 1) return 'not a single statement';
  if (!plan.isCacheable) return plan.cacheWhy;
  if (wish(session, request) === 'off')
    return request.hints?.cache === 'off' ? 'the hint says cache=off' : 'weir.cache is off';
  if (!request.isComplete || request.form.isStreamed || !shapes.has(request.form.shape))
    return 'this sequence of messages is not cached';
  if (session.status !== TxStatus.Idle) return 'in a transaction';
  if (session.state.isPinned) return 'the session has state of its own on a server';
  if (request.target.attempts > 0) return 'a second attempt';
  const bind = request.form.binds ? find(request, Frontend.Bind) : undefined;
  if (bind !== undefined && hasTimeWord(bind.buffer, bind.start, bind.end))
    return "a parameter may mean the current time ('now', 'today')";
  return '';
}

function wish(session: Session, request: Request): 'on' | 'off' | number {
  return request.hints?.cache ?? session.concerns.preferences.cache ?? 'on';
}

/** @returns time to live in ms; Infinity: only cache.ttl limits it */
export function cacheTtlMs(session: Session, request: Request): number {
  const wanted = wish(session, request);
  return typeof wanted === 'number' ? wanted : Infinity;
}

/** With prefer_cache, while a budget burns, `eventual` readers are shown an answer for this many times its time to live. */
const stretched = 4;

/** @returns for how many times its time to live an answer is shown. A time that the statement or SET asked for is kept. */
export function cacheStretch(session: Session, request: Request, consistency: Consistency): number {
  if (consistency !== 'eventual' || typeof wish(session, request) === 'number') return 1;
  return session.services.budgetActions.why('prefer_cache', session.database.name) === undefined ? 1 : stretched;
}

export function consistencyOf(session: Session, request: Request): Consistency {
  return (
    request.hints?.consistency ?? session.concerns.preferences.consistency ?? session.services.routing().consistency
  );
}

/** What the answer depends on, and the tags of its hint and of the session. */
export function cacheTags(session: Session, request: Request): readonly Tag[] {
  const reads = request.plans[0]?.reads ?? [];
  const hints = request.hints?.tags ?? [];
  const { tags } = session.concerns.preferences;
  if (hints.length === 0 && tags === undefined) return reads;
  return [...reads, ...hints.map((tag) => `t:${tag}`), ...(tags ?? [])];
}

function find({ messages }: Request, type: number): Message | undefined {
  if (messages === undefined) return undefined;
  for (const message of messages) if (message.type === type) return message;
  return undefined;
}

function keyOf(
  session: Session,
  request: Request,
  sql: Buffer,
  types: Buffer | undefined,
  bind: Buffer | undefined,
): KeyParts {
  const { database, user, state } = session;
  return {
    database: database.name,
    user,
    settings: state.settings.forCacheKey,
    shape: request.form.shape,
    sql,
    types,
    bind,
  };
}

export function cacheKey(session: Session, request: Request): KeyParts {
  const query = request.form.isSimple ? find(request, Frontend.Query) : undefined;
  if (query !== undefined) {
    return keyOf(session, request, query.buffer.subarray(query.start + 5, query.end - 1), undefined, undefined);
  }
  const bind = find(request, Frontend.Bind) as Message;
  const portalEnd = endOfString(bind.buffer, bind.start + 5, bind.end);
  const nameEnd = endOfString(bind.buffer, portalEnd + 1, bind.end);
  const values = bind.buffer.subarray(nameEnd + 1, bind.end);
  const parse = find(request, Frontend.Parse);
  if (parse !== undefined) {
    const { buffer, start, end } = parse;
    const sqlStart = endOfString(buffer, start + 5, end) + 1;
    const sqlEnd = endOfString(buffer, sqlStart, end);
    return keyOf(session, request, buffer.subarray(sqlStart, sqlEnd), buffer.subarray(sqlEnd + 1, end), values);
  }
  const statement = session.prepared.get(statementName(bind) as string);
  const key = keyOf(session, request, statement?.sql ?? Buffer.alloc(0), statement?.types, values);
  // The result type is part of the key: a client that was told an older one must not get rows of the new one.
  return { ...key, shape: `${request.form.shape} ${statement?.description?.resultType ?? ''}` };
}
