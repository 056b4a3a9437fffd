/**
 * The setting `budgets`: how objectives are written, what each mistake is called, how a database changes those for all, and that
 * SHOW CONFIG prints what can be read again.
 */
import { describe, expect, it } from 'vitest';
import { objectivesOf } from '../../src/budgets/objectives.ts';
import { budgetMap } from '../../src/config/budgets.ts';
import { changeSetting, diffConfig } from '../../src/config/change.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { listSettings } from '../../src/config/show.ts';

const type = budgetMap();

function refused(raw: unknown): string {
  const parsed = type.parse(raw);
  return 'refused' in parsed ? parsed.refused : 'nothing';
}

const promised = {
  reads: { p95: '50ms' },
  writes: { p99: '200ms' },
  errors: '0.1%',
  pool_utilisation: '80%',
  replica_lag: '100ms',
};

describe('objectives', () => {
  it('have a limit and a budget: what may miss it', () => {
    const parsed = type.parse(promised);
    if ('refused' in parsed) throw new Error(parsed.refused);
    expect(objectivesOf(parsed.value).map(({ name, unit, limit, share }) => [name, unit, limit, share])).toEqual([
      ['reads_p95', 'seconds', 0.05, 0.05],
      ['writes_p99', 'seconds', 0.2, 0.01],
      ['errors', 'ratio', 0.001, 0.001],
      ['pool_utilisation', 'ratio', 0.8, 0.01],
      ['replica_lag', 'seconds', 0.1, 0.01],
    ]);
    const shown = type.format(parsed.value);
    expect(shown).toBe(
      '{ reads: { p95: 50ms }, writes: { p99: 200ms }, errors: 0.1%, pool_utilisation: 80%, replica_lag: 100ms }',
    );
    expect(type.parseText(shown)).toEqual(parsed);
  });

  it('several percentiles, in any order; equal limits are no contradiction', () => {
    const parsed = type.parse({ reads: { 'p99.9': '2s', p50: '5ms', p90: '5ms' } });
    expect('value' in parsed && objectivesOf(parsed.value).map(({ name }) => name)).toEqual([
      'reads_p50',
      'reads_p90',
      'reads_p99.9',
    ]);
  });

  it('of a tag are named after it', () => {
    const tags = { checkout: { errors: '1%', reads: { p95: '20ms' } }, 'user:42': { writes: { p99: '1s' } } };
    const parsed = type.parse({ errors: '2%', tags });
    if ('refused' in parsed) throw new Error(parsed.refused);
    expect(objectivesOf(parsed.value).map(({ name, tag, limit }) => [name, tag, limit])).toEqual([
      ['errors', undefined, 0.02],
      ['checkout:errors', 'checkout', 0.01],
      ['checkout:reads_p95', 'checkout', 0.02],
      ['user:42:writes_p99', 'user:42', 1],
    ]);
    const shown = type.format(parsed.value);
    expect(shown).toBe(
      '{ errors: 2%, tags: { checkout: { reads: { p95: 20ms }, errors: 1% }, "user:42": { writes: { p99: 1s } } } }',
    );
    const again = type.parseText(shown);
    expect('value' in again && type.format(again.value)).toBe(shown);
    expect(type.format({ tags: {} })).toBe('{ tags: null }');
  });

  it.each([null, undefined, {}])('%s: none', (raw) => {
    expect(type.parse(raw)).toEqual({ value: {} });
    expect(type.format({})).toBe('{}');
  });

  it.each(['', 'null', 'off', '{}'])('the text "%s": none', (text) =>
    expect(type.parseText(text)).toEqual({ value: {} }),
  );
});

