/**
 * A READ ONLY transaction begins on a replica, where less is allowed than in one on the primary: no LISTEN, no
 * NOTIFY, no READ WRITE after all; and an advisory lock there locks nobody out. As long as nothing has happened in it
 * but its BEGIN, it begins again on the primary for such a statement, and nobody can tell. Called by
 * handle-request.ts and settle.ts.
 */
import { Frontend } from '../protocol/codes.ts';
import type { StatementFacts, TransactionVerb } from '../sql/facts.ts';
import type { ClientSession } from './client.ts';
import type { Unit } from './unit.ts';

/** Longer ones are full of comments, and stay where they are. */
const maxOpeningBytes = 1024;

const needPrimary: ReadonlySet<TransactionVerb> = new Set([
  'set-transaction',
  'prepare-transaction',
  'commit-prepared',
  'rollback-prepared',
]);

/** The text of a BEGIN READ ONLY that is all of the unit. */
export function openingOf(unit: Unit): string | undefined {
  const message = unit.messages?.[0];
  if (unit.plans.length !== 1 || unit.plans[0]?.beginsReadOnly !== true || message?.type !== Frontend.Query)
    return undefined;
  const { buffer, start, end } = message;
  return end - start > maxOpeningBytes ? undefined : buffer.toString('utf8', start + 5, end - 1);
}

/** Is the unit the first one behind such a BEGIN on a replica, and asks for more than there is on a replica? */
export function mustGoHome(session: ClientSession, unit: Unit): boolean {
  if (session.opening === undefined || unit.isRead) return false;
  if (session.serverNode?.role !== 'replica' || session.state.isPinned) return false;
  if (session.preferences.route === 'replica' || unit.hints?.route === 'replica') return false;
  return unit.plans.some(({ facts }) => facts.statements.some(needsPrimary));
}

const advisoryLock = /^pg_(try_)?advisory_/;

/** READ ONLY allows it, recovery does not, or it means nothing on a replica. */
function needsPrimary({ kind, transaction, functions }: StatementFacts): boolean {
  if (kind === 'listen' || kind === 'notify') return true;
  if (transaction !== undefined) return needPrimary.has(transaction);
  return functions.some(({ name }) => advisoryLock.test(name));
}

/** Ends the transaction on the replica. The session's next server, which the caller finds, is told to begin it again. */
export function leaveForHome(session: ClientSession, unit: Unit): void {
  session.reopening = session.opening;
  session.opening = undefined;
  unit.isRefused = true;
  unit.retryWhy = 'a replica allows less in a READ ONLY transaction';
  session.releaseAfter('ROLLBACK');
}
