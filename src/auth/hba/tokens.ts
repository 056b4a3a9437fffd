/**
 * The lexical rules of pg_hba.conf and pg_ident.conf: fields apart by blanks, in a field tokens apart by commas, double
 * quotes, comments. Pure. A keyword in quotes is a mere name. Source: PostgreSQL manual, "The pg_hba.conf File".
 */

export interface Token {
  readonly text: string;
  /** It began with a quote: it has no special meaning (all, +role, @file). */
  readonly isQuoted: boolean;
}

export type Fields = { readonly fields: readonly (readonly Token[])[] } | { readonly problem: string };

const isBlank = (letter: string): boolean => letter === ' ' || letter === '\t' || letter === '\r';

/** The fields of one line (continuation lines joined); none for a comment or an empty line. */
export function fieldsOf(line: string): Fields {
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
    // What comes behind a comma belongs to the same field, blanks or not.
    at = next;
    if (line[at] !== ',') field = undefined;
  }
}

function tokenAt(line: string, start: number): { token: Token; next: number; problem?: string } {
  let text = '';
  let isInQuotes = false;
  let at = start;
  for (; at < line.length; at++) {
    const letter = line[at] as string;
    if (letter === '"') {
      // Two quotes within quotes are one.
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

/** It is this word, and means what that means. */
export const isKeyword = (token: Token, word: string): boolean => !token.isQuoted && token.text === word;
