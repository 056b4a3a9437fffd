/**
 * SASLprep (RFC 4013) for passwords of SCRAM. As in PostgreSQL, a password that breaks its rules (prohibited
 * characters, mixed directions) is used unchanged instead of being refused. Called by auth/keys.ts.
 */

const printableAscii = /^[\x20-\x7e]*$/;
/** RFC 3454 C.1.2: space characters other than U+0020. */
const otherSpaces = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu;
/** RFC 3454 B.1: commonly mapped to nothing. */

const nothing = /[\u00ad\u034f\u1806\u180b-\u180d\u200c\u200d\u2060\ufe00-\ufe0f\ufeff]/gu;
/**
 * RFC 3454 C.2 to C.9: controls, private use, non-characters, surrogates, characters inappropriate for plain text,
 * tagging. And unassigned code points (A.1), by the Unicode version of this Node.
 */
const prohibited =
  /[\p{Cc}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}\u06dd\u070f\u180e\u0340\u0341\u200e\u200f\u202a-\u202e\u2061-\u2063\u206a-\u206f\u2ff0-\u2ffb\ufff9-\ufffd\u{1d173}-\u{1d17a}\u{e0001}\u{e0020}-\u{e007f}]/u;
/** RFC 3454 D.1, approximated by script. */
const rightToLeft = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u;
const leftToRight = /(?!\p{Script=Hebrew}|\p{Script=Arabic}|\p{Script=Syriac}|\p{Script=Thaana})\p{L}/u;

/** RFC 3454 section 6: right-to-left text has no left-to-right letters, and begins and ends right-to-left. */
function isMixedDirections(text: string): boolean {
  if (!rightToLeft.test(text)) return false;
  if (leftToRight.test(text)) return true;
  const points = [...text];
  return !rightToLeft.test(points[0] ?? '') || !rightToLeft.test(points.at(-1) ?? '');
}

/** @returns the bytes for PBKDF2 */
export function saslprep(password: string): Buffer {
  if (printableAscii.test(password)) return Buffer.from(password, 'latin1');
  const prepared = password.replace(otherSpaces, ' ').replace(nothing, '').normalize('NFKC');
  const isUsable = prepared !== '' && !prohibited.test(prepared) && !isMixedDirections(prepared);
  return Buffer.from(isUsable ? prepared : password, 'utf8');
}
