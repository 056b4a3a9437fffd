/** SHOW CONFIG, reload and SET: rows, differences, merges. */
import { describe, expect, it } from 'vitest';
import { assemble, defaultValues, valuesOf } from '../../src/config/assemble.ts';
import {
  changeSetting,
  diffConfig,
  fixedSettings,
  keepNotReloadable,
  withFixed,
  type FixedSettings,
} from '../../src/config/change.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { SettingValues } from '../../src/config/settings.ts';
import { environmentName, settingKeys, settingOf } from '../../src/config/settings.ts';
import { listSettings } from '../../src/config/show.ts';
import { defaults } from './defaults.ts';

const shop =
  'databases: { shop: { primary: postgres://app:hunter2@db1/shop, replicas: [postgres://db2], max_pool_size: 7 }, b: { primary: postgres://db1 } }';

function load(text: string): Config {
  const result = loadConfig({ text: `${text}\n`, env: {} });
  if ('problems' in result) throw new Error(result.problems.join('\n'));
  return result.config;
}

describe('the table', () => {
  it('gives back every default that it puts in', () => {
    const values = valuesOf(load(shop));
    for (const key of settingKeys) {
      const setting = settingOf(key);
      const expected = key === 'auth.file' ? undefined : setting.default;
      expect([key, values[key]]).toEqual([key, expected]);
    }
  });

  it('has a place in the configuration for every setting, and no two in the same', () => {
    const values = { ...defaultValues() } as Record<string, unknown>;
    for (const key of settingKeys) if (settingOf(key).field !== undefined) values[key] = `value of ${key}`;
    expect(valuesOf(assemble(values as SettingValues, defaults))).toEqual(values);
  });

  it('can read what it prints', () => {
    for (const key of settingKeys) {
      const { type, default: value } = settingOf(key);
      expect([key, type.parseText(type.format(value))]).toEqual([key, { value }]);
    }
  });

  it('has one environment variable per key', () => {
    expect(new Set(settingKeys.map(environmentName)).size).toBe(settingKeys.length);
  });
});

describe('listSettings', () => {
  it('has a row per setting and what the databases say, without secrets', () => {
    const rows = listSettings(load(`cache: { enabled: true, redis: "redis://me:hunter2@cache:6379/1" }\n${shop}`));
    const row = (key: string): unknown => rows.find((other) => other.key === key);
    expect(row('query_wait_timeout')).toEqual({
      key: 'query_wait_timeout',
      value: '30s',
      default: '30s',
      isChangeable: true,
    });
    expect(row('listen')).toEqual({
      key: 'listen',
      value: '127.0.0.1:6432',
      default: '127.0.0.1:6432',
      isChangeable: false,
    });
    expect(row('cache.redis')).toMatchObject({ value: 'redis://me:***@cache:6379/1', default: 'null' });
    expect(row('databases.shop.primary')).toMatchObject({ value: 'postgres://app:***@db1:5432/shop' });
    expect(row('databases.shop.replicas')).toMatchObject({ value: '[postgres://db2:5432/shop]' });
    expect(row('databases.shop.max_pool_size')).toMatchObject({ value: '7', default: '100' });
    expect(row('databases.b.max_pool_size')).toBeUndefined();
    expect(JSON.stringify(rows)).not.toContain('hunter2');
  });
});

it('a rolling restart keeps what only a new start changes, through JSON, too', () => {
  const running = load(`workers: 2\nlisten: 127.0.0.1:6000\nhttp: null\n${shop}`);
  const file = load(`workers: 4\nlisten: 127.0.0.1:7000\nhttp: 127.0.0.1:8000\nmax_client_conn: 77\n${shop}`);
  const fixed = JSON.parse(JSON.stringify(fixedSettings(running))) as FixedSettings;
  const config = withFixed(file, fixed);
  expect(config).toMatchObject({ workers: 2, listen: { port: 6000 }, maxClientConn: 77 });
  expect(config.http).toBeUndefined();
  expect(diffConfig(config, file).notReloadable).toEqual(['listen', 'http', 'workers']);
});

describe('diffConfig and keepNotReloadable', () => {
  it('nothing differs from itself', () => {
    expect(diffConfig(load(shop), load(shop))).toEqual({ reloadable: [], notReloadable: [] });
  });

  it('tells what a reload can apply from what it cannot', () => {
    const before = load(shop);
    const after = load(
      `listen: 127.0.0.1:7000\nmax_pool_size: 50\nlog: { level: debug, format: pretty }\ncache: { max_memory: 1GB }
databases: { shop: { primary: postgres://db9 }, c: { primary: postgres://db1 } }`,
    );
    expect(diffConfig(before, after)).toEqual({
      reloadable: ['max_pool_size', 'log.level', 'databases.shop', 'databases.b', 'databases.c'],
      notReloadable: ['listen', 'cache.max_memory', 'log.format'],
    });
    const merged = keepNotReloadable(before, after);
    expect(merged.listen.port).toBe(6432);
    expect(merged.log).toEqual({ ...before.log, level: 'debug', format: 'json' });
    expect(merged.cache).toEqual(before.cache);
    expect(merged.pool.maxPoolSize).toBe(50);
    expect(merged.databases).toBe(after.databases);
    expect(diffConfig(merged, after).reloadable).toEqual([]);
  });
});

describe('changeSetting', () => {
  const change = (key: string, text: string): Config => {
    const changed = changeSetting(load(shop), key, text);
    if ('problem' in changed) throw new Error(changed.problem);
    return changed.config;
  };

  it('changes one setting; databases that follow the global value go on following', () => {
    const config = change('max_pool_size', '60');
    expect(config.pool.maxPoolSize).toBe(60);
    expect(config.databases.get('b')?.pool.maxPoolSize).toBe(60);
    expect(config.databases.get('shop')?.pool).toMatchObject({ defaultPoolSize: 7, maxPoolSize: 7 });
    expect(diffConfig(load(shop), config).reloadable).toEqual(['max_pool_size', 'databases.b']);
  });

  it('takes values as the environment does', () => {
    expect(change('query_wait_timeout', '5s').databases.get('shop')?.pool.queryWaitTimeoutMs).toBe(5_000);
    // Never: the longest time.
    expect(change('query_wait_timeout', '0').databases.get('shop')?.pool.queryWaitTimeoutMs).toBe(576 * 3_600_000);
    expect(change('auth.admin_users', 'weir, ops').auth.adminUsers).toEqual(['weir', 'ops']);
    expect(change('resize.enabled', 'off').resize.enabled).toBe(false);
  });

  it.each([
    ['max_pool_sice', '5', 'the nearest is max_pool_size'],
    ['max_pool_size', 'many', '"many" is not an integer'],
    ['listen', '127.0.0.1:1', 'needs a new start of Weir'],
    ['cache.ttl', '1s', 'needs a restart'],
    ['auth.file', '/nowhere/users.txt', 'does not exist'],
    ['tls.client.mode', 'require', 'tls.client.cert: is missing'],
    ['auth.type', 'cert', 'auth.type: cert needs tls.client.ca'],
    ['__proto__', 'x', 'unknown setting'],
  ])('SET %s = %s', (key, text, expected) => {
    const changed = changeSetting(load(shop), key, text);
    expect('problem' in changed ? changed.problem : '').toContain(expected);
  });
});
