/**
 * Reading libpg-query's JSON without trusting its shape: a Node is an object with one key, the tag, which starts with
 * an upper-case letter; fields of a fixed type hold the body without a tag; zero, false and empty are left out.
 */

export type Ast = Readonly<Record<string, unknown>>;

export interface TaggedNode {
  readonly tag: string;
  readonly body: Ast;
}

const EMPTY: Ast = {};

export function isAst(value: unknown): value is Ast {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object, or an empty one. */
export function astOf(value: unknown): Ast {
  return isAst(value) ? value : EMPTY;
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The node in a tagged object; undefined for {} (NULL), bare bodies and everything else. */
export function nodeOf(value: unknown): TaggedNode | undefined {
  if (!isAst(value)) return undefined;
  const keys = Object.keys(value);
  const tag = keys[0];
  if (tag === undefined || keys.length !== 1 || !/^[A-Z]/.test(tag)) return undefined;
  return { tag, body: astOf(value[tag]) };
}

/** The body of a node of that tag, else undefined. */
export function bodyOf(value: unknown, tag: string): Ast | undefined {
  const node = nodeOf(value);
  return node?.tag === tag ? node.body : undefined;
}

/** The strings of a list of String nodes, e.g. a qualified name. */
export function namesOf(value: unknown): string[] {
  const names: string[] = [];
  for (const item of listOf(value)) {
    const body = bodyOf(item, 'String');
    if (body !== undefined) names.push(textOf(body['sval']) ?? '');
  }
  return names;
}

/** What a constant is, without casts around it. */
export type Constant =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'number'; readonly text: string }
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'null' };

/** The constant in an A_Const, also under type casts; undefined when it is no constant. */
export function constantOf(value: unknown): Constant | undefined {
  const node = nodeOf(value);
  if (node === undefined) return undefined;
  if (node.tag === 'TypeCast') return constantOf(node.body['arg']);
  if (node.tag !== 'A_Const') return undefined;
  const { body } = node;
  if (body['isnull'] === true) return { type: 'null' };
  if (isAst(body['sval'])) return { type: 'text', text: textOf(body['sval']['sval']) ?? '' };
  if (isAst(body['ival'])) return { type: 'number', text: String(body['ival']['ival'] ?? 0) };
  if (isAst(body['fval'])) return { type: 'number', text: textOf(body['fval']['fval']) ?? '0' };
  if (isAst(body['boolval'])) return { type: 'boolean', value: body['boolval']['boolval'] === true };
  return undefined;
}
