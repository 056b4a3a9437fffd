/**
 * Does a statement in a READ ONLY transaction have the same effect and result on a hot standby as on the primary? True for
 * reads, and for statements that only change the session, a cursor or a savepoint. False if in doubt: begin-on-primary.ts
 * then moves the transaction to the primary. False also for a statement that pins: the session would keep the replica after
 * the transaction, and a replica refuses writes.
 */
import type { StatementFacts } from '../sql/facts.ts';
import { TRANSACTION_PARAMETERS } from '../sql/settings.ts';
import type { CatalogFunction, CatalogRelation } from '../catalog/types.ts';
import { refusalOfSetting } from './functions.ts';
import type { Reach } from './reached.ts';
import { isCopyToStdout } from './text.ts';
import type { SessionEffects } from './plan.ts';

/**
 * @param template the text without its literals
 * @param reach what the statement reads and calls; undefined while the catalog is not known
 */
export function isAlikeOnStandby(
  facts: StatementFacts,
  template: string,
  { pins }: SessionEffects,
  reach: Reach | undefined,
): boolean {
  if (pins.length > 0) return false;
  switch (facts.kind) {
    case 'transaction':
      return isAlikeInTransaction(facts);
    case 'show':
      return facts.shows !== undefined && isOfSession(facts.shows);
    case 'set':
    case 'discard':
    case 'deallocate':
    case 'unlisten':
    case 'fetch':
    case 'close':
    case 'empty':
      return true;
    case 'select':
    case 'declare':
    case 'explain':
      return onlyReads(facts, reach);
    case 'copy-to':
      return isCopyToStdout(template) && onlyReads(facts, reach);
    default:
      return false;
  }
}

/**
 * A standby refuses READ WRITE, SERIALIZABLE and two-phase commit, and SET TRANSACTION SNAPSHOT needs the node that
 * exported the snapshot. A BEGIN inside the transaction block changes its modes, so it counts too.
 */
function isAlikeInTransaction({ transaction, beginsReadOnly }: StatementFacts): boolean {
  switch (transaction) {
    case 'begin':
      return beginsReadOnly;
    case 'commit':
    case 'rollback':
    case 'savepoint':
    case 'release':
    case 'rollback-to':
      return true;
    default:
      return false;
  }
}

function isOfSession(setting: string): boolean {
  return TRANSACTION_PARAMETERS.has(setting) || refusalOfSetting(setting) === undefined;
}

/** False for writes: on the primary, a READ ONLY transaction may write temporary tables. */
function onlyReads(facts: StatementFacts, reach: Reach | undefined): boolean {
  if (facts.writes.length > 0 || facts.hasLocking || facts.createsTemporary || facts.executes !== undefined)
    return false;
  return reach !== undefined && reach.unlikeOnStandby === undefined;
}

/** Tables of the system catalog are replicated; its views (pg_stat_wal_receiver) show the state of the node. */
export function isReplicatedCatalog({ isSystem, kind, persistence }: CatalogRelation): boolean {
  return isSystem && kind === 'table' && persistence === 'permanent';
}

/** It is set_config() of a setting known from the text, which a standby accepts as the primary does. */
export function onlySets({ isSystem, name }: CatalogFunction, setting: string | undefined): boolean {
  if (!isSystem || name !== 'set_config' || setting === undefined) return false;
  return !TRANSACTION_PARAMETERS.has(setting.toLowerCase());
}
