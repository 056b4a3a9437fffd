/**
 * The error for a client that has waited query_wait_timeout for a server, or that is refused early in an overload: why it got none,
 * and what an operator can do. Of several reasons it names the one that has to be dealt with first. Used by sweep.ts.
 */
import { WeirError } from '../errors/errors.ts';
import type { PoolOptions } from './options.ts';
import { poolInWords } from './resize-words.ts';

/** The pool at the end of the wait. */
export interface WaitState {
  readonly isPaused: boolean;
  readonly limit: number;
  /** Connections that are open; those of them that are being reset or cancelled; log-ins under way. */
  readonly open: number;
  readonly resetting: number;
  readonly logins: number;
  /** As many statements run as may (statements-at-once.ts). */
  readonly isHeldBack: boolean;
  /** Why the last log-in failed; undefined: it did not. */
  readonly loginError: WeirError | undefined;
}

const heldBack = 'as many statements run as do the most work together (resize.mode = on)';

interface Reason {
  readonly why: string;
  readonly todo: string;
}

type Of = Pick<PoolOptions, 'database' | 'user' | 'node' | 'budget'>;

export function waitTimeout(of: Of, state: WaitState, waitedMs: number): WeirError {
  const { isPaused, open, loginError } = state;
  // The reason of the server says more than that there is no connection.
  if (!isPaused && open === 0 && loginError !== undefined) return loginError;
  const facts = { waited: Math.round(waitedMs), pool: poolInWords(of) };
  return new WeirError('query_wait_timeout', { ...facts, ...reasonOf(of, state) });
}

/** The error for a client that is refused early in an overload. */
export function overloaded(
  of: Of,
  now: { readonly open: number; readonly isHeldBack: boolean; readonly waiting: number; readonly retryMs: number },
  waitedMs: number,
): WeirError {
  return new WeirError('pool_overloaded', {
    waited: Math.round(waitedMs),
    pool: poolInWords(of),
    busy: now.isHeldBack ? heldBack : `all ${now.open} connections are busy`,
    waiting: now.waiting,
    retry: now.retryMs,
    todo: 'SHOW POOLS says how large the pool is, docs/overload.md what can be done.',
  });
}

/** The error for a client of low priority while a budget burns. @param why in words */
export function shedForBudget(of: Of, why: string): WeirError {
  return new WeirError('low_priority_shed', { pool: poolInWords(of), why });
}

function reasonOf({ database, user, node, budget }: Of, state: WaitState): Reason {
  const { isPaused, open, limit, logins, loginError, resetting, isHeldBack } = state;
  if (isPaused) {
    return {
      why: `database "${database}" is paused by an operator (PAUSE or KILL)`,
      todo: `It goes on with RESUME on the admin console (weir resume).`,
    };
  }
  const cleaned = resetting === 0 ? '' : ` (${resetting} of them being made ready for the next client)`;
  const todo = 'Look at SHOW POOLS, raise max_pool_size, or shorten transactions.';
  if (isHeldBack) {
    return {
      why: heldBack,
      todo: 'Look at statements_at_once in SHOW POOLS; a larger pool does not help.',
    };
  }
  if (open >= limit) return { why: `all ${open} connections of the pool are busy${cleaned}`, todo };
  if (loginError !== undefined) {
    return {
      why: `${open} connections are busy, and no other can be opened (${loginError.message})`,
      todo: 'Mend what the log-in fails of: SHOW NODES and the log have more; or shorten transactions.',
    };
  }
  const shortage = budget.shortage({ database, user, node });
  if (shortage !== undefined && logins === 0) {
    if (shortage === 'pool') {
      return { why: `all ${limit} connections of the pool are busy, ${open} of them in this worker${cleaned}`, todo };
    }
    const whose = whoAllows[shortage];
    const why = `no connection to ${node} is left of those that ${whose}; this pool has ${open} of its ${limit}`;
    return { why, todo: adviceFor[shortage] };
  }
  if (logins > 0 && open === 0) {
    return {
      why: `the log-in to ${node} is still under way`,
      todo: 'The server answers slowly, or not at all: look at SHOW NODES and at its load.',
    };
  }
  return { why: `${open} connections are busy${cleaned}, ${logins} are being opened`, todo };
}

const whoAllows = {
  database: 'max_db_connections allows',
  user: 'max_user_connections allows',
  node: 'the server can spare',
} as const;

const adviceFor = {
  database: 'Raise max_db_connections, or make other pools of the database smaller (SHOW POOLS, RESIZE POOL).',
  user: 'Raise max_user_connections, or make other pools of the user smaller (SHOW USERS, SHOW POOLS, RESIZE POOL).',
  node: 'Raise max_connections of the server, or make other pools smaller (SHOW NODES, SHOW POOLS, RESIZE POOL).',
} as const;
