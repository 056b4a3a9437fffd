/**
 * The section `users`: settings of single users, with PgBouncer's names, which win over those of the database and the global
 * ones. Parsed for load.ts; what holds for a user of a pool is put together here for app/settings-by-user.ts.
 */
import type { PoolSettings, UserConfig } from './config.ts';
import type { Place } from './place.ts';
import { refusal, unknownKey } from './gather.ts';
import type { SettingKey } from './settings.ts';
import { settings } from './settings.ts';
import { entriesOf } from './yaml.ts';

interface UserKey {
  /** The setting whose values are allowed. */
  readonly like: SettingKey;
  readonly field: keyof UserConfig;
  readonly about: string;
}

/** By the key in the file. */
export const userKeys = {
  pool_size: { like: 'default_pool_size', field: 'poolSize', about: 'The most connections of each pool of the user.' },
  reserve_pool_size: {
    like: 'reserve_pool_size',
    field: 'reservePoolSize',
    about: 'Connections beyond it, for clients that have waited reserve_pool_timeout.',
  },
  pool_mode: { like: 'pool_mode', field: 'poolMode', about: 'As above, for the pools of the user.' },
  max_user_connections: {
    like: 'max_user_connections',
    field: 'maxUserConnections',
    about: 'Server connections per node over all pools of the user; 0 = no limit.',
  },
  max_user_client_connections: {
    like: 'max_user_client_connections',
    field: 'maxUserClientConnections',
    about: 'Client connections of the user; 0 = no limit.',
  },
  query_wait_timeout: { like: 'query_wait_timeout', field: 'queryWaitTimeoutMs', about: 'As above.' },
  query_timeout: { like: 'query_timeout', field: 'queryTimeoutMs', about: 'As above.' },
  transaction_timeout: { like: 'transaction_timeout', field: 'transactionTimeoutMs', about: 'As above.' },
  idle_transaction_timeout: { like: 'idle_transaction_timeout', field: 'idleTransactionTimeoutMs', about: 'As above.' },
  client_idle_timeout: {
    like: 'client_idle_timeout',
    field: 'clientIdleTimeoutMs',
    about: 'As above, for clients who have logged in as the user.',
  },
} as const satisfies Readonly<Record<string, UserKey>>;

const byKey: ReadonlyMap<string, UserKey> = new Map(Object.entries(userKeys));
const longestName = 63;

export interface UsersContext {
  readonly placeOf: (path: readonly string[]) => Place;
  readonly problems: string[];
}

export function parseUsers(raw: unknown, { placeOf, problems }: UsersContext): Map<string, UserConfig> {
  const users = new Map<string, UserConfig>();
  const entries = entriesOf(raw);
  if (entries === undefined) problems.push(refusal(placeOf(['users']), 'users', raw, 'is not a map of user names'));
  for (const [name, body] of entries ?? []) {
    const path = ['users', name];
    const label = path.join('.');
    const fields = entriesOf(body);
    if (fields === undefined)
      problems.push(refusal(placeOf(path), label, body, 'is not a map: write { pool_size: 5 }'));
    else if (name === '' || Buffer.byteLength(name) > longestName || name.includes('\0'))
      problems.push(`${placeOf(path)}: users: a user name has 1 to ${longestName} bytes`);
    else users.set(name, parseUser(path, fields, { placeOf, problems }));
  }
  return users;
}

function parseUser(
  path: readonly string[],
  fields: readonly (readonly [string, unknown])[],
  { placeOf, problems }: UsersContext,
): UserConfig {
  const label = path.join('.');
  const own: Record<string, unknown> = {};
  for (const [key, value] of fields) {
    const place = placeOf([...path, key]);
    const row = byKey.get(key);
    if (row === undefined) {
      const known = [...byKey.keys()].map((other) => `${label}.${other}`);
      problems.push(unknownKey(place, `${label}.${key}`, value, known));
      continue;
    }
    const parsed = settings[row.like].type.parse(value);
    if ('refused' in parsed) problems.push(refusal(place, `${label}.${key}`, value, parsed.refused));
    else own[row.field] = parsed.value;
  }
  // Each key has given its field a value of its type.
  return own as UserConfig;
}

/** What the user says for itself, as it would be written in the file, by key. */
export function formatUser(user: UserConfig): (readonly [key: string, value: string])[] {
  return [...byKey].flatMap(([key, { like, field }]) => {
    const value = user[field];
    return value === undefined
      ? []
      : [[key, (settings[like].type.format as (value: unknown) => string)(value)] as const];
  });
}

/** Without what concerns all pools of the user together, and its clients. */
function fieldsOfPools(user: UserConfig): UserConfig {
  const { maxUserConnections: _pools, maxUserClientConnections: _clients, clientIdleTimeoutMs: _idle, ...same } = user;
  return same;
}

/** The settings of a pool whose connections are logged in as the user. */
export function poolSettingsOf(pool: PoolSettings, user: UserConfig | undefined): PoolSettings {
  if (user === undefined) return pool;
  const { poolSize, ...same } = fieldsOfPools(user);
  const own = { ...pool, ...same };
  if (poolSize === undefined) return own;
  // A size that was set for the user is the most, as in PgBouncer: the pool does not grow beyond it.
  const minPoolSize = Math.min(pool.minPoolSize, poolSize);
  return { ...own, minPoolSize, defaultPoolSize: poolSize, maxPoolSize: poolSize };
}
