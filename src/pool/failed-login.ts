/**
 * The error for clients that wait for a connection whose log-in has failed. If the server has said why (it starts up, it has no
 * room), the error has its SQLSTATE. Also which clients are told. Used by logins.ts.
 */
import { WeirError } from '../errors/errors.ts';
import type { ConnectProblem } from './options.ts';
import type { PoolState } from './pool-state.ts';

export function failedLogin(node: string, { message, refusal, sqlstate }: ConnectProblem): WeirError {
  const said = sqlstate === undefined ? undefined : { sqlstate, hint: undefined };
  return refusal ?? new WeirError('server_login_failed', { node, why: message }, undefined, said);
}

/** Tells clients in the queue that would only wait for the same refusal, or that may go elsewhere. */
export function refuseWaiting({ all, queue }: PoolState, problem: ConnectProblem, error: WeirError): void {
  if (problem.refusal !== undefined) {
    // Clients that have a server keep it.
    if (all.size === 0)
      for (const { waiter } of queue.takeWhere(() => true)) waiter.refused(error, waiter.mayGoElsewhere);
  } else if (!problem.isServerFull) {
    for (const { waiter } of queue.takeWhere((waiting) => waiting.waiter.mayGoElsewhere)) waiter.refused(error, true);
  }
}
