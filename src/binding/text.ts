/**
 * The few questions that facts leave open and the text of a template answers. A template has no constants and no comments;
 * of a text that could not be templated it is the first keyword only, and a long one is cut: then nothing can be said.
 * Called by the other parts of the binder.
 */

/** QueryFacts.template is cut at this length. */
const TEMPLATE_CUT = 2000;

/** The template is all of the text but its constants, so that a word that is not in it is not in the text. */
export function isWholeText(template: string): boolean {
  return template.length < TEMPLATE_CUT && /\S\s+\S/.test(template);
}

/**
 * COPY to the client. The facts should say `maintenance` of any other COPY TO, but the name of a file is a constant: so
 * the text must say STDOUT, and have no string left in it that could be mistaken for it.
 */
export function isCopyToStdout(template: string): boolean {
  return isWholeText(template) && !template.includes("'") && /\bto\s+stdout\b/i.test(template);
}

const TEMPORARY_WORDS = /\b(?:create\s+(?:or\s+replace\s+)?|into\s+)(?:local\s+|global\s+)?temp(?:orary)?\s/i;

/** CREATE TEMP ..., SELECT INTO TEMP ... */
export function saysTemporary(template: string): boolean {
  return TEMPORARY_WORDS.test(template);
}

/** Every set_config( in the text has a third argument that is the word true. */
export function setsOnlyLocally(template: string): boolean {
  if (!isWholeText(template)) return false;
  const calls = template.split(/\bset_config\s*\(/i).slice(1);
  return calls.length > 0 && calls.every((rest) => argumentsOf(rest)[2]?.trim().toLowerCase() === 'true');
}

/** The arguments of a call whose opening parenthesis has been passed; quoted names inside make it give up. */
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
