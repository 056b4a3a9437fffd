/** Random configurations: nothing throws, and no secret is ever printed. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { changeSetting, diffConfig, keepNotReloadable } from '../../src/config/change.ts';
import type { LoadResult } from '../../src/config/load.ts';
import { loadConfig } from '../../src/config/load.ts';
import { parseNodeUrl } from '../../src/config/node-url.ts';
import { redactUrl, showValue } from '../../src/config/redact.ts';
import { environmentName, settingKeys, settingOf } from '../../src/config/settings.ts';
import { listSettings } from '../../src/config/show.ts';
import { parseUsersFile } from '../../src/config/users.ts';

const scalar = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.constantFrom('1s', '5m', '10KB', 'off', 'session', '127.0.0.1:1', 'postgres://u:p@h/d', '*', '0'),
);
const knownName = fc.constantFrom(
  ...new Set(settingKeys.flatMap((key) => key.split('.'))),
  'databases',
  'primary',
  'replicas',
  'url',
  'weight',
  'name',
  '__proto__',
  '<<',
);
const tree = fc.letrec<{ node: unknown }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 5 },
    scalar,
    fc.array(tie('node'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(knownName, fc.string()), tie('node'), { maxKeys: 6 }),
  ),
})).node;

/** Everything that anybody could be shown of a result. */
function printed(result: LoadResult): string {
  if ('problems' in result) return [...result.problems, ...result.warnings].join('\n');
  return [...result.warnings, JSON.stringify(listSettings(result.config))].join('\n');
}

describe('loadConfig never throws', () => {
  it('on random text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        expect(printed(loadConfig({ text, env: {} }))).toEqual(expect.any(String));
      }),
      { numRuns: 1500 },
    );
  });

  it('on random trees', () => {
    fc.assert(
      fc.property(tree, (value) => {
        const result = loadConfig({ text: stringify(value) ?? '', env: {} });
        if ('config' in result) {
          expect(diffConfig(result.config, result.config)).toEqual({ reloadable: [], notReloadable: [] });
          expect(keepNotReloadable(result.config, result.config)).toEqual(result.config);
        }
        expect(printed(result)).toEqual(expect.any(String));
      }),
      { numRuns: 1500 },
    );
  });

  it('on random values of every key, from the environment and by SET', () => {
    const base = loadConfig({ env: {}, flags: { primary: 'postgres://app:pw@db1/shop' } });
    if (!('config' in base)) throw new Error('the base configuration is wrong');
    fc.assert(
      fc.property(fc.constantFrom(...settingKeys), fc.oneof(fc.string(), scalar.map(String)), (key, text) => {
        const result = loadConfig({ env: { [environmentName(key)]: text }, flags: { primary: 'postgres://db1/shop' } });
        expect(printed(result)).toEqual(expect.any(String));
        const changed = changeSetting(base.config, key, text);
        if ('config' in changed) {
          expect(settingOf(key).isReloadable).toBe(true);
          expect(diffConfig(base.config, changed.config).notReloadable).toEqual([]);
        }
      }),
      { numRuns: 1500 },
    );
  });

  it('the users file and node URLs take anything, too', () => {
    const piece = fc.constantFrom(
      '"',
      '""',
      ' ',
      '\n',
      ';',
      'a',
      '\\',
      '\t',
      '"a" "b"',
      'postgres://',
      '@',
      ':',
      '%',
      '[',
      '/',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 20 }), (pieces) => {
        const text = pieces.join('');
        expect(parseUsersFile(text).users).toBeInstanceOf(Map);
        expect(parseNodeUrl(text)).toEqual(expect.any(Object));
      }),
      { numRuns: 1500 },
    );
  });
});

describe('secrets are never printed', () => {
  /** A marker that can be found, among characters that make trouble in URLs. */
  const secret = fc
    .tuple(fc.stringMatching(/^[ -~]{0,8}$/), fc.stringMatching(/^[ -~]{0,8}$/))
    .map(([before, after]) => `${before}hunter2${after}`);
  const asWritten = (text: string): fc.Arbitrary<string> => fc.constantFrom(text, encodeURIComponent(text));
  const urlOf = fc
    .tuple(fc.constantFrom('postgres', 'postgresql', 'redis', 'rediss', 'mysql', ''), secret)
    .chain(([scheme, text]) =>
      fc
        .tuple(asWritten(text), fc.constantFrom('://', ':', '//'))
        .map(([password, colon]) => `${scheme}${colon}app:${password}@db1:5432/shop`),
    );

  it('wherever a URL stands, right or wrong', () => {
    const place = fc.constantFrom(
      (url: string) => ({ databases: { shop: { primary: url } } }),
      (url: string) => ({ databases: { shop: { primary: { url, weight: 'x' } } } }),
      (url: string) => ({ databases: { shop: { primary: 'postgres://db1', replicas: [url] } } }),
      (url: string) => ({ databases: { shop: url } }),
      (url: string) => ({ cache: { enabled: true, redis: url }, databases: { shop: { primary: 'postgres://db1' } } }),
      (url: string) => ({ listen: url }),
      (url: string) => ({ unknown: url }),
      (url: string) => ({ auth: { type: url } }),
    );
    fc.assert(
      fc.property(urlOf, place, (url, put) => {
        expect(printed(loadConfig({ text: JSON.stringify(put(url)), env: {} }))).not.toContain('hunter2');
      }),
      { numRuns: 2000 },
    );
  });

  it('in flags and the environment', () => {
    fc.assert(
      fc.property(urlOf, (url) => {
        const flags = { primary: url, replica: [url], redis: url, listen: url };
        const env = { WEIR_CACHE_REDIS: url, WEIR_LISTEN: url, WEIR_LOG_LEVEL: url };
        expect(printed(loadConfig({ flags, env }))).not.toContain('hunter2');
      }),
      { numRuns: 1000 },
    );
  });

  it('under a key that sounds like one', () => {
    for (const key of ['password', 'databases.shop.passwd', 'pw', 'api_token', 'client_secret']) {
      expect(showValue(key, 'hunter2')).toBe('***');
    }
  });

  it('what is harmless in a URL stays readable', () => {
    expect(redactUrl('postgres://app:hunter2@db1:5432/shop')).toBe('postgres://app:***@db1:5432/shop');
    expect(redactUrl('postgres://db1/shop?password=hunter2')).toBe('postgres://db1/shop?***');
    expect(redactUrl('redis://:hunter2@cache/0')).toBe('redis://:***@cache/0');
    expect(redactUrl('postgres://app:hunter2')).toBe('postgres://***');
  });
});
