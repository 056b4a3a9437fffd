/**
 * Searches the template for what is not in the facts. A template is the text without constants and comments; a long one is
 * cut, and that of a text that could not be scanned is its first keyword. For such a template these functions return the
 * safe answer. Called by the other files of this folder.
 */

/** QueryFacts.template is cut at this length. */
const TEMPLATE_CUT = 2000;

/** The template is complete: a keyword or name that is not in it is not in the text. */
export function isWholeText(template: string): boolean {
  return template.length < TEMPLATE_CUT && /\S\s+\S/.test(template);
}

/**
 * It is COPY ... TO STDOUT. Checked although the facts have the kind `maintenance` for any other COPY TO: a mistake there
 * would write a file on a server. A template with a string in it is refused, since STDOUT might be inside the string.
 */
export function isCopyToStdout(template: string): boolean {
  return isWholeText(template) && !template.includes("'") && /\bto\s+stdout\b/i.test(template);
}

const TEMPORARY_WORDS = /\b(?:create\s+(?:or\s+replace\s+)?|into\s+)(?:local\s+|global\s+)?temp(?:orary)?\s/i;

/** It has CREATE TEMP ... or SELECT INTO TEMP ... in it. */
export function hasTemporaryKeyword(template: string): boolean {
  return TEMPORARY_WORDS.test(template);
}

/** The third argument of every set_config() in the text is the keyword true: the setting ends with the transaction. */
export function setsOnlyLocally(template: string): boolean {
  if (!isWholeText(template)) return false;
  const calls = template.split(/\bset_config\s*\(/i).slice(1);
  return calls.length > 0 && calls.every((rest) => argumentsOf(rest)[2]?.trim().toLowerCase() === 'true');
}

/** The arguments of a call, from the text after its opening parenthesis; none if there is a quoted name inside. */
function argumentsOf(text: string): readonly string[] {
  const found: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i);
    if (c === '"') return [];
    if (c === '(' || c === '[') depth++;
    else if (depth > 0 && (c === ')' || c === ']')) depth--;
    else if (c === ')' || (c === ',' && depth === 0)) {
      found.push(text.slice(start, i));
      if (c === ')') return found;
      start = i + 1;
    }
  }
  return [];
}
