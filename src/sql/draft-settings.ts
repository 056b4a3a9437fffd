/**
 * What one statement sets, while it is being collected: SET, RESET and calls of set_config(). Part of a Draft (draft.ts).
 */
import type { BoundSetting, FunctionCall, SettingChange } from './facts.ts';
import { canonicalName, READING_PARAMETERS } from './settings.ts';

export class DraftSettings {
  readonly changes: SettingChange[] = [];
  /** Calls of set_config() whose arguments come in Bind; undefined: none has. */
  bound: readonly BoundSetting[] | undefined;
  /** RESET ALL. */
  resetsAll = false;

  /** The statement is only planned or prepared: nothing is set yet. */
  clear(): void {
    this.changes.length = 0;
    this.bound = undefined;
  }

  /** Whether a call of set_config() that is not in `changes` may set a parameter that decides how texts are read. */
  isIncomplete(calls: readonly FunctionCall[]): boolean {
    if (calls.length <= this.changes.length) return false;
    return calls.some(
      ({ firstConstant }) => firstConstant === undefined || READING_PARAMETERS.has(canonicalName(firstConstant)),
    );
  }
}
