/** Facts as one line for tables of expectations: the kind, the verb, then whatever is not at its default. */
import type { FunctionCall, QueryFacts, RelationName, StatementFacts } from '../../src/sql/facts.ts';

function nameOf({ schema, name }: RelationName): string {
  return schema === undefined ? name : `${schema}.${name}`;
}

function callOf(call: FunctionCall): string {
  return `${nameOf(call)}/${call.args}${call.firstConstant === undefined ? '' : `(${call.firstConstant})`}`;
}

function list(word: string, items: readonly string[]): string[] {
  return items.length === 0 ? [] : [`${word} ${items.join(' ')}`];
}

function flag(word: string, value: string | boolean | undefined): string[] {
  if (value === undefined || value === false) return [];
  return [value === true ? word : `${word} ${value}`];
}

export function summarize(facts: StatementFacts): string {
  return [
    `${facts.kind}: ${facts.verb}`.trim(),
    ...list('reads', facts.reads.map(nameOf)),
    ...list('writes', facts.writes.map(nameOf)),
    ...list('calls', facts.functions.map(callOf)),
    ...list('operators', facts.operators),
    ...list('casts', facts.casts),
    ...list('values', facts.valueFunctions),
    ...flag('locks', facts.hasLocking),
    ...flag('arbitrary', facts.isArbitrary),
    ...flag('transaction', facts.transaction),
    ...flag('read-only', facts.beginsReadOnly),
    ...flag('isolation', facts.isolation),
    ...flag('chains', facts.chains),
    ...facts.settings.map(
      (s) =>
        `${s.isLocal ? 'local' : 'set'} ${s.name}${s.value === undefined ? ' to default' : `=${s.value} (${s.plain})`}`,
    ),
    ...flag('resets all', facts.resetsAll),
    ...flag('discards', facts.discards),
    ...flag('shows', facts.shows),
    ...flag('name', facts.name),
    ...flag('cursor', facts.cursor),
    ...flag('temporary', facts.createsTemporary),
    ...flag('drops on commit', facts.dropsOnCommit),
    ...flag('explain', facts.isExplain),
  ].join('; ');
}

export function summarizeAll(facts: QueryFacts): string {
  return facts.statements.map(summarize).join(' | ');
}
