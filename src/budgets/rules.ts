/**
 * Alert rules for Prometheus, made from the budgets of a configuration: a page if a budget burns fast over an hour and still
 * does, a ticket if it burns slower for longer. Pure: text out. Called by `weir budgets --rules`.
 */
import { objectiveText } from './objectives.ts';
import type { Objective } from './types.ts';

/** 2 % of the budget of 30 days in an hour; and 5 % in six hours. */
const usual = { page: 14.4, ticket: 6 } as const;
/** A budget of half of all statements cannot burn faster than twice: these are shares of statements that miss the objective. */
const most = { page: 0.8, ticket: 0.6 } as const;

interface Severity {
  readonly alert: string;
  readonly kind: keyof typeof usual;
  readonly severity: 'critical' | 'warning';
  readonly hold: string;
}

const severities: readonly Severity[] = [
  { alert: 'WeirBudgetBurnsFast', kind: 'page', severity: 'critical', hold: '2m' },
  { alert: 'WeirBudgetBurns', kind: 'ticket', severity: 'warning', hold: '15m' },
];

export interface RulesOf {
  /** "*": the databases that are not named. */
  readonly database: string;
  readonly objectives: readonly Objective[];
}

/** @returns undefined: there are no budgets */
export function alertRules(databases: readonly RulesOf[]): string | undefined {
  const named = databases.flatMap(({ database }) => (database === '*' ? [] : [database]));
  const rules = databases.flatMap(({ database, objectives }) =>
    objectives.flatMap((objective) => severities.map((each) => rule(matcherOf(database, named), objective, each))),
  );
  return rules.length === 0 ? undefined : `${head}${rules.join('\n')}`;
}

const head = `# Alert rules for the budgets of Weir (docs/budgets.md), made by weir budgets --rules: make them anew when budgets change.
groups:
  - name: weir-budgets
    rules:
`;

/** A string of PromQL has the escapes of JSON. */
const quoted = (text: string): string => JSON.stringify(text);

function matcherOf(database: string, named: readonly string[]): string {
  if (database !== '*') return `database=${quoted(database)},`;
  if (named.length === 0) return '';
  return `database!~${quoted(named.map((name) => name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|'))},`;
}

const rounded = (value: number): number => Number(value.toFixed(2));

export function factorOf(kind: keyof typeof usual, { share }: Pick<Objective, 'share'>): number {
  return rounded(Math.min(usual[kind], most[kind] / share));
}

function rule(matcher: string, objective: Objective, { alert, kind, severity, hold }: Severity): string {
  const factor = factorOf(kind, objective);
  const rate = (window: string): string =>
    `weir_budget_burn_rate{${matcher}budget=${quoted(objective.name)},window="${window}"} > ${factor}`;
  const summary = `Budget ${objective.name} of {{ $labels.database }} burns {{ $value | printf "%.1f" }} times as fast as allowed`;
  const about = `Objective: ${objectiveText(objective)}. Over the last hour and the last 5 minutes above ${factor} times.`;
  // A JSON string is a string of YAML, too.
  return `      - alert: ${alert}
        expr: ${quoted(`${rate('1h')} and ignoring (window) ${rate('5m')}`)}
        for: ${hold}
        labels: { severity: ${severity} }
        annotations:
          summary: ${quoted(summary)}
          description: ${quoted(`${about} \`weir budgets\` tells why.`)}
`;
}
