/**
 * Finds the rule of auth.hba_file for a log-in, and makes PostgreSQL's error for a log-in that the rules refuse. Called
 * by auth/authenticator.ts.
 */
import { WeirError } from '../../errors/errors.ts';
import type { AuthOutcome, Exchange } from '../types.ts';
import { parseAddress } from './addresses.ts';
import type { Access } from './load.ts';
import type { Rule } from './rules.ts';
import { findRule } from './rules.ts';

/** PostgreSQL truncates longer names, so that a rule for the truncated name would have to match; Weir refuses them. */
const longestName = 63;

/** @returns undefined if no rule matches */
export function ruleFor({ rules }: Access, exchange: Exchange): Rule | undefined {
  const { user, databaseNames, replication, hasTls, remoteAddress } = exchange;
  const isReplication = replication === 'physical';
  if ([user, ...databaseNames].some((name) => Buffer.byteLength(name) > longestName)) return undefined;
  const address = remoteAddress === undefined ? undefined : parseAddress(remoteAddress);
  // A socket whose remote address cannot be parsed does not count as local.
  if (remoteAddress !== undefined && address === undefined) return undefined;
  return findRule(rules, { address, hasTls, user, databases: databaseNames, isReplication });
}

const what = { hba_no_entry: '', hba_rejects: 'connection for ' };
const whatOfReplication = { hba_no_entry: 'replication connection from ', hba_rejects: 'replication connection for ' };

export function refusedByHba(exchange: Exchange, error: 'hba_no_entry' | 'hba_rejects', why: string): AuthOutcome {
  const { user, databaseNames, replication, hasTls, remoteAddress } = exchange;
  const isReplication = replication === 'physical';
  const values = {
    what: (isReplication ? whatOfReplication : what)[error],
    host: remoteAddress ?? '[local]',
    user,
    database: isReplication ? '' : `database "${databaseNames[0] ?? ''}", `,
    encryption: hasTls ? 'SSL encryption' : 'no encryption',
  };
  return { isOk: false, error: new WeirError(error, values), why };
}
