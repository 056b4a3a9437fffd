/**
 * The settings of a session as changed by the transaction in progress, with its savepoints. Functions that each apply
 * one statement to a Draft; state.ts decides what a commit or rollback makes of it.
 */
import type { PinReason } from '../binding/plan.ts';
import type { SettingChange, StatementFacts } from '../sql/facts.ts';
import type { Settings } from './settings.ts';

interface Savepoint {
  readonly name: string;
  readonly draft: Settings;
  readonly inForce: Settings;
}

/** State of a transaction in progress; undefined while nothing was changed. */
export interface Draft {
  settings: Settings;
  /** `settings` with the values that are LOCAL. */
  inForce: Settings;
  savepoints: Savepoint[];
  /** Names that statements of this transaction have set or reset. */
  touched: Set<string>;
  touchedAll: boolean;
  /** Names with a value that is LOCAL. */
  locals: Set<string>;
  /** Last ParameterStatus of each name in this transaction. */
  reported: Map<string, string>;
  /** Names that the server has reset to its own default instead of the client's start value. */
  behind: Set<string>;
  /** A setting that decides how texts are read may have been changed to an unknown value. */
  isHidden: boolean;
  /** The pins before the transaction, which its rollback restores. */
  pins: ReadonlySet<PinReason>;
}

/** Applies a SET or RESET. @param start the settings that the client started with, which RESET restores */
export function changeSetting(draft: Draft, change: SettingChange, start: Settings): void {
  draft.inForce = draft.inForce.changed(change, start);
  if (change.isLocal) draft.locals.add(change.name);
  if (change.isLocal || change.name === 'seed') return;
  draft.settings = draft.settings.changed(change, start);
  // SET SESSION AUTHORIZATION ends a SET ROLE.
  if (change.name === 'session_authorization') {
    draft.settings = draft.settings.with('role', undefined);
    draft.inForce = draft.inForce.with('role', undefined);
  }
  draft.touched.add(change.name);
  if (change.value === undefined && start.entry(change.name) !== undefined) draft.behind.add(change.name);
  else draft.behind.delete(change.name);
}

/** Applies RESET ALL, which keeps the role, or DISCARD ALL, which does not. */
export function resetSettings(draft: Draft, start: Settings, keepsRole: boolean): void {
  const role = keepsRole ? draft.settings.entry('role') : undefined;
  const roleInForce = keepsRole ? draft.inForce.entry('role') : undefined;
  draft.settings = role === undefined ? start : start.with('role', role);
  draft.inForce = roleInForce === undefined ? start : start.with('role', roleInForce);
  draft.isHidden = false;
  draft.touchedAll = true;
  for (const name of start.names()) draft.behind.add(name);
}

/** Applies RELEASE SAVEPOINT or ROLLBACK TO SAVEPOINT to the newest savepoint of that name. */
export function endSavepoint(
  draft: Draft,
  name: StatementFacts['name'],
  how: Extract<StatementFacts['transaction'], 'release' | 'rollback-to'>,
): void {
  const at = draft.savepoints.findLastIndex((savepoint) => savepoint.name === name);
  const savepoint = draft.savepoints[at];
  if (savepoint === undefined) return;
  if (how === 'rollback-to') {
    draft.settings = savepoint.draft;
    draft.inForce = savepoint.inForce;
  }
  draft.savepoints.length = how === 'rollback-to' ? at + 1 : at;
}
