/** Texts that others chose, in a terminal. */
import { describe, expect, it } from 'vitest';
import { asJson, clean, cut, pad, padLeft, shorten, widthOf, wrap } from '../../src/cli/text.ts';

describe('clean', () => {
  it.each([
    ['shop', 'shop'],
    ['日本 é 😀', '日本 é 😀'],
    ['a\u001b[2Jb', 'a [2Jb'],
    ['a\u009b2Jb\u0085', 'a 2Jb '],
    ['a\r\n\t\u0007\u007fb', 'a     b'],
    // Direction of text, no width, tags, halves of characters.
    ['\u202ea\u2066\u200bb\u061c\ufeff\u{e0041}', ' a  b   '],
    ['\ud800a\udc00', ' a '],
    ['a\u2028b\u2029', 'a b '],
    [`e${'\u0301'.repeat(40)}`, 'e\u0301\u0301\u0301'],
    [null, ''],
    [undefined, ''],
  ])('%j', (text, cleaned) => {
    expect(clean(text)).toBe(cleaned);
  });
});

it('JSON has them escaped, and the same values', () => {
  const value = [{ name: 'a\u001b\u009b\u202e\u2028\u{e0041}b\n', count: 1 }];
  const text = asJson(value);
  expect(text.replaceAll('\n', '')).toMatch(/^[\u0020-\u007e]*$/);
  expect(JSON.parse(text)).toEqual(value);
});

describe('width', () => {
  it.each([
    ['shop', 4],
    ['日本', 4],
    ['é', 1],
    ['e\u0301', 1],
    ['😀', 2],
    ['한글', 4],
    ['', 0],
  ])('%j', (text, width) => {
    expect(widthOf(text)).toBe(width);
  });

  it('cut never goes over', () => {
    expect(cut('日本語', 5)).toBe('日本');
    expect(cut('日本語', 1)).toBe('');
    expect(cut('e\u0301x', 1)).toBe('e\u0301');
    expect(shorten('日本語', 5)).toBe('日本~');
    expect(shorten('日本', 4)).toBe('日本');
    expect(shorten('abcdef', 4)).toBe('abc~');
  });

  it('pad', () => {
    expect(pad('日', 4)).toBe('日  ');
    expect(padLeft('日', 4)).toBe('  日');
    expect(pad('long', 2)).toBe('long');
  });
});

describe('wrap', () => {
  it('between words, else anywhere', () => {
    expect(wrap('20 -> 28 (pressure): clients waited', 12)).toEqual(['20 -> 28', '(pressure):', 'clients', 'waited']);
    expect(wrap('abcdefgh', 3)).toEqual(['abc', 'def', 'gh']);
    expect(wrap('', 3)).toEqual(['']);
  });

  it('ends even where a character is wider than the line', () => {
    expect(wrap('日本', 1)).toEqual(['日', '本']);
    expect(wrap('ab', 0)).toEqual(['a', 'b']);
  });
});
