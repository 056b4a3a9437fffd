/**
 * Names in the syntax trees of queries: the known nodes and fields, and the few operators and calls with a special meaning.
 * Used by extract-query.ts, which refuses unknown nodes and fields.
 */

/** Built-in comparison operators, which are not looked up in the catalog. */
export const COMPARISONS: ReadonlySet<string> = new Set(['=', '<>', '<', '>', '<=', '>=']);
/** Functions whose first argument decides which object they use. */
export const TELLING_CALLS: ReadonlySet<string> = new Set([
  'set_config',
  'current_setting',
  'nextval',
  'setval',
  'currval',
  'pg_notify',
]);

/** Nodes of which only the children matter. */
export const PLAIN_NODES: ReadonlySet<string> = words(`
  A_ArrayExpr A_Indices A_Indirection A_Star Alias BitString BoolExpr Boolean BooleanTest CTECycleClause CTESearchClause
  CaseExpr CaseWhen CoalesceExpr CollateClause ColumnDef ColumnRef CurrentOfExpr Float GroupingFunc GroupingSet IndexElem
  InferClause Integer JoinExpr JsonAggConstructor JsonArgument JsonArrayAgg JsonArrayConstructor
  JsonArrayQueryConstructor JsonBehavior JsonFormat JsonFuncExpr JsonIsPredicate JsonKeyValue JsonObjectAgg
  JsonObjectConstructor JsonOutput JsonParseExpr JsonReturning JsonScalarExpr JsonSerializeExpr JsonTable JsonTableColumn
  JsonTablePathSpec JsonValueExpr List MergeSupportFunc MergeWhenClause MinMaxExpr MultiAssignRef NamedArgExpr NullTest
  OnConflictClause ParamRef RangeFunction RangeSubselect RangeTableFunc RangeTableFuncCol ResTarget ReturningClause
  ReturningOption RowExpr SetToDefault String WindowDef XmlExpr XmlSerialize`);

/** Nodes whose columns can have names that only the definition of a function shows. */
export const NAMING_NODES: ReadonlySet<string> = new Set([
  'A_Indirection',
  'JsonTable',
  'RangeFunction',
  'RangeTableFunc',
]);

/** Fields that hold a body without its tag, and the tag. */
export const BARE_FIELDS: ReadonlyMap<string, string> = new Map([
  ['alias', 'Alias'],
  ['arg', 'JsonKeyValue'], // of JsonObjectAgg, and JsonValueExpr of JsonArrayAgg; elsewhere it is a node
  ['collClause', 'CollateClause'],
  ['constructor', 'JsonAggConstructor'],
  ['context_item', 'JsonValueExpr'],
  ['cycle_clause', 'CTECycleClause'],
  ['expr', 'JsonValueExpr'],
  ['format', 'JsonFormat'],
  ['infer', 'InferClause'],
  ['join_using_alias', 'Alias'],
  ['larg', 'SelectStmt'],
  ['onConflictClause', 'OnConflictClause'],
  ['on_empty', 'JsonBehavior'],
  ['on_error', 'JsonBehavior'],
  ['output', 'JsonOutput'],
  ['over', 'WindowDef'],
  ['pathspec', 'JsonTablePathSpec'],
  ['rarg', 'SelectStmt'],
  ['returning', 'JsonReturning'],
  ['returningClause', 'ReturningClause'],
  ['search_clause', 'CTESearchClause'],
  ['typeName', 'TypeName'],
  ['val', 'JsonValueExpr'],
  ['value', 'JsonValueExpr'],
]);

function words(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}
