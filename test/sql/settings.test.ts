/** Values of settings as text, as constants behind SET, and as lists of identifiers. */
import { describe, expect, test } from 'vitest';
import { parseBoolean, quoteLiteral, quoteSettingText, splitIdentifiers } from '../../src/sql/settings.ts';
import { hasTimeWord, textHasTimeWord } from '../../src/sql/time-words.ts';

test.each([
  ['a', "'a'"],
  ["it's", "'it''s'"],
  ['a\\b', "E'a\\\\b'"],
  ["\\'", "E'\\\\'''"],
  ['', "''"],
])('quoteLiteral(%j)', (value, expected) => expect(quoteLiteral(value)).toBe(expected));

describe('what set_config() and a startup packet give as one text', () => {
  test.each([
    ['TimeZone', 'UTC', "'UTC'"],
    ['datestyle', 'ISO, DMY', "'ISO, DMY'"],
    ['search_path', '"$user", public', "'$user', 'public'"],
    ['SEARCH_PATH', 'App,"B ""c"""', `'app', 'B "c"'`],
    ['search_path', '', "''"],
    ['temp_tablespaces', ' a ', "'a'"],
  ])('%s = %j', (name, text, expected) => expect(quoteSettingText(name, text)).toBe(expected));

  test.each(['a b', 'a,', ',a', '"a', '""', 'a""b'])('search_path = %j is no list', (text) => {
    expect(quoteSettingText('search_path', text)).toBeUndefined();
    expect(splitIdentifiers(text)).toBeUndefined();
  });
});

test.each([
  ['on', true],
  ['TRUE', true],
  [' t ', true],
  ['y', true],
  ['1', true],
  ['off', false],
  ['of', false],
  ['No', false],
  ['f', false],
  ['0', false],
  ['o', undefined],
  ['', undefined],
  ['maybe', undefined],
])('parseBoolean(%j)', (text, expected) => expect(parseBoolean(text)).toBe(expected));

test.each([
  ['now', true],
  ['{NOW}', true],
  ['today 12:00', true],
  ['x Tomorrow', true],
  ['yesterday', true],
  ['now1', true],
  ['2024-01-01', false],
  ['known', false],
  ['snow', false],
  ['nowhere', false],
  ['no', false],
  ['', false],
])('%j has a word for the present: %s', (text, expected) => {
  expect(hasTimeWord(Buffer.from(text))).toBe(expected);
  expect(textHasTimeWord(text)).toBe(expected);
});
