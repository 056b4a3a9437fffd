/** search_path, as PostgreSQL prints it, is read into schemas. Fails if a quoted name is split, or nonsense is accepted. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseSearchPath } from '../../src/binding/search-path.ts';

describe('search_path as PostgreSQL prints it', () => {
  test.each([
    ['"$user", public', ['app', 'public']],
    ['$user,public', ['app', 'public']],
    ['a,b ,  c', ['a', 'b', 'c']],
    ['Upper, "Upper"', ['upper', 'Upper']],
    ['"with, comma", "with ""quotes"""', ['with, comma', 'with "quotes"']],
    ['', []],
    ['  ', []],
    ['""', []],
    ['pg_temp, a, pg_catalog', ['a', 'pg_catalog']],
    ['a, a, "a"', ['a']],
  ])('%s', (text, expected) => {
    expect(parseSearchPath(text, 'app')).toEqual(expected);
  });

  test.each(['a b', 'a,', ',a', '"open', 'a,,b', '"a"b'])('refuses %s', (text) => {
    expect(parseSearchPath(text, 'app')).toBeUndefined();
  });

  test('any list of quoted names comes back as it was', () => {
    const name = fc.string({ minLength: 1 }).filter((text) => text !== '$user' && text !== 'pg_temp');
    fc.assert(
      fc.property(fc.uniqueArray(name), (names) => {
        const text = names.map((one) => `"${one.replaceAll('"', '""')}"`).join(', ');
        expect(parseSearchPath(text, 'app')).toEqual(names);
      }),
    );
  });

  test('any text at all is read or refused', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseSearchPath(text, 'app')));
  });
});
