/**
 * Collects the settings that one statement changes by SET, RESET and set_config(). Part of a Draft (draft.ts).
 */
import type { BoundSetting, FunctionCall, SettingChange } from './facts.ts';
import { canonicalName, READING_PARAMETERS } from './settings.ts';

export class DraftSettings {
  readonly changes: SettingChange[] = [];
  /** Calls of set_config() with arguments that come in Bind; undefined: there is no such call. */
  bound: readonly BoundSetting[] | undefined;
  /** RESET ALL. */
  resetsAll = false;

  /** The statement is only planned or prepared: nothing is set yet. */
  clear(): void {
    this.changes.length = 0;
    this.bound = undefined;
  }

  /** May a call of set_config() that is not in `changes` set one of READING_PARAMETERS? */
  isIncomplete(calls: readonly FunctionCall[]): boolean {
    if (calls.length <= this.changes.length) return false;
    return calls.some(
      ({ firstConstant }) => firstConstant === undefined || READING_PARAMETERS.has(canonicalName(firstConstant)),
    );
  }
}
