/**
 * A client that prepares a text which others have prepared is given their statement, and no server is asked. If DDL of which
 * Weir has not heard came before that, it is not what PostgreSQL would have given this client. As long as the client has
 * neither used it nor heard what it brings, nobody can tell: it gets it anew instead of the error that the others get.
 */
import { canAllRunAgain, passOverAll } from '../run-again.ts';
import type { Session } from '../../session/session.ts';
import type { Borrowed } from '../../session/statements.ts';
import type { Request } from '../../session/request.ts';

/** Parse was answered in place of a server. */
export function borrow(session: Session, name: string): void {
  const { ddlHere } = session.services.book;
  session.prepared.borrow(name, { ddlHere, catalogMark: catalogMark(session) });
}

function catalogMark({ services, database }: Session): string {
  return services.book.catalogMark(database.topology.catalog());
}

/**
 * Is it what the client has prepared, whatever becomes of it? If DDL through this Weir came behind its Parse, or the client has
 * changed its own search_path, say, PostgreSQL refuses the statement, too.
 */
function isBound(session: Session, name: string, { ddlHere }: Borrowed): boolean {
  const { services, state } = session;
  if (ddlHere !== services.book.ddlHere) return true;
  return session.prepared.named(name)?.settings.forCacheKey !== state.live.forCacheKey;
}

/** Should the request run again, or its Parse not happen, that is what says what the name is. */
function isParsedIn({ attempt }: Request, name: string): boolean {
  return attempt.entered?.some(([parsed]) => parsed === name) === true;
}

/** Bind or Describe of it is about to be sent: from its answer on the client is bound to what it is. */
export function useBorrowed(session: Session, request: Request, name: string): void {
  const borrowed = session.prepared.borrowedAs(name);
  if (borrowed === undefined) return;
  session.prepared.noLongerBorrowed(name);
  if (isBound(session, name, borrowed)) return;
  if (borrowed.catalogMark !== catalogMark(session) && !isParsedIn(request, name)) session.prepared.renew(name);
  (request.attempt.borrowed ??= new Map()).set(name, borrowed);
}

/** It has turned out to be something else by now. True: the client has it anew. */
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
    // What the request parses itself it has anew when it parses it again.
    if (!runsAgain || !isParsedIn(request, name)) session.prepared.renew(name);
  }
  if (!runsAgain) return false;
  passOverAll(session);
  request.target.retryWhy = 'what it uses was prepared before its tables were changed';
  return true;
}
