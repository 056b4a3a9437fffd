/**
 * SET of settings of TLS one by one with auth.as: pgbouncer. A certificate and its key never fit until both are set: PgBouncer keeps
 * the TLS that it has until they do, and so does this. Used by app/console-actions.ts.
 */
import { changeSetting, changeSettings, type Changed } from './change.ts';
import type { Config } from './config.ts';
import { settingOf } from './settings.ts';
import type { SettingKey } from './settings.ts';

export class WaitingTls {
  /** What does not fit yet, by key, as it was written. */
  private readonly waiting = new Map<string, string>();

  /** `waitsFor`: nothing is changed yet, and why. */
  change(config: Config, key: string, text: string): Changed | { readonly waitsFor: string } {
    const side = /^tls\.(?:client|server)\./.exec(key)?.[0];
    if (side === undefined || config.auth.as !== 'pgbouncer') return changeSetting(config, key, text);
    const type = settingOf(key as SettingKey)?.type;
    if (type === undefined || 'refused' in type.parseText(text)) return changeSetting(config, key, text);
    this.waiting.set(key, text);
    const ofSide = [...this.waiting].filter(([each]) => each.startsWith(side));
    const all = changeSettings(config, ofSide);
    if ('config' in all) {
      for (const [each] of ofSide) this.waiting.delete(each);
      return all;
    }
    const alone = changeSetting(config, key, text);
    if ('problem' in alone) return { waitsFor: all.problem };
    this.waiting.delete(key);
    return alone;
  }

  /** The file was read again. */
  forget(): void {
    this.waiting.clear();
  }
}
