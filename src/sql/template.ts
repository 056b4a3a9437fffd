/**
 * The alphabet of template keys (made by scanner.ts) and the two texts made of a key: one that the parser can read,
 * with fixed constants in place of the ones left out, and one for people and statistics. Texts: once per template.
 */

/** Stand-ins in a key. Control characters, which no SQL text may contain outside of strings and comments. */
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

/** The text constants that stand in for those left out; the extraction must not take their values for facts. */
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
