/**
 * auth.type = trust: accepts every user name, without a password. The user need not be in auth.file, unless auth.as is pgbouncer.
 */
import { WeirError } from '../../errors/errors.ts';
import { accepted } from '../outcome.ts';
import type { AuthMethod } from '../types.ts';

export const trust: AuthMethod = async (_, context) => {
  if (!context.mustBeKnown || (await context.isKnown())) return accepted;
  return { isOk: false, error: new WeirError('trust_failed'), why: `trust: ${context.noSuchUser}` };
};
