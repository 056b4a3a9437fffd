/**
 * A change of the configuration is checked and kept ready before it is applied: a bad one is refused and changes nothing,
 * workers that have read the same agree on its digest, and it is known whose pool sizes it has set. Fails when the check
 * applies something, or an old change is applied in place of a new one.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { StagedChange } from '../../src/app/staged-change.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { WeirError } from '../../src/errors/errors.ts';
import { node, snapshot } from '../routing/route-fixture.ts';

function configOf(text: string): Config {
  const loaded = loadConfig({ text: `databases: { shop: { primary: 'postgres://db1/shop' } }\n${text}`, env: {} });
  if ('problems' in loaded) throw new Error(loaded.problems.join('; '));
  return loaded.config;
}

const snapshotOf = (primary: string) => snapshot([], node(primary, { role: 'primary' }));

let current: { config: Config; users: Map<string, string> };
let file: { config: Config; users: Map<string, string>; warnings: readonly string[] };
let applied: Config[];
let bad: string | undefined;
let staged: StagedChange;

beforeEach(() => {
  current = { config: configOf('default_pool_size: 20'), users: new Map([['app', 'secret']]) };
  file = { config: configOf('default_pool_size: 20'), users: new Map([['app', 'secret']]), warnings: [] };
  applied = [];
  bad = undefined;
  const apply = (config: Config): Promise<void> => {
    applied.push(config);
    current.config = config;
    return Promise.resolve();
  };
  staged = new StagedChange(
    current,
    {
      read: () => file,
      check: () => {
        if (bad !== undefined) throw new WeirError('console_refused', { what: bad });
      },
      apply,
      reloadRead: async ({ config }) => {
        await apply(config);
        return ['workers needs a restart'];
      },
    },
    {
      all: () => [
        {
          name: 'shop',
          topology: { snapshot: () => snapshotOf('db1'), tryNode: () => Promise.reject(new Error('not asked for')) },
          settings: () => (current.config.databases.get('shop') ?? current.config).pool,
        },
      ],
    },
  );
});

describe('SET', () => {
  test('is applied in the second step only', async () => {
    staged.prepare({ do: 'set', key: 'default_pool_size', value: '30' });
    expect(applied).toEqual([]);
    expect(await staged.apply()).toEqual({ notices: [], resized: ['shop'] });
    expect(current.config.pool.defaultPoolSize).toBe(30);
  });

  test('names no database whose pool sizes stay', async () => {
    staged.prepare({ do: 'set', key: 'query_wait_timeout', value: '7s' });
    expect((await staged.apply()).resized).toEqual([]);
  });

  test('of a bad value is refused, as is what cannot be used', () => {
    expect(() => staged.prepare({ do: 'set', key: 'default_pool_size', value: 'many' })).toThrow('many');
    bad = 'no such certificate';
    expect(() => staged.prepare({ do: 'set', key: 'default_pool_size', value: '30' })).toThrow('no such certificate');
    expect(applied).toEqual([]);
  });
});

describe('RELOAD', () => {
  test('has the digest of what was read, whatever runs', () => {
    const digest = staged.prepare({ do: 'reload' });
    current.config = configOf('default_pool_size: 25');
    expect(staged.prepare({ do: 'reload' })).toBe(digest);
    file.users.set('app', 'other');
    expect(staged.prepare({ do: 'reload' })).not.toBe(digest);
    file.users.set('app', 'secret');
    file.config = configOf('default_pool_size: 21');
    expect(staged.prepare({ do: 'reload' })).not.toBe(digest);
    expect(digest).not.toContain('secret');
  });

  test('applies what was checked, not what the file says by then', async () => {
    file.config = configOf('default_pool_size: 22');
    staged.prepare({ do: 'reload' });
    file.config = configOf('default_pool_size: 23');
    expect((await staged.apply()).notices).toEqual(['workers needs a restart']);
    expect(applied.map(({ pool }) => pool.defaultPoolSize)).toEqual([22]);
  });
});

describe('what is ready', () => {
  test('is applied once, and not after it was discarded', async () => {
    await expect(staged.apply()).rejects.toThrow('there is no change to apply');
    staged.prepare({ do: 'reload' });
    staged.discard();
    await expect(staged.apply()).rejects.toThrow('there is no change to apply');
    staged.prepare({ do: 'reload' });
    await staged.apply();
    await expect(staged.apply()).rejects.toThrow('there is no change to apply');
  });

  test('a change that is refused leaves none ready that came before', async () => {
    staged.prepare({ do: 'reload' });
    expect(() => staged.prepare({ do: 'set', key: 'default_pool_size', value: 'many' })).toThrow();
    await expect(staged.apply()).rejects.toThrow('there is no change to apply');
  });
});
