/**
 * Walks SELECT, VALUES, INSERT, UPDATE, DELETE, MERGE and every expression in them, and notes the objects they use. Tags and
 * fields that are not listed here or in query-nodes.ts throw UnsupportedSyntax, so that syntax added by a newer parser is
 * never ignored. Called by extract.ts.
 */
import { astOf, bodyOf, constantOf, isAst, listOf, namesOf, nodeOf, textOf } from './ast.ts';
import type { Ast } from './ast.ts';
import { UnsupportedSyntax } from './draft.ts';
import type { Draft } from './draft.ts';
import { BARE_FIELDS, COMPARISONS, NAMING_NODES, PLAIN_NODES, TELLING_CALLS } from './query-nodes.ts';
import type { Reading } from './reading.ts';
import { textSources, typeNameOf } from './text-sources.ts';
import { textHasTimeWord } from './time-words.ts';

/** Names of common table expressions that a FROM item may mean, innermost first. */
interface Scope {
  readonly names: Set<string>;
  readonly outer: Scope | undefined;
}

type Walk = (body: Ast, scope: Scope | undefined) => void;

export class QueryWalker {
  readonly #draft: Draft;
  readonly #reading: Reading;
  readonly #handlers: ReadonlyMap<string, Walk>;

  constructor(draft: Draft, reading: Reading) {
    this.#draft = draft;
    this.#reading = reading;
    this.#handlers = new Map<string, Walk>([
      ['A_Const', (body) => this.#constant(body)],
      ['A_Expr', (body, scope) => this.#operatorCall(body, scope)],
      ['DeleteStmt', (body, scope) => this.#modify('delete', body, scope)],
      ['FuncCall', (body, scope) => this.#call(body, scope)],
      ['InsertStmt', (body, scope) => this.#modify('insert', body, scope)],
      ['LockingClause', () => undefined],
      ['MergeStmt', (body, scope) => this.#modify('merge', body, scope)],
      ['RangeTableSample', (body, scope) => this.#sample(body, scope)],
      ['RangeVar', (body, scope) => this.#relation(body, scope)],
      ['SQLValueFunction', (body) => this.#valueFunction(body)],
      ['SelectStmt', (body, scope) => this.#select(body, scope)],
      ['SortBy', (body, scope) => this.#sort(body, scope)],
      ['SubLink', (body, scope) => this.#subLink(body, scope)],
      ['TypeCast', (body, scope) => this.#cast(body, scope)],
      // Not of a cast that is written as one: RETURNING, a column of JSON_TABLE or of a function.
      ['TypeName', (body) => this.#draft.names.addTextCast(this.#typeName(body), { kind: 'any', name: '' })],
      ['UpdateStmt', (body, scope) => this.#modify('update', body, scope)],
    ]);
  }

  /** Any value of a field: a node, a list of them, or nothing. */
  walk(value: unknown): void {
    this.#value(value, undefined, '');
  }

  /** A body whose tag is known from its place. */
  walkBody(tag: string, body: Ast): void {
    this.#node(tag, body, undefined);
  }

  /** `into` of SELECT INTO and CREATE TABLE AS. */
  into(clause: Ast): void {
    const target = isAst(clause['rel']) ? clause['rel'] : {};
    this.target(target);
    if (clause['onCommit'] === 'ONCOMMIT_DROP') this.#draft.temporary.isDroppedOnCommit = true;
  }

  /** A RangeVar that is written or defined. Never a common table expression. */
  target(relation: Ast): void {
    const name = textOf(relation['relname']);
    if (name === undefined) throw new UnsupportedSyntax('a target without a name');
    this.#draft.addWrite(textOf(relation['schemaname']), name);
    if (relation['relpersistence'] === 't') this.#draft.temporary.isCreated = true;
  }

  #node(tag: string, body: Ast, scope: Scope | undefined): void {
    const handler = this.#handlers.get(tag);
    if (NAMING_NODES.has(tag)) this.#draft.names.hidesColumns = true;
    if (handler !== undefined) handler(body, scope);
    else if (PLAIN_NODES.has(tag)) this.#fields(body, scope);
    else throw new UnsupportedSyntax(`a ${tag}`);
  }

  #fields(body: Ast, scope: Scope | undefined, ...except: string[]): void {
    this.#aliasesOf(body);
    for (const [field, value] of Object.entries(body)) {
      if (typeof value === 'object' && value !== null && !except.includes(field)) this.#value(value, scope, field);
    }
  }

  #value(value: unknown, scope: Scope | undefined, field: string): void {
    if (Array.isArray(value)) {
      for (const item of value) this.#value(item, scope, '');
      return;
    }
    if (!isAst(value)) return;
    const node = nodeOf(value);
    if (node !== undefined) {
      this.#node(node.tag, node.body, scope);
      return;
    }
    if (Object.keys(value).length === 0) return; // NULL, e.g. the list of a plain DISTINCT
    const tag = field === 'arg' && !('key' in value) ? 'JsonValueExpr' : BARE_FIELDS.get(field);
    if (tag === undefined) throw new UnsupportedSyntax(`a field ${field}`);
    this.#node(tag, value, scope);
  }

  /** AS name, AS t(a, b), WITH x(a, b): a column reference may mean one of these names. */
  #aliasesOf(body: Ast): void {
    for (const field of ['name', 'aliasname', 'colname']) {
      const name = textOf(body[field]);
      if (name !== undefined) this.#draft.names.addAlias(name);
    }
    for (const field of ['colnames', 'aliascolnames'])
      for (const name of namesOf(body[field])) this.#draft.names.addAlias(name);
  }

  #select(body: Ast, outer: Scope | undefined): void {
    const scope = this.#with(body['withClause'], outer);
    if (listOf(body['lockingClause']).length > 0) this.#draft.query.hasLocking = true;
    if (isAst(body['intoClause'])) {
      this.#draft.query.hasInto = true;
      this.into(body['intoClause']);
    }
    this.#fields(body, scope, 'withClause', 'intoClause', 'lockingClause');
  }

  #modify(kind: 'insert' | 'update' | 'delete' | 'merge', body: Ast, outer: Scope | undefined): void {
    this.#draft.query.modifies.push(kind);
    const scope = this.#with(body['withClause'], outer);
    this.target(isAst(body['relation']) ? body['relation'] : {});
    this.#fields(body, scope, 'withClause', 'relation');
  }

  /** The scope of the statement that the WITH clause belongs to. */
  #with(clause: unknown, outer: Scope | undefined): Scope | undefined {
    if (!isAst(clause)) return outer;
    const scope: Scope = { names: new Set(), outer };
    const expressions: Ast[] = [];
    for (const item of listOf(clause['ctes'])) {
      const node = nodeOf(item);
      if (node?.tag !== 'CommonTableExpr') throw new UnsupportedSyntax('a WITH clause of another kind');
      expressions.push(node.body);
    }
    const nameOf = (body: Ast): string => textOf(body['ctename']) ?? '';
    if (clause['recursive'] === true) for (const body of expressions) scope.names.add(nameOf(body));
    for (const body of expressions) {
      this.#fields(body, scope);
      scope.names.add(nameOf(body));
    }
    return scope;
  }

  #relation(body: Ast, scope: Scope | undefined): void {
    const name = textOf(body['relname']) ?? '';
    const schema = textOf(body['schemaname']);
    if (schema === undefined) {
      for (let s = scope; s !== undefined; s = s.outer) if (s.names.has(name)) return;
    }
    this.#draft.names.addRead(schema, name);
  }

  #call(body: Ast, scope: Scope | undefined): void {
    const names = namesOf(body['funcname']);
    const name = names.at(-1);
    if (name === undefined) throw new UnsupportedSyntax('a call without a name');
    const args = listOf(body['args']);
    // Ordered-set aggregates are declared with the arguments of WITHIN GROUP behind the direct ones.
    const ordered = body['agg_within_group'] === true ? listOf(body['agg_order']).length : 0;
    this.#draft.names.addCall({
      schema: names.at(-2),
      name,
      args: args.length + ordered,
      firstConstant: TELLING_CALLS.has(name) ? this.#firstConstant(args[0]) : undefined,
    });
    // date(x) may be x::date.
    this.#draft.names.addAlias(name);
    const type = names
      .slice(-2)
      .join('.')
      .replace(/^pg_catalog\./, '');
    if (args.length === 1) for (const source of textSources(args[0])) this.#draft.names.addTextCast(type, source);
    this.#fields(body, scope, 'funcname');
  }

  #firstConstant(arg: unknown): string | undefined {
    const constant = constantOf(arg);
    return constant?.type === 'text' ? this.#reading.telling(constant.text) : undefined;
  }

  #operatorCall(body: Ast, scope: Scope | undefined): void {
    const kind = textOf(body['kind']) ?? '';
    // The name of BETWEEN is no operator; PostgreSQL replaces it by comparisons.
    if (!kind.includes('BETWEEN')) this.#operatorName(body['name']);
    this.#fields(body, scope, 'name');
  }

