/**
 * Where the value of an expression comes from if it is text: what a cast to a date may read as 'now'. Constants are looked at
 * where they are found, and parameters when they come in Bind; what is left are columns, and what could be anything.
 * Called by extract-query.ts.
 */
import { bodyOf, listOf, namesOf, nodeOf, textOf } from './ast.ts';

export interface TextSource {
  /** undefined: any expression. */
  readonly column: string | undefined;
}

const NONE: readonly TextSource[] = [];
const ANY: readonly TextSource[] = [{ column: undefined }];

/** Casts to these leave no text. */
const PLAIN_TYPES: ReadonlySet<string> = new Set([
  'date',
  'time',
  'timetz',
  'timestamp',
  'timestamptz',
  'interval',
  'int2',
  'int4',
  'int8',
  'numeric',
  'float4',
  'float8',
]);
/** PostgreSQL's own that give no text. */
const PLAIN_CALLS: ReadonlySet<string> = new Set([
  'timezone',
  'date_trunc',
  'date_bin',
  'to_timestamp',
  'to_date',
  'make_date',
  'make_timestamp',
  'make_timestamptz',
  'now',
]);
/** Operators that text does not have. */
const PLAIN_OPERATORS: ReadonlySet<string> = new Set(['+', '-', '*', '/']);

export function textSources(expression: unknown): readonly TextSource[] {
  const node = nodeOf(expression);
  if (node === undefined) return ANY;
  const { tag, body } = node;
  switch (tag) {
    case 'A_Const':
    case 'ParamRef':
    case 'SQLValueFunction':
      return NONE;
    case 'ColumnRef':
      return columnOf(body['fields']);
    case 'TypeCast':
      return castOf(body);
    case 'CoalesceExpr':
    case 'MinMaxExpr':
      return listOf(body['args']).flatMap(textSources);
    case 'FuncCall':
      return callOf(body);
    case 'A_Expr': {
      const names = namesOf(body['name']);
      return names.length === 1 && PLAIN_OPERATORS.has(names[0] ?? '') ? NONE : ANY;
    }
    default:
      return ANY;
  }
}

function columnOf(fields: unknown): readonly TextSource[] {
  const last = listOf(fields).at(-1);
  const column = textOf(bodyOf(last, 'String')?.['sval']);
  return column === undefined ? ANY : [{ column }];
}

function castOf(body: Readonly<Record<string, unknown>>): readonly TextSource[] {
  const inner = textSources(body['arg']);
  if (inner.length === 0) return NONE;
  const type = body['typeName'] as Readonly<Record<string, unknown>> | undefined;
  const names = namesOf(type?.['names']);
  const isPlain = PLAIN_TYPES.has(names.at(-1) ?? '') && (names.length === 1 || names[0] === 'pg_catalog');
  return isPlain ? NONE : ANY;
}

function callOf(body: Readonly<Record<string, unknown>>): readonly TextSource[] {
  const names = namesOf(body['funcname']);
  const name = names.at(-1) ?? '';
  if (names.length > 1 && names[0] !== 'pg_catalog') return ANY;
  if (PLAIN_CALLS.has(name)) return NONE;
  return name === 'min' || name === 'max' ? listOf(body['args']).flatMap(textSources) : ANY;
}
