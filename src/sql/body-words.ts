/**
 * Collects every name in a function body in SQL or PL/pgSQL that may refer to a relation, function, type or operator. It is
 * no parser: PL/pgSQL is more than SQL, and what a name refers to depends on the search path at run time. So a name counts
 * as every object of that name: one too many costs speed, one too few could give a wrong answer.
 */

export interface BodyWords {
  /** Names of any kind, as PostgreSQL folds them. */
  readonly names: ReadonlySet<string>;
  /** Names followed by a parenthesis; for each call its first argument, if that is a string constant. */
  readonly calls: ReadonlyMap<string, readonly (string | undefined)[]>;
  /** Sequences of operator characters; each contains one or more operators. */
  readonly operators: ReadonlySet<string>;
  /** Why the body may do more than its words show: "runs dynamic SQL". */
  readonly problem: string | undefined;
}

const SPACE = String.raw`\s+|--[^\n]*`;
const STRING = String.raw`[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'`;
const DOLLAR_QUOTED = String.raw`\$(?<tag>(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?)\$.*?\$\k<tag>\$`;
const QUOTED = `"(?:[^"]|"")*"`;
const NAME = String.raw`[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*`;
const OPERATOR = String.raw`(?:(?!--|/\*)[-+*/<>=~!@#%^&|${'`'}?])+`;
const TOKEN = new RegExp(`(?:${[SPACE, STRING, DOLLAR_QUOTED, QUOTED, NAME, OPERATOR].join('|')}|[^])`, 'suy');

/** The opening of a dollar-quoted string; names have at most 63 bytes. */
const UNENDED = /^\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/;

export function readBody(source: string): BodyWords {
  const names = new Set<string>();
  const calls = new Map<string, (string | undefined)[]>();
  const operators = new Set<string>();
  let problem: string | undefined;
  const tokens = tokensOf(source);
  if (tokens === undefined) problem = 'has a body that cannot be read';
  for (const [i, token] of (tokens ?? []).entries()) {
    const first = token.charAt(0);
    if (first === '"' || /[A-Za-z_\u0080-\uffff]/.test(first)) {
      if (token.endsWith("'")) continue;
      const name = first === '"' ? token.slice(1, -1).replaceAll('""', '"') : fold(token);
      names.add(name);
      const next = tokens?.[i + 1];
      if (next === '(') note(calls, name, tokens?.[i + 2]);
      if (first !== '"') problem ??= problemOf(name, next);
    } else if (/^[-+*/<>=~!@#%^&|`?]/.test(first)) operators.add(token);
  }
  return { names, calls, operators, problem };
}

function note(calls: Map<string, (string | undefined)[]>, name: string, argument: string | undefined): void {
  const constant = argument?.startsWith("'") === true ? argument.slice(1, -1).replaceAll("''", "'") : undefined;
  const known = calls.get(name);
  if (known === undefined) calls.set(name, [constant]);
  else if (!known.includes(constant)) known.push(constant);
}

/** Folds ASCII letters only: PostgreSQL folds other letters in some encodings only. */
function fold(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function problemOf(word: string, next: string | undefined): string | undefined {
  if (word === 'execute') return 'runs dynamic SQL';
  // But not ON CONFLICT DO NOTHING and DO UPDATE.
  if (word === 'do' && !/^(?:nothing|update)$/i.test(next ?? '')) return 'runs a DO block';
  // U&"..." can spell a name with escapes.
  if (word === 'u' && next === '&') return 'has Unicode escapes';
  return undefined;
}

/** Splits the source into tokens without blanks and comments; undefined: a string, name or comment is not closed. */
function tokensOf(source: string): readonly string[] | undefined {
  const tokens: string[] = [];
  for (let at = 0; at < source.length;) {
    if (source.startsWith('/*', at)) {
      at = endOfComment(source, at);
      if (at < 0) return undefined;
      continue;
    }
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(source)?.[0] ?? '';
    if (token === "'" || token === '"' || token === '') return undefined;
    if (token === '$' && UNENDED.test(source.slice(at, at + 70))) return undefined;
    if (!/^(?:\s|--)/.test(token)) tokens.push(token);
    at += token.length;
  }
  return tokens;
}

/** Comments nest. */
function endOfComment(source: string, from: number): number {
  let depth = 0;
  for (let i = from; i < source.length - 1; i++) {
    if (source.startsWith('/*', i)) {
      depth++;
      i++;
    } else if (source.startsWith('*/', i)) {
      depth--;
      i++;
      if (depth === 0) return i + 1;
    }
  }
  return -1;
}
