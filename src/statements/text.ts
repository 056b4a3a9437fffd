/**
 * The text of a statement as statistics, the log and spans show it: its template without what may still be a value. A Query
 * of several statements has one text for each. Called by stats.ts, once per template.
 */
import { createHash } from 'node:crypto';
import type { QueryFacts } from '../sql/facts.ts';

export interface StatementText {
  /** 16 hexadecimal digits. */
  readonly id: string;
  readonly text: string;
  /** Upper case: "SELECT", "CREATE TABLE". */
  readonly verb: string;
}

const mostCharacters = 1_000;
/** One quoted name or string, or a semicolon outside of them. Strings that a template keeps have no escapes. */
const quotedOrEnd = /"(?:[^"]|"")*"?|'(?:[^']|'')*'?|;/g;

/** One per statement of the text. */
export function statementTexts(facts: QueryFacts): readonly StatementText[] {
  const { statements, template, unparsed } = facts;
  const only = statements[0];
  if (unparsed !== undefined || only === undefined) return [named(unread(only?.verb ?? ''), only?.verb ?? '')];
  const parts = statements.length === 1 ? [template] : splitTemplate(template);
  // A cut text, or a semicolon inside of a statement (BEGIN ATOMIC): all of them have the whole text.
  const isSplit = parts.length === statements.length;
  return statements.map(({ verb, kind }, at) => {
    const part = isSplit ? (parts[at] ?? template) : `${template} [statement ${at + 1}]`;
    return named(masked(part.trim().replace(/\s*;\s*$/, ''), kind === 'set'), verb);
  });
}

function named(text: string, verb: string): StatementText {
  const short = text.slice(0, mostCharacters);
  return { id: createHash('sha256').update(text).digest('hex').slice(0, 16), text: short, verb };
}

/** Weir could not tell values from names in it. */
function unread(verb: string): string {
  return verb === '' ? '(a text that was not parsed)' : `${verb} (not parsed)`;
}

/** Without the strings that templates keep (those of set_config, nextval ...), and without the value of SET. */
function masked(text: string, isSet: boolean): string {
  const bare = text.replace(quotedOrEnd, (found) => (found.startsWith("'") ? '?' : found));
  return isSet ? bare.replace(/^((?:SET|set)\b[^=]*?(?:=|\bTO\b)\s*)[^]+$/i, '$1?') : bare;
}

function splitTemplate(template: string): readonly string[] {
  const parts: string[] = [];
  let start = 0;
  for (const { 0: found, index } of template.matchAll(quotedOrEnd)) {
    if (found !== ';') continue;
    parts.push(template.slice(start, index));
    start = index + 1;
  }
  parts.push(template.slice(start));
  return parts.filter((part) => part.trim() !== '');
}
