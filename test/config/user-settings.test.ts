/** The section `users`: what is accepted, what wins, and what a reload names. */
import { describe, expect, it } from 'vitest';
import { SettingsByUser, settingsByUser } from '../../src/app/settings-by-user.ts';
import { changeSetting, diffConfig } from '../../src/config/change.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { listSettings } from '../../src/config/show.ts';

const databases = 'databases: { shop: { primary: "postgres://db1/shop", pool_mode: statement, min_pool_size: 4 } }';

function load(text: string, databasesText = databases): Config {
  const result = loadConfig({ text: `${databasesText}\n${text}\n`, env: {} });
  if ('problems' in result) throw new Error(result.problems.join('\n'));
  return result.config;
}

function problems(text: string): readonly string[] {
  const result = loadConfig({ text: `${databases}\n${text}\n`, env: {} });
  return 'problems' in result ? result.problems : [];
}

const shop = (config: Config): SettingsByUser => new SettingsByUser(config.databases.get('shop')!, config.users);

describe('users', () => {
  it('wins over the database and the global settings, for the pools of the user', () => {
    const config = load('users: { app: { pool_size: 3, pool_mode: session, idle_transaction_timeout: 5s } }');
    expect(shop(config).ofPool('app')).toMatchObject({
      defaultPoolSize: 3,
      maxPoolSize: 3,
      minPoolSize: 3,
      poolMode: 'session',
      idleTransactionTimeoutMs: 5_000,
    });
    expect(shop(config).ofPool('other')).toBe(config.databases.get('shop')?.pool);
  });

  it('is of the user of the server, but client_idle_timeout of the one who has logged in', () => {
    const config = load(
      'users: { app: { pool_mode: session, client_idle_timeout: 1s }, forced: { pool_mode: statement, client_idle_timeout: 2s } }',
      'databases: { shop: { primary: "postgres://forced:pw@db1/shop" } }',
    );
    expect(shop(config).ofClient('app')).toMatchObject({ poolMode: 'statement', clientIdleTimeoutMs: 1_000 });
    expect(shop(config).ofClient('other')).toMatchObject({ poolMode: 'statement', clientIdleTimeoutMs: 0 });
  });

  it('costs nothing where it is empty', () => {
    const config = load('users: {}');
    expect(settingsByUser(config.databases.get('shop')!, config.users)).toBeUndefined();
  });

  it('refuses what it does not know, and says where', () => {
    expect(problems('users: { app: { pool_sice: 3 } }')).toEqual([
      expect.stringContaining('configuration:2: users.app.pool_sice: unknown key') as string,
    ]);
    expect(problems('users: { app: { pool_size: 0 } }')[0]).toContain(
      'users.app.pool_size: 0 is not an integer from 1',
    );
    expect(problems('users: { app: 3 }')[0]).toContain('users.app: 3 is not a map');
    expect(problems('users: [app]')[0]).toContain('users: a list of 1 is not a map of user names');
    expect(problems(`users: { ${'u'.repeat(64)}: {} }`)[0]).toContain('a user name has 1 to 63 bytes');
  });

  it('is shown, named by a reload, and left alone by SET', () => {
    const before = load('users: { app: { pool_size: 3 } }');
    const rows = listSettings(before).filter(({ key }) => key.startsWith('users.'));
    expect(rows.map(({ key, value }) => [key, value])).toEqual([['users.app.pool_size', '3']]);
    expect(diffConfig(before, load('users: { app: { pool_size: 4 } }')).reloadable).toEqual(['users.app']);
    const set = changeSetting(before, 'default_pool_size', '7');
    expect('config' in set && set.config.users).toEqual(before.users);
  });
});

describe('what a database says for itself', () => {
  const problemsOf = (own: string): readonly string[] => {
    const text = `databases: { shop: { primary: "postgres://db1/shop", ${own} } }`;
    const result = loadConfig({ text, env: {} });
    return 'problems' in result ? result.problems : [];
  };

  it('auth_query, auth_user and auth_dbname win over those of all, and are checked as those are', () => {
    const entry = 'auth_query: "SELECT n, s FROM u WHERE n = $1", auth_user: asker, auth_dbname: shop';
    const config = load('', `databases: { shop: { primary: "postgres://db1/shop", ${entry} } }`);
    expect(config.databases.get('shop')?.auth).toMatchObject({ user: 'asker', dbname: 'shop' });
    expect(listSettings(config).find(({ key }) => key === 'databases.shop.auth_user')?.value).toBe('asker');
    expect(problemsOf('auth_query: "SELECT 1", auth_user: a')[0]).toContain('of database shop: has no $1');
    expect(problemsOf('auth_query: "SELECT $1"')[0]).toContain(
      'of database shop: is missing: auth.query needs somebody',
    );
    expect(problemsOf('auth_dbname: nowhere')[0]).toContain('of database shop: there is no database nowhere');
    expect(problemsOf('auth_user: [a]')[0]).toContain('databases.shop.auth_user: a list of 1 is not a user name');
  });

  it('connect_query cannot change what names mean', () => {
    expect(problemsOf('connect_query: "SET work_mem = \'4MB\'"')).toEqual([]);
    expect(problemsOf('connect_query: "SET search_path = x"')[0]).toContain('it cannot change search_path');
    expect(problemsOf('connect_query: "set role boss"')[0]).toContain('it cannot change role');
  });
});
