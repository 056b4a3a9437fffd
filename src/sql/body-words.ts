/**
 * The words of a function body in SQL or PL/pgSQL: every name that it could mean a relation, a function, a type or an
 * operator by. No parser: a body is more than SQL, and what its names mean depends on search paths that only its run
 * knows. So a name counts for everything that is called so; too much is slow, too little would be a wrong answer.
 */

export interface BodyWords {
  /** Names of any kind, as PostgreSQL folds them. */
  readonly names: ReadonlySet<string>;
  /** Names with a parenthesis behind them, and the string that is their first argument, if it is one. */
  readonly calls: ReadonlyMap<string, readonly (string | undefined)[]>;
  /** Runs of operator characters: an operator is somewhere in one. */
  readonly operators: ReadonlySet<string>;
  /** Why the words are not all that it does: "runs dynamic SQL". */
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

/** PostgreSQL folds letters outside of ASCII in some encodings only: such a name is not looked for in two spellings. */
function fold(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function problemOf(word: string, next: string | undefined): string | undefined {
  if (word === 'execute') return 'runs dynamic SQL';
  // But not ON CONFLICT DO NOTHING and DO UPDATE.
  if (word === 'do' && !/^(?:nothing|update)$/i.test(next ?? '')) return 'runs a DO block';
  // U&"..." has names in it that are written otherwise.
  if (word === 'u' && next === '&') return 'has Unicode escapes';
  return undefined;
}

/** Without blanks and comments; undefined: something in it has no end. */
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
