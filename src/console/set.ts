/**
 * SET key = value: changes a setting until the next RELOAD. On database `pgbouncer` by PgBouncer's names, and settings of TLS one
 * at a time, as there: those that do not fit together yet wait for the next one. Called by actions.ts.
 */
import { whatChanges } from '../config/change.ts';
import { isSettingKey, settingOf } from '../config/settings.ts';
import { didYouMean } from '../config/suggest.ts';
import { WeirError } from '../errors/errors.ts';
import { weirKey, weirValue, withoutEffect } from './pgbouncer-settings.ts';
import { readName, readValue, shorten, syntaxError, type Scanner } from './parse.ts';
import type { SettingRow } from './sources.ts';
import type { CommandContext, CommandResult, Run } from './types.ts';

const refused = (what: string): WeirError => new WeirError('console_refused', { what });

export function parseSet(scanner: Scanner): Run {
  const key = readName(scanner, 'setting');
  if (!scanner.takeSymbol('=') && !scanner.takeKeyword('TO')) throw syntaxError('write SET key = value');
  const value = readValue(scanner, key);
  return async (context) => {
    const { sources, isPgbouncer, unapplied } = context;
    const idle = isPgbouncer ? withoutEffect(key.toLowerCase()) : undefined;
    if (idle !== undefined) return { notices: [idle] };
    const settings = new Map([...sources.settings()].map((row) => [row.key, row]));
    const known = changeable(key, settings);
    const wanted = weirValue(value, known, key.toLowerCase());
    if (isPgbouncer && known.key.startsWith('tls.')) return setTls(known.key, wanted, context);
    await sources.setSetting(known.key, wanted);
    if (!isPgbouncer) unapplied.delete(known.key);
    // PgBouncer always has a query; Weir asks only if there is one.
    const needsQuery = isPgbouncer && known.key === 'auth.user' && settings.get('auth.query')?.value === 'null';
    if (needsQuery) await sources.setSetting('auth.query', 'default');
    return {};
  };
}

function changeable(key: string, settings: ReadonlyMap<string, SettingRow>): SettingRow {
  const known = settings.get(key) ?? settings.get(weirKey(key.toLowerCase()));
  if (known === undefined) {
    const guess = didYouMean(key, settings.keys());
    throw refused(`there is no setting "${shorten(key)}"${guess === undefined ? '' : `; did you mean ${guess}?`}`);
  }
  if (!known.isChangeable)
    throw refused(
      `${known.key} cannot be changed while Weir runs: edit the configuration, and then it needs ${whatChanges(known.key)}`,
    );
  return known;
}

/** A new certificate and its key cannot be used without each other, whichever is set first. */
async function setTls(key: string, value: string, { sources, unapplied }: CommandContext): Promise<CommandResult> {
  const type = isSettingKey(key) ? settingOf(key).type : undefined;
  const isWrong = type !== undefined && 'refused' in type.parseText(value);
  const also = isWrong ? [] : [...unapplied].filter(([other]) => other !== key);
  try {
    await sources.setSetting(key, value, also.length === 0 ? undefined : also);
  } catch (error) {
    if (isWrong || !(error instanceof WeirError)) throw error;
    unapplied.set(key, value);
    const old = 'TLS settings could not be applied, still using old configuration';
    return { notices: [`${old}: ${error.message}; it waits for the next SET of TLS`] };
  }
  if (!isWrong) unapplied.clear();
  return {};
}
