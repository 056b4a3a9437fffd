/**
 * Constants that PostgreSQL's date and time input turns into the present moment: 'now', 'today', 'tomorrow',
 * 'yesterday', also inside longer input such as 'today 12:00', '[now,]' or '{now}'. No cast need be written for that
 * to happen (`WHERE day > 'today'`), so every constant with such a word makes its statement depend on the clock.
 * Used by the scanner and the extract-*.ts files.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const WORDS = ['now', 'today', 'tomorrow', 'yesterday'];
/** Quotes and backslashes are what arrays, ranges and rows take off: {n\ow}. */
const WORD_PATTERN = new RegExp(
  `(?<![a-z])(?:${WORDS.map((word) => [...word].join('["\\\\]*')).join('|')})(?![a-z])`,
  'i',
);

/** For text; the same answer as `hasTimeWord` gives for bytes. */
export function textHasTimeWord(text: string): boolean {
  return WORD_PATTERN.test(text);
}

/** Whether `bytes[start..end)` contains one of the words, in any case, with no letter beside it. */
export function hasTimeWord(bytes: Buffer, start = 0, end = bytes.length): boolean {
  for (let i = start; i < end - 2; i++) {
    const c = bytes[i]! | 0x20;
    if (c !== 0x6e && c !== 0x74 && c !== 0x79) continue;
    if (i > start && isLetter(bytes[i - 1]!)) continue;
    for (const word of WORDS) if (startsWith(bytes, i, end, word)) return true;
  }
  return false;
}

function isLetter(c: number): boolean {
  const lower = c | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}

function startsWith(bytes: Buffer, i: number, end: number, word: string): boolean {
  for (let k = 0; k < word.length; k++, i++) {
    while (k > 0 && i < end && (bytes[i] === QUOTE || bytes[i] === BACKSLASH)) i++;
    if (i >= end || (bytes[i]! | 0x20) !== word.charCodeAt(k)) return false;
  }
  return i === end || !isLetter(bytes[i]!);
}
