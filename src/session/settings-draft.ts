/**
 * The settings of a session as a transaction in progress has changed them, with its savepoints. Pure steps on one object;
 * state.ts decides when they happen and what a commit or a rollback makes of them.
 */
import type { PinReason } from '../binding/plan.ts';
import type { SettingChange, StatementFacts } from '../sql/facts.ts';
import type { Settings } from './settings.ts';

interface Savepoint {
  readonly name: string;
  readonly draft: Settings;
  readonly inForce: Settings;
}

/** What only a transaction in progress needs; undefined while there is nothing to say. */
export interface Draft {
  settings: Settings;
  /** The same with the values that are LOCAL. */
  inForce: Settings;
  savepoints: Savepoint[];
  /** Names that statements have set or reset in this transaction. */
  touched: Set<string>;
  touchedAll: boolean;
  /** Names with a value that is LOCAL. */
  locals: Set<string>;
  /** Last ParameterStatus of each name in this transaction. */
  reported: Map<string, string>;
  /** Names that the server has reset to its own default, not to what the client started with. */
  behind: Set<string>;
  /** Something unknown may have been set of what decides how texts are read. */
  isHidden: boolean;
  /** The pins that its rollback leaves: those of before it began. */
  pins: ReadonlySet<PinReason>;
}

/** One setting was set or reset. `start`: what the client started with, where RESET goes. */
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

/** RESET ALL, which leaves the role alone, or DISCARD ALL, which does not. */
export function resetSettings(draft: Draft, start: Settings, keepsRole: boolean): void {
  const role = keepsRole ? draft.settings.entry('role') : undefined;
  const roleInForce = keepsRole ? draft.inForce.entry('role') : undefined;
  draft.settings = role === undefined ? start : start.with('role', role);
  draft.inForce = roleInForce === undefined ? start : start.with('role', roleInForce);
  draft.isHidden = false;
  draft.touchedAll = true;
  for (const name of start.names()) draft.behind.add(name);
}

/** RELEASE SAVEPOINT or ROLLBACK TO SAVEPOINT, of the newest savepoint of that name. */
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
