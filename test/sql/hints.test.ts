/** Comments that speak to Weir: where they count, what they may say, and that nothing in them throws. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Hints } from '../../src/sql/facts.ts';
import { parseCacheHint, readHints } from '../../src/sql/hints.ts';

/** The hints of a text that is one comment. */
function hintsOf(comment: string): Hints | undefined {
  const sql = Buffer.from(comment);
  return readHints(sql, sql.length, sql.length);
}

const NONE: Hints = {
  route: undefined,
  consistency: undefined,
  cache: undefined,
  priority: undefined,
  key: undefined,
  tags: [],
  problem: undefined,
};

describe('what a hint may say', () => {
  test.each<[string, Partial<Hints>]>([
    ['/* weir: route=replica */', { route: 'replica' }],
    ['/*weir:route=primary*/', { route: 'primary' }],
    ['-- weir: route=auto', { route: 'auto' }],
    ['--weir:route=auto\n', { route: 'auto' }],
    ['/* WEIR: Route=Replica */', { route: 'replica' }],
    ['/* weir: consistency=eventual */', { consistency: 'eventual' }],
    ['/* weir: consistency=session */', { consistency: 'session' }],
    ['/* weir: consistency=strict */', { consistency: 'strict' }],
    ['/* weir: cache=on */', { cache: 'on' }],
    ['/* weir: cache=off */', { cache: 'off' }],
    ['/* weir: cache=250ms */', { cache: 250 }],
    ['/* weir: cache=30s */', { cache: 30_000 }],
    ['/* weir: cache=5m */', { cache: 300_000 }],
    ['/* weir: cache=2h */', { cache: 7_200_000 }],
    ['/* weir: cache=0 */', { cache: 'off' }],
    ['/* weir: cache=0s */', { cache: 'off' }],
    ['/* weir: key=Cart:42 */', { key: 'Cart:42' }],
    ['/* weir: tags=user:42,users */', { tags: ['user:42', 'users'] }],
    ['/* weir: tags=a tags=b,a */', { tags: ['a', 'b'] }],
    ['/* weir: tags=a=b */', { tags: ['a=b'] }],
    ['/* weir:\n\troute=replica\n\tcache=1s */', { route: 'replica', cache: 1000 }],
    ['/* weir: route=replica */ -- other\n/* weir: cache=1s */', { route: 'replica', cache: 1000 }],
    ['/* weir: route=replica route=replica */', { route: 'replica' }],
    ['/* weir: */', {}],
  ])('%s', (comment, expected) => expect(hintsOf(comment)).toEqual({ ...NONE, ...expected }));

  test.each([['/* weird: route=replica */'], ['/* not weir: route=primary */'], ['/* weir */'], ['-- web'], ['/**/']])(
    '%s is another comment',
    (comment) => expect(hintsOf(comment)).toBeUndefined(),
  );
});

describe('what makes no sense is left out and named', () => {
  test.each<[string, RegExp, Partial<Hints>]>([
    ['/* weir: route=nowhere */', /route=nowhere/, {}],
    ['/* weir: routes=replica cache=1s */', /routes: known are/, { cache: 1000 }],
    ['/* weir: key= */', /key=/, {}],
    [`/* weir: key=${'x'.repeat(201)} */`, /key=x+/, {}],
    ['/* weir: key=a key=b */', /key is given twice/, { key: 'a' }],
    ['/* weir: replica */', /replica: known are/, {}],
    ['/* weir: consistency=maybe */', /consistency=maybe/, {}],
    ['/* weir: cache=soon */', /cache=soon/, {}],
    ['/* weir: cache=30 */', /cache=30/, {}],
    ['/* weir: cache=9999999999h */', /cache=9999999999h/, {}],
    ['/* weir: cache=-1s */', /cache=-1s/, {}],
    ['/* weir: route=replica route=primary */', /route is given twice/, { route: 'replica' }],
    ['/* weir: tags= */', /tags: none/, {}],
    [`/* weir: tags=a,${'b'.repeat(201)} */`, /longer than 200/, { tags: ['a'] }],
  ])('%s', (comment, problem, expected) => {
    const hints = hintsOf(comment);
    expect(hints).toMatchObject({ ...NONE, ...expected, problem: expect.any(String) as string });
    expect(hints?.problem).toMatch(problem);
  });

  test('tags and problems are bounded', () => {
    const hints = hintsOf(`/* weir: tags=${Array.from({ length: 500 }, (_, i) => `t${i}`).join()} */`);
    expect(hints?.tags).toHaveLength(64);
    expect(hints?.problem).toMatch(/more than 64/);
    expect(hintsOf(`/* weir: ${'x'.repeat(100_000)} */`)?.problem?.length).toBeLessThanOrEqual(200);
  });
});

describe('where a hint may stand', () => {
  const sql = Buffer.from('/* weir: route=replica */ SELECT /* weir: route=auto */ 1 /* weir: cache=1s */;');
  const lead = sql.indexOf(' SELECT');
  const tail = sql.lastIndexOf('/*');

  test('at either edge, not in the middle', () => {
    expect(readHints(sql, lead, tail)).toEqual({ ...NONE, route: 'replica', cache: 1000 });
    expect(readHints(sql, 0, tail)).toEqual({ ...NONE, cache: 1000 });
    expect(readHints(sql, lead, sql.length)).toEqual({ ...NONE, route: 'replica' });
    expect(readHints(sql, 0, sql.length)).toBeUndefined();
  });
});

test('nothing in a comment throws', () => {
  const word = fc.oneof(
    fc.constantFrom('route=', 'cache=', 'tags=', 'consistency=', 'replica', '30s', '=', ',', 'weir:', '*/', '--', '\n'),
    fc.string({ unit: 'binary' }),
  );
  fc.assert(
    fc.property(fc.array(word), (words) => {
      const hints = hintsOf(`/* weir: ${words.join('')}`);
      expect(hints === undefined || hints.tags.length <= 64).toBe(true);
      const closed = hintsOf(`/* weir: ${words.join('')} */`);
      for (const tag of closed?.tags ?? []) expect(tag.length).toBeLessThanOrEqual(200);
    }),
  );
});

test('the value of SET weir.cache reads the same', () => {
  expect([parseCacheHint('on'), parseCacheHint('1m'), parseCacheHint('x'), parseCacheHint('')]).toEqual([
    'on',
    60_000,
    undefined,
    undefined,
  ]);
});
