/**
 * A client that prepares a text which others have prepared is given their statement, and no server is asked: it borrows it. If
 * DDL of which Weir has not heard came before that, PostgreSQL would have given this client another statement. As long as the
 * client has neither used the borrowed one nor heard what it returns, Weir can prepare it anew, in place of the error that the
 * others get.
 */
import { canAllRunAgain, passOverAll } from '../run-again.ts';
import type { Session } from '../../session/session.ts';
import type { Borrowed } from '../../session/statements.ts';
import type { Request } from '../../session/request.ts';

/** Weir has answered the Parse itself. */
export function borrow(session: Session, name: string): void {
  const { ddlHere } = session.services.book;
  session.prepared.borrow(name, { ddlHere, catalogMark: catalogMark(session) });
}

function catalogMark({ services, database }: Session): string {
  return services.book.catalogMark(database.topology.catalog());
}

/**
 * Must the client keep the statement as it is, also if it fails? That is so if DDL through this Weir came after its Parse, or if
 * the client has changed its search_path, say: then PostgreSQL refuses the statement as well.
 */
function isBound(session: Session, name: string, { ddlHere }: Borrowed): boolean {
  const { services, state } = session;
  if (ddlHere !== services.book.ddlHere) return true;
  return session.prepared.named(name)?.settings.forCacheKey !== state.live.forCacheKey;
}

/** Has the request a Parse of that name? Then that Parse decides what the name means, if the request runs again. */
function isParsedIn({ attempt }: Request, name: string): boolean {
  return attempt.entered?.some(([parsed]) => parsed === name) === true;
}

/** Bind or Describe of it is about to be sent. Once that is answered, the client knows the statement, and must keep it. */
export function useBorrowed(session: Session, request: Request, name: string): void {
  const borrowed = session.prepared.borrowedAs(name);
  if (borrowed === undefined) return;
  session.prepared.noLongerBorrowed(name);
  if (isBound(session, name, borrowed)) return;
  if (borrowed.catalogMark !== catalogMark(session) && !isParsedIn(request, name)) session.prepared.renew(name);
  (request.attempt.borrowed ??= new Map()).set(name, borrowed);
}

/** The result type of the statement has changed. True: it was prepared anew for the client. */
export function renewBorrowed(session: Session, name: string): boolean {
  const borrowed = session.prepared.borrowedAs(name);
  if (borrowed === undefined || isBound(session, name, borrowed)) return false;
  session.prepared.renew(name);
  return true;
}

/**
 * A server says that the result type of a statement has changed which the request uses. True: the request, and those behind it,
 * run again with that statement prepared anew, and the client will not hear of it.
 */
export function runsWithAnew(session: Session, request: Request): boolean {
  const names: string[] = [];
  for (const [name, borrowed] of request.attempt.borrowed ?? [])
    if (!isBound(session, name, borrowed)) names.push(name);
  const runsAgain = names.length > 0 && canAllRunAgain(session);
  for (const name of names) {
    // If the request runs again, its own Parse messages prepare their statements anew.
    if (!runsAgain || !isParsedIn(request, name)) session.prepared.renew(name);
  }
  if (!runsAgain) return false;
  passOverAll(session);
  request.target.retryWhy = 'what it uses was prepared before its tables were changed';
  return true;
}
