/**
 * What a failed statement may have done before it failed. Used by writes.ts.
 */
import { commitsByItself } from '../transaction.ts';
import type { Request } from '../request.ts';

/** Whether the failed statement may have committed something before it failed. */
export function mayHaveCommitted(request: Request): boolean {
  if (request.attempt.isUnparsable) return false;
  const last = request.plans.at(-1);
  if (last !== undefined && request.form.shape === 'Q') {
    const failing = last.facts.statements[request.attempt.statementIndex];
    return failing === undefined || commitsByItself(failing, last.facts.template);
  }
  return request.plans.some(({ facts }) => facts.statements.some((one) => commitsByItself(one, facts.template)));
}
