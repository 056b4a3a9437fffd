/**
 * Finds where the text value of an expression may come from, because a cast to a date could read it as 'now'. Constants and
 * parameters are not included: constants are checked where they are found, parameters at Bind. The binder looks the other
 * sources up in the catalog. Called by extract-query.ts.
 */
import { astOf, bodyOf, listOf, namesOf, nodeOf, textOf } from './ast.ts';
import type { TextSource } from './facts.ts';

const NONE: readonly TextSource[] = [];
const ANY: readonly TextSource[] = [{ kind: 'any', name: '' }];

/** Functions whose built-in versions never return text. */
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
/** Operators that have no built-in version for text. */
const PLAIN_OPERATORS: ReadonlySet<string> = new Set(['+', '-', '*', '/']);
/** Types that keep a constant whole; char(3) would cut 'nowhere' to 'now'. */
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

/** The name of a type without pg_catalog: the grammar turns int into pg_catalog.int4. */
export function typeNameOf(type: Readonly<Record<string, unknown>>): string {
  const names = namesOf(type['names']);
  return (names[0] === 'pg_catalog' ? names.slice(1) : names).slice(-2).join('.');
}
