/**
 * The setting `limits`: how rules are written, what each mistake is called, and that SHOW CONFIG prints what can be read again.
 */
import { describe, expect, it } from 'vitest';
import { limitRules } from '../../src/config/limits.ts';
import { loadConfig } from '../../src/config/load.ts';

const type = limitRules();

function refused(...list: readonly unknown[]): string {
  const parsed = type.parse(list);
  return 'refused' in parsed ? parsed.refused : 'nothing';
}

describe('rules', () => {
  it('become a limit for each rate, with a burst of one second of it', () => {
    const parsed = type.parse([
      { user: '*', statements: '500/s', burst: 1000 },
      { user: 'batch', database: 'shop', statements: '20/s' },
      { address: '10.0.0.0/8', connections: '50/m', bytes: '10MB/s' },
    ]);
    expect(parsed).toMatchObject({
      value: [
        { name: 'user=*', kind: 'statements', amount: 500, unit: 's', burst: 1000, database: undefined },
        { name: 'user=batch database=shop', kind: 'statements', amount: 20, burst: 20 },
        { name: 'address=10.0.0.0/8', kind: 'connections', amount: 50, unit: 'm', burst: 1 },
        { name: 'address=10.0.0.0/8', kind: 'bytes', amount: 10 * 1024 ** 2, unit: 's', burst: 10 * 1024 ** 2 },
      ],
    });
  });

  it.each([
    ['no list', 'abc', 'is not a list of rules'],
    [
      'too many',
      Array.from({ length: 101 }, (_, i) => ({ user: `u${i}`, statements: '1/s' })),
      'is not a list of rules',
    ],
    ['no map', ['abc'], 'rule 1 is not a map'],
    ['null', [null], 'rule 1 is not a map'],
    ['an unknown key', [{ user: '*', statement: '1/s' }], 'unknown key statement (did you mean statements?)'],
    ['no rate', [{ user: '*' }], 'rule 1 limits nothing'],
    ['no unit of time', [{ statements: 500 }], 'statements is 500 per nothing: write 500/s'],
    ['an unknown unit of time', [{ statements: '5/d' }], 'statements is not a rate'],
    ['zero', [{ statements: '0/s' }], 'is not a whole number from 1'],
    ['a negative rate', [{ statements: '-5/s' }], 'statements is not a rate'],
    ['a fraction', [{ statements: '0.5/s' }], 'is not a whole number'],
    ['a huge rate', [{ statements: '9999999999/s' }], 'is not a whole number'],
    ['bytes without a unit', [{ bytes: '10/s' }], 'has no unit'],
    ['no bytes', [{ bytes: '0MB/s' }], 'is not a size'],
    ['a burst of nothing', [{ statements: '5/s', burst: 0 }], 'burst is not a whole number from 1'],
    ['a burst of bytes without a unit', [{ bytes: '1MB/s', burst: 5 }], 'burst has no unit'],
    ['a burst that is text', [{ statements: '5/s', burst: '10' }], 'burst is not a number'],
    ['one burst for two rates', [{ statements: '5/s', bytes: '1MB/s', burst: 5 }], 'write a rule for each'],
    ['an address that is none', [{ address: '10.0.0.0/99', statements: '1/s' }], 'address is not a network'],
    ['a user that is a number', [{ user: 5, statements: '1/s' }], 'user: 5 is a number: write it in quotes'],
    ['an empty user', [{ user: '', statements: '1/s' }], 'user is not a name'],
    ['an endless name', [{ name: 'x'.repeat(64), statements: '1/s' }], 'name is not a name'],
    ['a quote in a name', [{ name: 'a"b', statements: '1/s' }], 'name is not a name'],
  ])('%s is refused in words', (_what, raw, why) => {
    const parsed = type.parse(raw);
    expect('refused' in parsed && parsed.refused).toContain(why);
  });

  it('that are wrong are told all at once, the first ten', () => {
    expect(refused({ user: 5, statements: '1/s' }, { statements: '1/s' }, { bytes: '1/s' })).toMatch(
      /^is wrong: rule 1: user: 5 is a number.*; rule 3: bytes has no unit/,
    );
    expect(refused(...Array.from({ length: 12 }, () => ({})))).toMatch(/; rule 10 limits nothing[^;]*$/);
  });

  it('that contradict each other are refused', () => {
    expect(refused({ user: 'a', statements: '1/s' }, { user: 'a', statements: '2/s' })).toContain(
      'rules 1 and 2 both limit the statements of user=a',
    );
    expect(refused({ address: '10.1.0.0/8', bytes: '1KB/s' }, { address: '10.2.0.0/8', bytes: '2KB/s' })).toContain(
      'both limit the bytes',
    );
    expect(refused({ name: 'x', user: 'a', bytes: '1KB/s' }, { name: 'x', user: 'b', bytes: '1KB/s' })).toContain(
      'both have the name "x"',
    );
    expect(refused({ user: 'a', statements: '1/s' }, { user: 'a', bytes: '1KB/s' })).toBe('nothing');
  });

  it('are printed as they can be read again', () => {
    const parsed = type.parse([
      { name: 'all of them', user: '*', statements: '500/m', burst: 7 },
      { database: "it's", address: 'fd00::/8', connections: '5/h', bytes: '1536B/s' },
      { statements: '9/s' },
    ]);
    if ('refused' in parsed) throw new Error(parsed.refused);
    expect(type.parseText(type.format(parsed.value))).toEqual(parsed);
    expect(type.format([])).toBe('[]');
  });

  it('come from the file with their place, and from the environment as text', () => {
    const text = 'databases: { shop: { primary: postgres://h } }\nlimits:\n  - { user: "*", statements: 5/x }\n';
    const wrong = loadConfig({ text, file: '/nowhere/weir.yaml', env: {} });
    expect('problems' in wrong && wrong.problems.join()).toMatch(
      /weir\.yaml:3: limits: .* rule 1: statements is not a rate/,
    );
    const env = { WEIR_LIMITS: '[{ user: "*", statements: 5/s }]', WEIR_LIMITS_FAIL: 'closed' };
    const right = loadConfig({ text: 'databases: { shop: { primary: postgres://h } }', env });
    expect('config' in right && right.config.limits).toMatchObject({ rules: [{ name: 'user=*' }], fail: 'closed' });
  });
});
