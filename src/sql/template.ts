/**
 * The marks in template keys (made by scanner.ts), and the two texts made of a key: one for the parser, with fixed
 * constants (stand-ins) for those left out, and one for display and statistics. Both are made once per template.
 */

/** Marks for constants in a key: control characters, which SQL allows only in strings, quoted names and comments. */
export const NUMBER_MARK = 0x01;
export const STRING_MARK = 0x02;
/** A string constant that is, or may be, read as the present moment. */
export const NOW_MARK = 0x03;
/** One or more parenthesised lists of nothing but constants and parameters, behind IN or VALUES. */
export const LIST_MARK = 0x04;
export const NOW_LIST_MARK = 0x05;
/** The bracketed list of ARRAY[...]. */
export const ARRAY_MARK = 0x06;
export const NOW_ARRAY_MARK = 0x0e;
export const BITS_MARK = 0x0f;

/** Mark -> what the parser reads, what people read. Not '' for a string: the parser's JSON leaves empty values out. */
const TEXTS: Readonly<Record<string, readonly [parser: string, people: string]>> = {
  [String.fromCharCode(NUMBER_MARK)]: ['1', '?'],
  [String.fromCharCode(STRING_MARK)]: ["'?'", '?'],
  [String.fromCharCode(NOW_MARK)]: ["'now'", '?'],
  [String.fromCharCode(LIST_MARK)]: ['(1)', '(...)'],
  [String.fromCharCode(NOW_LIST_MARK)]: ["('now')", '(...)'],
  [String.fromCharCode(ARRAY_MARK)]: ['[1]', '[...]'],
  [String.fromCharCode(NOW_ARRAY_MARK)]: ["['now']", '[...]'],
  [String.fromCharCode(BITS_MARK)]: ["B'1'", '?'],
};
const MARKS = new RegExp(`[${Object.keys(TEXTS).join('')}]`, 'g');
/** A template of this length may be cut. */
export const TEMPLATE_MAX = 2000;

/** The text constants that replace those left out; facts must not depend on their values. */
export const STAND_INS: ReadonlySet<string> = new Set(['?', 'now']);

/** `key` as text (UTF-8 decoded). */
export function toParsable(key: string): string {
  return key.replace(MARKS, (mark) => TEXTS[mark]?.[0] ?? mark);
}

/** At most 2,000 characters. */
export function toTemplate(key: string): string {
  return key
    .slice(0, TEMPLATE_MAX)
    .replace(MARKS, (mark) => TEXTS[mark]?.[1] ?? mark)
    .slice(0, TEMPLATE_MAX);
}
