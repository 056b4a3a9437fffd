/**
 * A log-in as the rules of auth.hba_file see it, and PostgreSQL's words for those whom they do not let in. Called by
 * auth/authenticator.ts.
 */
import { WeirError } from '../../errors.ts';
import type { AuthOutcome, Exchange } from '../types.ts';
import { parseAddress } from './addresses.ts';
import type { Access } from './load.ts';
import type { Rule } from './rules.ts';
import { findRule } from './rules.ts';

/** PostgreSQL cuts longer names: a rule about the shorter one would not be asked about the longer. */
const longestName = 63;

/** undefined: no rule fits. */
export function ruleFor({ rules }: Access, exchange: Exchange): Rule | undefined {
  const { user, databaseNames, replication, hasTls, remoteAddress } = exchange;
  const isReplication = replication === 'physical';
  if ([user, ...databaseNames].some((name) => Buffer.byteLength(name) > longestName)) return undefined;
  const address = remoteAddress === undefined ? undefined : parseAddress(remoteAddress);
  // A socket whose other end cannot be told is not a local one.
  if (remoteAddress !== undefined && address === undefined) return undefined;
  return findRule(rules, { address, hasTls, user, databases: databaseNames, isReplication });
}

const what = { hba_no_entry: '', hba_rejects: 'connection for ' };
const whatReplicates = { hba_no_entry: 'replication connection from ', hba_rejects: 'replication connection for ' };

export function refusedByHba(exchange: Exchange, error: 'hba_no_entry' | 'hba_rejects', why: string): AuthOutcome {
  const { user, databaseNames, replication, hasTls, remoteAddress } = exchange;
  const isReplication = replication === 'physical';
  const values = {
    what: (isReplication ? whatReplicates : what)[error],
    host: remoteAddress ?? '[local]',
    user,
    database: isReplication ? '' : `database "${databaseNames[0] ?? ''}", `,
    encryption: hasTls ? 'SSL encryption' : 'no encryption',
  };
  return { isOk: false, error: new WeirError(error, values), why };
}
