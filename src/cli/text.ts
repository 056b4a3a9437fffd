/**
 * Texts of others in a terminal: names and messages that clients and servers chose must not control it, and a Chinese
 * character or an emoji takes two columns. Used by everything in this room that prints them.
 */
import { eastAsianWidth } from 'get-east-asian-width';

const isAscii = (text: string): boolean => /^[\u0020-\u007e]*$/.test(text);

/**
 * Replaces what controls a terminal or turns the direction of text, characters without width, and more than three marks on
 * one character: a client can put them into its application_name.
 */
export function clean(text: string | null | undefined): string {
  const given = text ?? '';
  if (isAscii(given)) return given;
  return given.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, ' ').replace(/(\p{M}{3})\p{M}+/gu, '$1');
}

/** JSON in which such characters are escaped; what a program reads of it is the same. */
export function asJson(value: unknown): string {
  const escape = (character: string): string =>
    Array.from({ length: character.length }, (_, index) => character.charCodeAt(index))
      .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
      .join('');
  return JSON.stringify(value, null, 2).replace(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escape);
}

const markPattern = /^\p{M}$/u;

function widthOfCharacter(character: string): number {
  return markPattern.test(character) ? 0 : eastAsianWidth(character.codePointAt(0) ?? 0);
}

/** In columns of a terminal, of a cleaned text. */
export function widthOf(text: string): number {
  if (isAscii(text)) return text.length;
  let width = 0;
  for (const character of text) width += widthOfCharacter(character);
  return width;
}

/** The first columns of a cleaned text; a wide character that does not fit is left out. */
export function cut(text: string, columns: number): string {
  if (text.length <= columns && isAscii(text)) return text;
  let width = 0;
  let kept = '';
  for (const character of text) {
    width += widthOfCharacter(character);
    if (width > columns) break;
    kept += character;
  }
  return kept;
}

/** Ends with ~ where it was cut. */
export function shorten(text: string, columns: number): string {
  return widthOf(text) <= columns ? text : `${cut(text, columns - 1)}~`;
}

/** Filled with spaces at the end; `padLeft` at the beginning, as numbers are. */
export function pad(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - widthOf(text)));
}

export function padLeft(text: string, columns: number): string {
  return ' '.repeat(Math.max(0, columns - widthOf(text))) + text;
}

/** Lines of at most so many columns, between words where there are any. */
export function wrap(text: string, columns: number): string[] {
  const most = Math.max(1, columns);
  const lines: string[] = [];
  let rest = text;
  while (widthOf(rest) > most) {
    // A single character may be wider than the line.
    const piece = cut(rest, most) || String.fromCodePoint(rest.codePointAt(0) ?? 0);
    const space = rest[piece.length] === ' ' ? piece.length : piece.lastIndexOf(' ');
    const end = space > 0 ? space : piece.length;
    lines.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return rest === '' && lines.length > 0 ? lines : [...lines, rest];
}
