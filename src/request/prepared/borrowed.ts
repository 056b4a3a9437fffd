/**
 * A client that prepares a text which another client has prepared gets that statement without a question to a server:
 * it borrows it. If DDL that Weir does not know of came in between, PostgreSQL would have given this client a new
 * statement. So until the client has used the borrowed one or knows its result type, Weir can prepare it anew instead
 * of reporting a changed result type.
 */
import { canAllRunAgain, passOverAll } from '../run-again.ts';
import type { Session } from '../../session/session.ts';
import type { Borrowed } from '../../session/statements.ts';
import type { Request } from '../../session/request.ts';

/** Call when Weir has answered the Parse itself. */
export function borrow(session: Session, name: string): void {
  const { ddlHere } = session.services.book;
  session.prepared.borrow(name, { ddlHere, catalogMark: catalogMark(session) });
}

function catalogMark({ services, database }: Session): string {
  return services.book.catalogMark(database.topology.catalog());
}

/**
 * @returns true if the client must keep the statement even if it fails, because PostgreSQL would refuse it as well:
 * DDL through this Weir came after its Parse, or the client has changed a setting such as search_path
 */
function isBound(session: Session, name: string, { ddlHere }: Borrowed): boolean {
  const { services, state } = session;
  if (ddlHere !== services.book.ddlHere) return true;
  return session.prepared.named(name)?.settings.forCacheKey !== state.live.forCacheKey;
}

/** @returns true if the request has a Parse of that name, which then decides its meaning if the request runs again */
function isParsedIn({ attempt }: Request, name: string): boolean {
  return attempt.entered?.some(([parsed]) => parsed === name) === true;
}

/**
 * Call before sending a Bind or Describe of the statement. Once that is answered, the client knows the statement and
 * keeps it.
 */
export function useBorrowed(session: Session, request: Request, name: string): void {
  const borrowed = session.prepared.borrowedAs(name);
  if (borrowed === undefined) return;
  session.prepared.noLongerBorrowed(name);
  if (isBound(session, name, borrowed)) return;
  if (borrowed.catalogMark !== catalogMark(session) && !isParsedIn(request, name)) session.prepared.renew(name);
  (request.attempt.borrowed ??= new Map()).set(name, borrowed);
}

/** The result type of the statement has changed. @returns true if it was prepared anew for the client */
export function renewBorrowed(session: Session, name: string): boolean {
  const borrowed = session.prepared.borrowedAs(name);
  if (borrowed === undefined || isBound(session, name, borrowed)) return false;
  session.prepared.renew(name);
  return true;
}

/**
 * A server reports that the result type of a statement used by the request has changed.
 * @returns true if the request and those after it run again with the statement prepared anew, unnoticed by the client
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
