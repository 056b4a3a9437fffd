/**
 * Lexical rules of pg_hba.conf and pg_ident.conf: blanks separate fields, commas separate the tokens of a field;
 * double quotes and comments. A quoted keyword is a name. Called by lines.ts. Source: PostgreSQL manual, "The
 * pg_hba.conf File".
 */

export interface Token {
  readonly text: string;
  /** It begins with a quote, so that it has no special meaning such as all, +role or @file. */
  readonly isQuoted: boolean;
}

export type Fields = { readonly fields: readonly (readonly Token[])[] } | { readonly problem: string };

const isBlank = (letter: string): boolean => letter === ' ' || letter === '\t' || letter === '\r';

/**
 * @param line with its continuation lines
 * @param isPgbouncer a comma after blanks does not begin another field
 * @returns the fields; none for a comment or an empty line
 */
export function fieldsOf(line: string, isPgbouncer = false): Fields {
  const fields: Token[][] = [];
  let field: Token[] | undefined;
  let at = 0;
  for (;;) {
    while (at < line.length && (isBlank(line[at] as string) || line[at] === ',')) at++;
    if (at >= line.length || line[at] === '#') return { fields };
    const { token, next, problem } = tokenAt(line, at);
    if (problem !== undefined) return { problem };
    if (field === undefined) fields.push((field = []));
    field.push(token);
    // After a comma the next token belongs to the same field, even if blanks come first.
    at = next;
    let after = at;
    while (isPgbouncer && after < line.length && isBlank(line[after] as string)) after++;
    if (line[after] !== ',') field = undefined;
  }
}

function tokenAt(line: string, start: number): { token: Token; next: number; problem?: string } {
  let text = '';
  let isInQuotes = false;
  let at = start;
  for (; at < line.length; at++) {
    const letter = line[at] as string;
    if (letter === '"') {
      // A doubled quote inside quotes is one quote.
      if (isInQuotes && line[at + 1] === '"') text += line[at++] as string;
      else isInQuotes = !isInQuotes;
      continue;
    }
    if (!isInQuotes && (isBlank(letter) || letter === ',' || letter === '#')) break;
    text += letter;
  }
  const token = { text, isQuoted: line[start] === '"' };
  return isInQuotes ? { token, next: at, problem: 'a double quote is not closed' } : { token, next: at };
}

/** The token is this keyword, and not quoted. */
export const isKeyword = (token: Token, word: string): boolean => !token.isQuoted && token.text === word;
