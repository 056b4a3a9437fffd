/**
 * The error for clients that wait for a connection whose log-in has failed. If the server has said why (it starts up, it has no
 * room), the error has its SQLSTATE. Used by logins.ts.
 */
import { WeirError } from '../errors/errors.ts';
import type { ConnectProblem } from './options.ts';

export function failedLogin(node: string, { message, refusal, sqlstate }: ConnectProblem): WeirError {
  const said = sqlstate === undefined ? undefined : { sqlstate, hint: undefined };
  return refusal ?? new WeirError('server_login_failed', { node, why: message }, undefined, said);
}
