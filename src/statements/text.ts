/**
 * The text of a statement as statistics, the log and spans show it: its template without what may still be a value. A Query
 * of several statements has one text for each. Called by stats.ts, once per template.
 */
import { createHash } from 'node:crypto';
import type { QueryFacts, StatementFacts } from '../sql/facts.ts';

export interface StatementText {
  /** 16 hexadecimal digits. */
  readonly id: string;
  readonly text: string;
  /** Upper case: "SELECT", "CREATE TABLE". */
  readonly verb: string;
}

const mostCharacters = 1_000;
/** A template of so many may have been cut. */
const mostOfTemplate = 2_000;
/** SET of a function, role, database or server. The words of its value are values, too, not names. */
const altersSettings = /^(?:CREATE|ALTER) (?:FUNCTION|PROCEDURE|ROUTINE|ROLE|DATABASE|SYSTEM)$/;
const word = '(?:"[^"]*"|[^\\s,;()"=])+';
const settingOf = new RegExp(
  `(\\bSET\\s+(?:TIME\\s+ZONE\\s+|${word}\\s*(?:=|\\bTO\\b)\\s*))${word}(?:\\s*,\\s*${word})*`,
  'gi',
);
/** Lists that differ in nothing but their length. The scanner has left out those that have no casts and no rows in them. */
const type = '\\s*::\\s*[^\\s,:()[\\]]+(?:\\s+(?:varying|precision))?(?:\\(\\?(?:\\s*,\\s*\\?)?\\))?(?:\\[\\])*';
const element = `[+-]?(?:\\?|\\$\\d+|null|true|false|default)(?:${type})*`;
const listOf = (item: string): string => `${item}(?:\\s*,\\s*${item})*`;
/** Or the template is cut in the middle of the list. */
const end = '(?:\\)|,?[^()]*(?:\\([^()]*)?$)';
const row = `\\(\\s*(?:\\.\\.\\.|${listOf(element)})\\s*${end}`;
const list = new RegExp(
  `(\\bIN\\s*)\\(\\s*${listOf(`(?:${element}|${row})`)}\\s*${end}|(\\bVALUES\\s*)${listOf(row)}`,
  'gi',
);
/** One quoted name or string, or a semicolon outside of them. Strings that a template keeps have no escapes. */
const quotedOrEnd = /"(?:[^"]|"")*"?|'(?:[^']|'')*'?|;/g;

/** One per statement of the text. */
export function statementTexts(facts: QueryFacts): readonly StatementText[] {
  const { statements, template, unparsed, unreadVerb } = facts;
  if (unreadVerb !== undefined) return [named(unread(unreadVerb), unreadVerb)];
  const only = statements[0];
  if (unparsed !== undefined || only === undefined) return [named(unread(only?.verb ?? ''), only?.verb ?? '')];
  const parts = statements.length === 1 ? [template] : splitTemplate(template);
  // A semicolon inside of a statement (BEGIN ATOMIC): all of them have the whole text.
  const isWhole =
    parts.length !== statements.length && (template.length < mostOfTemplate || /\bATOMIC\b/i.test(template));
  const last = parts.length - 1;
  return statements.map((statement, at) => {
    const { verb } = statement;
    if (isWhole) return named(masked(`${template} [statement ${at + 1}]`, statement), verb);
    // A long script would fill the statistics otherwise.
    if (parts.length !== statements.length && at >= last) return named(`${verb} (far behind in a long text)`, verb);
    return named(masked((parts[at] ?? template).trim().replace(/\s*;\s*$/, ''), statement), verb);
  });
}

function named(text: string, verb: string): StatementText {
  // Not in the middle of a character.
  const short = text.slice(0, mostCharacters).replace(/[\ud800-\udbff]$/, '');
  return { id: createHash('sha256').update(text).digest('hex').slice(0, 16), text: short, verb };
}

/** Weir could not tell values from names in it. */
function unread(verb: string): string {
  return verb === '' ? '(a text that was not parsed)' : `${verb} (not parsed)`;
}

/** Without the strings that templates keep (those of set_config, nextval ...), without the values of SET, and with short lists. */
function masked(text: string, { kind, verb }: StatementFacts): string {
  const bare = text.replace(quotedOrEnd, (found) => (found.startsWith("'") ? '?' : found));
  if (kind === 'set') return bare.replace(/^(SET\b(?:[^=]*?(?:=|\bTO\b)|\s+(?:\w+\s+)?TIME\s+ZONE\b)\s*)[^]+$/i, '$1?');
  if (altersSettings.test(verb)) return bare.replace(settingOf, '$1?');
  return bare.replace(
    list,
    (_found, before: string | undefined, ofRows: string | undefined) => `${before ?? ofRows}(...)`,
  );
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