  #operatorName(value: unknown): void {
    const names = namesOf(value);
    const name = names.at(-1);
    const schema = names.at(-2);
    if (name === undefined) return;
    if (!COMPARISONS.has(name) || (schema !== undefined && schema !== 'pg_catalog'))
      this.#draft.names.addOperator(name);
  }

  #subLink(body: Ast, scope: Scope | undefined): void {
    this.#operatorName(body['operName']);
    this.#fields(body, scope, 'operName');
  }

  #sort(body: Ast, scope: Scope | undefined): void {
    this.#operatorName(body['useOp']);
    this.#fields(body, scope, 'useOp');
  }

  #sample(body: Ast, scope: Scope | undefined): void {
    this.#draft.query.isArbitrary = true;
    this.#fields(body, scope, 'method');
  }

  #constant(body: Ast): void {
    const value = isAst(body['sval']) ? textOf(body['sval']['sval']) : undefined;
    if (value !== undefined && textHasTimeWord(value)) this.#draft.names.addValueFunction('CURRENT_TIMESTAMP');
  }

  #valueFunction(body: Ast): void {
    const name = (textOf(body['op']) ?? '').replace(/^SVFOP_/, '').replace(/_N$/, '');
    this.#draft.names.addValueFunction(name === 'USER' || name === 'CURRENT_ROLE' ? 'CURRENT_USER' : name);
  }

  #cast(body: Ast, scope: Scope | undefined): void {
    const type = this.#typeName(astOf(body['typeName']));
    for (const source of textSources(body['arg'])) this.#draft.names.addTextCast(type, source);
    // Where the expression has no name, the type gives it one.
    if (bodyOf(body['arg'], 'ColumnRef') === undefined)
      this.#draft.names.addAlias(type.slice(type.lastIndexOf('.') + 1));
    this.#fields(body, scope, 'typeName');
  }

  #typeName(body: Ast): string {
    const name = typeNameOf(body);
    this.#draft.names.addCast(name);
    return name;
  }
}
