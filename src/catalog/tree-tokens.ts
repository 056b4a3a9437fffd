/**
 * SQL that searches stored expressions (pg_node_tree) on the server, since only a few numbers in them matter. Used by the
 * queries of this room.
 */

/**
 * What is searched for in a pg_node_tree. pg_depend is not enough: it has no entry for objects that initdb created, so it
 * does not show that a view calls nextval() or CURRENT_DATE. Blanks in identifiers are escaped in a node tree, so no name
 * can match these patterns.
 */
const TOKENS =
  ':(?:relid|funcid|opfuncid|aggfnoid|winfnoid|resulttype) [1-9][0-9]*|:hasForUpdate true' +
  String.raw`|:typid [1-9][0-9]*|:coltypes \(o [0-9 ]+\)` +
  String.raw`|\{SQLVALUEFUNCTION|\{NEXTVALUEEXPR|\{TABLESAMPLECLAUSE` +
  // current_setting('name'), common in row security policies: with the bytes of its first argument.
  String.raw`|:funcid (?:2077|3294) [^{}]*:args \(\{CONST [^{}]*\]`;

/**
 * The same for column defaults, constraints and indexes, of which there are many: only user functions, currval(),
 * lastval(), and built-ins that change the session: set_config(), setseed(), advisory locks.
 */
export const RELEVANT_FUNCTIONS = ':(?:funcid|opfuncid) [1-9][0-9]{4,}|:funcid (?:1575|2559|2078|1599|288[0-9]) ';

/** SQL for what is found in the text `expression`, separated by semicolons; rows.ts parses it. */
export function tokens(expression: string, pattern = TOKENS): string {
  return `(SELECT pg_catalog.string_agg(DISTINCT m[1], ';') FROM pg_catalog.regexp_matches(${expression}, '(${pattern})', 'g') m)`;
}
