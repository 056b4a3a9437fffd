/** The alert rules: valid YAML with metrics that exist, for each budget of each database, with factors that can be reached. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { alertRules, factorOf } from '../../src/budgets/rules.ts';
import { objectives } from './support.ts';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

function rulesOf(...databases: readonly (readonly [name: string, budgets: string])[]): readonly Rule[] {
  const text = alertRules(databases.map(([database, budgets]) => ({ database, objectives: objectives(budgets) })));
  const { groups } = parse(text ?? '') as { groups: readonly { name: string; rules: readonly Rule[] }[] };
  expect(groups.map(({ name }) => name)).toEqual(['weir-budgets']);
  return groups[0]?.rules ?? [];
}

const folder = join(import.meta.dirname, '../../src/observability');
const sources = readdirSync(folder)
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(join(folder, name), 'utf8'));

describe('alert rules', () => {
  it('a page and a ticket for each budget, over both windows', () => {
    const rules = rulesOf(['shop', '{ reads: { p99: 50ms }, errors: 0.1% }']);
    expect(rules.map(({ alert, for: hold, labels }) => [alert, hold, labels['severity']])).toEqual([
      ['WeirBudgetBurnsFast', '2m', 'critical'],
      ['WeirBudgetBurns', '15m', 'warning'],
      ['WeirBudgetBurnsFast', '2m', 'critical'],
      ['WeirBudgetBurns', '15m', 'warning'],
    ]);
    expect(rules[0]?.expr).toBe(
      'weir_budget_burn_rate{database="shop",budget="reads_p99",window="1h"} > 14.4 and ignoring (window) ' +
        'weir_budget_burn_rate{database="shop",budget="reads_p99",window="5m"} > 14.4',
    );
    expect(rules[1]?.expr).toContain('> 6 and');
    expect(rules[0]?.annotations).toEqual({
      summary: 'Budget reads_p99 of {{ $labels.database }} burns {{ $value | printf "%.1f" }} times as fast as allowed',
      description:
        'Objective: p99 <= 50ms. Over the last hour and the last 5 minutes above 14.4 times. `weir budgets` tells why.',
    });
  });

  it('only ask for metrics that exist', () => {
    for (const { expr } of rulesOf(['shop', '{ errors: 1% }']))
      for (const [name] of expr.matchAll(/weir_\w+/g))
        expect([name, sources.some((text) => text.includes(`'${name}'`))]).toEqual([name, true]);
  });

  it('"*" is every database that is not named', () => {
    const [, , rule] = rulesOf(['shop.eu', '{ errors: 1% }'], ['*', '{ errors: 1% }']);
    expect(rule?.expr).toContain('{database!~"shop\\\\.eu",budget="errors",');
    expect(rulesOf(['*', '{ errors: 1% }'])[0]?.expr).toContain('weir_budget_burn_rate{budget="errors",window="1h"}');
  });

  it('odd names stay one string', () => {
    const name = `a"b\\c' #: {{ x }}\n-`;
    const [rule] = rulesOf([name, '{ errors: 1% }']);
    expect(rule?.expr).toContain(`{database=${JSON.stringify(name)},budget`);
    expect(JSON.stringify(rule?.annotations)).not.toContain('{{ x }}');
  });

  it('there are none without budgets', () => {
    expect(alertRules([{ database: 'shop', objectives: [] }])).toBeUndefined();
    expect(alertRules([])).toBeUndefined();
  });

  it('factors can be reached, and are above 1: a budget of 50 % burns at most twice as fast', () => {
    const of = (text: string): number[] =>
      objectives(text).flatMap((objective) => [factorOf('page', objective), factorOf('ticket', objective)]);
    expect(of('{ reads: { p50: 1s, p90: 1s, p95: 1s, p99: 1s } }')).toEqual([1.6, 1.2, 8, 6, 14.4, 6, 14.4, 6]);
    expect(of('{ errors: 50% }')).toEqual([1.6, 1.2]);
    expect(of('{ pool_utilisation: 80% }')).toEqual([14.4, 6]);
  });
});
