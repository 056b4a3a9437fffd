/**
 * Where the value of an expression comes from if it is text: what a cast to a date may read as 'now'. Constants are looked at
 * where they are found, and parameters when they come in Bind; what is left needs the catalog, or could be anything.
 * Called by extract-query.ts.
 */
import { astOf, bodyOf, listOf, namesOf, nodeOf, textOf } from './ast.ts';
import type { TextSource } from './facts.ts';

const NONE: readonly TextSource[] = [];
const ANY: readonly TextSource[] = [{ kind: 'any', name: '' }];

/** PostgreSQL's own of these names give no text. */
const PLAIN_CALLS: ReadonlySet<string> = new Set([
  'count',
  'date_bin',
  'date_part',
  'date_trunc',
  'extract',
  'generate_series',
  'make_date',
  'make_timestamp',
  'make_timestamptz',
  'now',
  'timezone',
  'to_date',
  'to_timestamp',
]);
/** Operators that text does not have, unless somebody makes one. */
const PLAIN_OPERATORS: ReadonlySet<string> = new Set(['+', '-', '*', '/']);
/** A constant stays as it is in these; a shorter type can cut 'nowhere' to 'now'. */
const WHOLE_TEXT: ReadonlySet<string> = new Set(['text', 'varchar']);

export function textSources(expression: unknown): readonly TextSource[] {
  const node = nodeOf(expression);
  if (node === undefined) return ANY;
  const { tag, body } = node;
  switch (tag) {
    case 'A_Const':
    case 'BooleanTest':
    case 'NullTest':
    case 'ParamRef':
    case 'SQLValueFunction':
      return NONE;
    case 'ColumnRef': {
      const column = textOf(bodyOf(listOf(body['fields']).at(-1), 'String')?.['sval']);
      return column === undefined ? ANY : [{ kind: 'column', name: column }];
    }
    case 'TypeCast': {
      const type = astOf(body['typeName']);
      const name = typeNameOf(type);
      const isWhole = WHOLE_TEXT.has(name) && listOf(type['typmods']).length === 0;
      return isWhole && textSources(body['arg']).length === 0 ? NONE : [{ kind: 'type', name }];
    }
    case 'A_ArrayExpr':
      return listOf(body['elements']).flatMap(textSources);
    case 'CoalesceExpr':
    case 'MinMaxExpr':
      return listOf(body['args']).flatMap(textSources);
    case 'CaseExpr': {
      const results = listOf(body['args']).map((when) => bodyOf(when, 'CaseWhen')?.['result']);
      return [...results, ...(body['defresult'] === undefined ? [] : [body['defresult']])].flatMap(textSources);
    }
    case 'FuncCall':
      return callOf(body);
    case 'A_Expr': {
      const name = namesOf(body['name']).join('.');
      return body['kind'] === 'AEXPR_OP' && PLAIN_OPERATORS.has(name) ? [{ kind: 'operator', name }] : ANY;
    }
    default:
      return ANY;
  }
}

function callOf(body: Readonly<Record<string, unknown>>): readonly TextSource[] {
  const names = namesOf(body['funcname']);
  const name = names.at(-1) ?? '';
  if (names.length > 1 && names[0] !== 'pg_catalog') return ANY;
  if (PLAIN_CALLS.has(name)) return [{ kind: 'call', name }];
  if (name !== 'min' && name !== 'max') return ANY;
  return [{ kind: 'call', name }, ...listOf(body['args']).flatMap(textSources)];
}

/** The grammar spells int as pg_catalog.int4; both mean the same to whoever looks it up. */
export function typeNameOf(type: Readonly<Record<string, unknown>>): string {
  const names = namesOf(type['names']);
  return (names[0] === 'pg_catalog' ? names.slice(1) : names).slice(-2).join('.');
}