describe('what is refused, in words', () => {
  it.each([
    ['no map', 'fast', 'is not a map such as { reads: { p95: 50ms }, errors: 0.1% }'],
    ['a list', [], 'is not a map'],
    ['an unknown budget', { read: { p95: '50ms' } }, 'unknown budget read (did you mean reads?)'],
    ['reads without a percentile', { reads: '50ms' }, 'reads is not a map such as { p95: 50ms }'],
    ['a list of reads', { reads: [50] }, 'reads is not a map'],
    ['an unknown percentile', { reads: { p96: '50ms' } }, 'unknown percentile of reads p96'],
    ['a far percentile', { writes: { median: '50ms' } }, 'known are p50, p90, p95, p99, p99.9'],
    ['no percentile', { reads: {} }, 'reads has no objective'],
    ['no unit', { reads: { p95: 50 } }, 'reads p95 has no unit: write 50s or 50ms'],
    ['0 ms', { reads: { p95: 0 } }, 'reads p95 is 0, and no statement takes no time'],
    ['0 ms as text', { writes: { p95: '0ms' } }, 'writes p95 is 0, and no statement takes no time'],
    ['less than a ms', { reads: { p95: '0.2ms' } }, 'is not a duration from 1ms to 10s'],
    ['more than is counted', { reads: { p95: '11s' } }, 'is not a duration from 1ms to 10s'],
    ['a negative time', { reads: { p95: '-5ms' } }, 'is not a duration'],
    ['null for a percentile', { reads: { p95: null } }, 'reads p95 is not a duration'],
    [
      'a contradiction',
      { reads: { p95: '50ms', p99: '20ms' } },
      'reads p95: 50ms and p99: 20ms contradict each other: if p99 is kept, p95 is within 20ms, too',
    ],
    [
      'a contradiction of percentiles further apart',
      { writes: { 'p99.9': '5ms', p50: '4ms', p90: '10ms' } },
      'writes p90: 10ms and p99.9: 5ms contradict each other',
    ],
    ['errors without %', { errors: 0.1 }, 'errors is 0.1 without a unit: write 0.1%'],
    ['no errors at all', { errors: 0 }, 'errors is 0, and then each failure is beyond it'],
    ['0 %', { errors: '0%' }, 'errors is 0, and'],
    ['all errors', { errors: '100%' }, 'errors is not a percentage from 0.001% to 50%'],
    ['few errors', { errors: '0.0001%' }, 'errors is not a percentage'],
    ['errors in words', { errors: 'few' }, 'errors is not a percentage'],
    ['errors in a map', { errors: { p95: '1%' } }, 'errors is not a percentage'],
    ['a full pool', { pool_utilisation: '100%' }, 'pool_utilisation is not a percentage from 1% to 99%'],
    ['an empty pool', { pool_utilisation: '0.0%' }, 'pool_utilisation is 0, and then each statement is beyond it'],
    ['no lag', { replica_lag: 0 }, 'replica_lag is 0, and a replica always lags by something'],
    ['lag without a unit', { replica_lag: 100 }, 'replica_lag has no unit'],
    ['tags in a list', { tags: ['checkout'] }, 'tags is not a map such as { checkout: { reads: { p95: 20ms } } }'],
    ['a tag without a budget', { tags: { checkout: {} } }, 'tag checkout is not a map such as'],
    ['a tag that no hint can name', { tags: { 'a b': { errors: '1%' } } }, 'tag a b: no hint can name it'],
    ['what is of nodes, for a tag', { tags: { a: { replica_lag: '1s' } } }, 'unknown budget of tag a replica_lag'],
    ['a contradiction in a tag', { tags: { a: { reads: { p50: '2s', p90: '1s' } } } }, 'contradict each other'],
    [
      'many tags',
      { tags: Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`t${i}`, { errors: '1%' }])) },
      'tags has 21 tags: at most 20 are counted',
    ],
  ])('%s', (_what, raw, why) => expect(refused(raw)).toContain(why));

  it('text that is not YAML', () => expect(type.parseText('{ reads: ')).toHaveProperty('refused'));

  it('a lag above which replicas get no reads is a warning', () => {
    const text = `
auth: { type: trust }
budgets: { replica_lag: 2s }
databases: { shop: { primary: postgres://db1 }, blog: { primary: postgres://db2, budgets: { replica_lag: 1s } } }`;
    expect(loadConfig({ text, file: '/nowhere/weir.yaml', env: {} }).warnings).toEqual([
      'budgets of shop: replica_lag (2s) is above routing.max_replica_lag (1s): such a replica gets no reads long before it uses up the budget',
    ]);
  });

  it('with the place in the file', () => {
    const text = 'databases:\n  shop:\n    primary: postgres://db1\n    budgets: { errors: 0 }\n';
    const result = loadConfig({ text, file: '/nowhere/weir.yaml', env: {} });
    expect('problems' in result && result.problems).toEqual([
      expect.stringMatching(/weir\.yaml:4: databases\.shop\.budgets: a map is wrong: errors is 0, and/),
    ]);
  });
});

describe('of a database', () => {
  const text = `
auth: { type: trust }
budgets: { reads: { p95: 50ms }, errors: 0.1%, replica_lag: 1s }
databases:
  shop: { primary: postgres://db1, budgets: { reads: { p99: 1s }, replica_lag: null } }
  blog: { primary: postgres://db2 }
`;
  function load(env: NodeJS.ProcessEnv = {}): Config {
    const result = loadConfig({ text, file: '/nowhere/weir.yaml', env });
    if ('problems' in result) throw new Error(result.problems.join('\n'));
    return result.config;
  }
  const namesIn = (config: Config, database: string): string[] =>
    objectivesOf(config.databases.get(database)?.pool.budgets ?? {}).map(({ name }) => name);

  it('is put over that of all, key by key; null takes one back', () => {
    expect(namesIn(load(), 'shop')).toEqual(['reads_p99', 'errors']);
    expect(namesIn(load(), 'blog')).toEqual(['reads_p95', 'errors', 'replica_lag']);
    const shown = listSettings(load()).filter(({ key }) => key.endsWith('budgets'));
    expect(shown.map(({ key, value }) => [key, value])).toEqual([
      ['budgets', '{ reads: { p95: 50ms }, errors: 0.1%, replica_lag: 1s }'],
      ['databases.shop.budgets', '{ reads: { p99: 1s }, errors: 0.1%, replica_lag: null }'],
    ]);
  });

  it('comes from the environment, too', () => {
    const config = load({ WEIR_BUDGETS: '{ writes: { p50: 10ms } }', WEIR_DATABASES_SHOP_BUDGETS: '{ errors: 1% }' });
    expect(namesIn(config, 'shop')).toEqual(['writes_p50', 'errors']);
    expect(namesIn(config, 'blog')).toEqual(['writes_p50']);
  });

  it('changes by SET and by a reload', () => {
    const changed = changeSetting(load(), 'budgets', '{ errors: 5% }');
    if (!('config' in changed)) throw new Error(changed.problem);
    expect(namesIn(changed.config, 'blog')).toEqual(['errors']);
    expect(diffConfig(load(), changed.config).reloadable).toEqual(['budgets', 'databases.blog']);
    expect(changeSetting(load(), 'budgets', '{ errors: 0% }')).toHaveProperty('problem');
  });
});
