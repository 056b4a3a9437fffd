/**
 * What those are told for whom no connection could be opened: a server that has said why is quoted with its SQLSTATE (it
 * is starting up, it is full). Used by logins.ts.
 */
import { WeirError } from '../errors.ts';
import type { ConnectProblem } from './options.ts';

export function failedLogin(node: string, { message, refusal, sqlstate }: ConnectProblem): WeirError {
  const said = sqlstate === undefined ? undefined : { sqlstate, hint: undefined };
  return refusal ?? new WeirError('server_login_failed', { node, why: message }, undefined, said);
}
