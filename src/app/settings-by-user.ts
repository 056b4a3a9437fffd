/**
 * The settings of one database for each user, where the configuration has a section `users`. As in PgBouncer, those of pools and
 * servers are of the user as whom Weir logs in, and client_idle_timeout is of the user who has logged in to Weir. Made by
 * database.ts, anew at each reload.
 */
import type { Config, DatabaseConfig, PoolSettings } from '../config/config.ts';
import { poolSettingsOf } from '../config/user-settings.ts';

export class SettingsByUser {
  private readonly database: DatabaseConfig;
  private readonly users: Config['users'];
  private readonly ofPools = new Map<string, PoolSettings>();
  private readonly ofClients = new Map<string, PoolSettings>();

  constructor(database: DatabaseConfig, users: Config['users']) {
    this.database = database;
    this.users = users;
  }

  /** @param user as whom its connections are logged in */
  ofPool(user: string): PoolSettings {
    const known = this.ofPools.get(user);
    if (known !== undefined) return known;
    const own = this.users.get(user);
    if (own === undefined) return this.database.pool;
    const settings = poolSettingsOf(this.database.pool, own);
    this.ofPools.set(user, settings);
    return settings;
  }

  /** @param user who has logged in to Weir */
  ofClient(user: string): PoolSettings {
    const known = this.ofClients.get(user);
    if (known !== undefined) return known;
    const ofPool = this.ofPool(this.database.primary.user ?? user);
    const own = this.users.get(user);
    if (own === undefined) return ofPool;
    const { clientIdleTimeoutMs = this.database.pool.clientIdleTimeoutMs } = own;
    const settings = { ...ofPool, clientIdleTimeoutMs };
    this.ofClients.set(user, settings);
    return settings;
  }
}

/** Undefined: the configuration says nothing of single users. */
export function settingsByUser(database: DatabaseConfig, users: Config['users']): SettingsByUser | undefined {
  return users.size === 0 ? undefined : new SettingsByUser(database, users);
}
