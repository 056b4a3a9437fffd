/**
 * A configuration as rows for SHOW CONFIG: every setting, then what each database and user says for itself. Secrets are redacted.
 * Called by the admin console and `weir check`.
 */
import { isDeepStrictEqual } from 'node:util';
import { valuesOf } from './assemble.ts';
import type { Config, DnsReplicas, NodeConfig } from './config.ts';
import { authKeys, perDatabaseKeys } from './databases.ts';
import { settingKeys, settingOf } from './settings.ts';
import { formatUser } from './user-settings.ts';
import { formatHostPort } from './values.ts';

/** Columns of PgBouncer's SHOW CONFIG. */
export interface SettingRow {
  readonly key: string;
  readonly value: string;
  readonly default: string;
  /** Can be changed by RELOAD or SET. */
  readonly isChangeable: boolean;
}

export function listSettings(config: Config): SettingRow[] {
  const values = valuesOf(config);
  const rows: SettingRow[] = settingKeys.map((key) => {
    const setting = settingOf(key);
    return {
      key,
      value: setting.type.format(values[key]),
      default: setting.type.format(setting.default),
      isChangeable: setting.isReloadable,
    };
  });
  for (const database of config.databases.values()) {
    const prefix = `databases.${database.name}`;
    rows.push({ key: `${prefix}.primary`, value: nodeUrl(database.primary), default: '', isChangeable: true });
    const replicas = `[${[...database.replicas.map(nodeUrl), ...(database.dns ?? []).map(dnsEntry)].join(', ')}]`;
    rows.push({ key: `${prefix}.replicas`, value: replicas, default: '[]', isChangeable: true });
    for (const [key, { field }] of Object.entries(authKeys)) {
      const value = database.auth?.[field];
      if (value !== undefined) rows.push({ key: `${prefix}.${key}`, value, default: '', isChangeable: true });
    }
    const own = valuesOf({ ...config, pool: database.pool });
    for (const key of perDatabaseKeys) {
      const setting = settingOf(key);
      const value = own[key];
      const global = values[key];
      if (isDeepStrictEqual(value, global)) continue;
      const { type } = setting;
      rows.push({
        key: `${prefix}.${key}`,
        value: type.format(value),
        default: type.format(global),
        isChangeable: true,
      });
    }
  }
  for (const [name, user] of config.users) {
    for (const [key, value] of formatUser(user))
      rows.push({ key: `users.${name}.${key}`, value, default: '', isChangeable: true });
  }
  return rows;
}

/** The node as a URL, its password as ***. */
export function nodeUrl(node: Omit<NodeConfig, 'name' | 'weight'>): string {
  const user =
    node.user === undefined ? '' : `${encodeURIComponent(node.user)}${node.password === undefined ? '' : ':***'}@`;
  const database = node.database === undefined ? '' : `/${encodeURIComponent(node.database)}`;
  return `postgres://${user}${formatHostPort(node)}${database}`;
}

function dnsEntry(entry: DnsReplicas): string {
  const url = nodeUrl(entry);
  return `{ url: ${entry.kind === 'srv' ? url.replace(/:5432(?=\/|$)/, '') : url}, dns: ${entry.kind} }`;
}
