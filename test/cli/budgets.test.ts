/** `weir budgets --rules`: alert rules from a file, without a running Weir; and what is refused. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { runInMemory } from './run-in-memory.ts';

const folder = mkdtempSync(join(tmpdir(), 'weir-budgets-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(text: string): string {
  const name = join(folder, 'weir.yaml');
  writeFileSync(name, text);
  return name;
}

describe('weir budgets --rules', () => {
  it('prints rules for the budgets of each database', async () => {
    const config = file(`
auth: { type: trust }
budgets: { errors: 0.1% }
databases:
  shop: { primary: postgres://db1, budgets: { reads: { p95: 50ms }, errors: null } }
  "*": { primary: postgres://db2 }
`);
    const { code, out, err } = await runInMemory(['budgets', '--rules', '--config', config]);
    expect([code, err]).toEqual([0, '']);
    const { groups } = parse(out) as { groups: { rules: { alert: string; expr: string }[] }[] };
    expect(groups[0]?.rules.map(({ alert }) => alert)).toEqual([
      'WeirBudgetBurnsFast',
      'WeirBudgetBurns',
      'WeirBudgetBurnsFast',
      'WeirBudgetBurns',
    ]);
    expect(groups[0]?.rules[0]?.expr).toContain('{database="shop",budget="reads_p95",window="1h"} > 14.4');
    expect(groups[0]?.rules[2]?.expr).toContain('{database!~"shop",budget="errors",');
  });

  it.each([
    ['no file', ['--rules'], 2, '--rules needs --config FILE'],
    ['a file without rules', ['--config', 'x'], 2, '--config is for --rules'],
    ['a further argument', ['--rules', 'shop'], 2, 'too many arguments: shop'],
    ['no such file', ['--rules', '-c', join(folder, 'none.yaml')], 1, 'none.yaml'],
  ])('%s is refused', async (_what, args, code, why) => {
    const run = await runInMemory(['budgets', ...args]);
    expect([run.code, run.out]).toEqual([code, '']);
    expect(run.err).toContain(why);
  });

  it('a configuration without budgets, or with a bad one, is refused', async () => {
    const none = await runInMemory([
      'budgets',
      '--rules',
      '-c',
      file('databases: { shop: { primary: postgres://db1 } }'),
    ]);
    expect(none).toMatchObject({ code: 1, out: '' });
    expect(none.err).toContain('there are no budgets');
    const bad = await runInMemory(['budgets', '--rules', '-c', file('budgets: { errors: 0 }')]);
    expect(bad).toMatchObject({ code: 1, out: '' });
    expect(bad.err).toContain('errors is 0');
  });
});
