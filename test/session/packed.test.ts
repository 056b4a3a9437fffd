/**
 * What a session keeps between requests survives the way to another process: every part is packed, cloned and unpacked, and is
 * the same. Fails if a part is lost, if a field of an unknown version is swallowed, or if something process-local (a tick, a
 * name on a server) is taken for valid elsewhere.
 */
import { expect, test } from 'vitest';
import { packPreferences, preferencesIn } from '../../src/session/packed-preferences.ts';
import { arrive, packStatements, statementsIn } from '../../src/session/packed-statements.ts';
import { packedVersion, unpackSession } from '../../src/session/packed.ts';
import { Preferences } from '../../src/session/preferences.ts';
import { Settings } from '../../src/session/settings.ts';
import { SessionState } from '../../src/session/state.ts';
import { StatementBook } from '../../src/session/statements.ts';
import { SessionTokens } from '../../src/session/concerns/tokens.ts';
import type { Classified } from '../../src/sql/facts.ts';
import type { LsnTicker } from '../../src/topology/types.ts';
import { ShapeError } from '../../src/util/fields.ts';

const classify = (): Classified => ({}) as Classified;

const minimal = {
  version: packedVersion,
  client: {
    ...{ id: 7_000_000, secret: Buffer.from([1, 2, 3, 4]), user: 'u', database: 'd', remoteAddress: '::1' },
    ...{ remotePort: 5, connectedAtMs: 1, activeAtMs: 2, lastRoute: 'primary' },
  },
  unread: Buffer.from('Q'),
  startPreferences: packPreferences(Preferences.none),
  state: new SessionState(Settings.none, new Map()).pack(),
  concerns: {},
};

test('settings, start settings and what was reported are the same afterwards', () => {
  const settings = Settings.of([['search_path', { sql: 'SET "search_path" = a, b', plain: 'a, b' }]]);
  const state = new SessionState(settings, new Map([['TimeZone', 'UTC']]));
  state.settings = settings.with('work_mem', { sql: `SET "work_mem" = '1MB'`, plain: '1MB' });
  state.reported = new Map([['TimeZone', 'Europe/Vienna']]);
  const again = SessionState.unpack(structuredClone(state.pack()));
  expect(again.settings.key).toBe(state.settings.key);
  expect([...again.reported]).toEqual([['TimeZone', 'Europe/Vienna']]);
  expect(again.pack()).toEqual(state.pack());
  expect(again.isAtRest).toBe(true);
});

test.each([
  Preferences.none,
  Preferences.none.with('weir.route', 'replica').with('weir.cache', '30s'),
  Preferences.none.with('weir.priority', 'low'),
  Preferences.none.with('weir.key', 'Cart 42'),
  Preferences.none.with('weir.tags', 'users, user:42'),
  Preferences.none.withTarget('read-write').with('weir.consistency', 'strict').with('weir.cache', 'off'),
])('preferences', (preferences) => {
  expect(preferencesIn('it', structuredClone(packPreferences(preferences)))).toEqual(preferences);
});

test('clients that shared a statement share it again, and nobody else gets it', () => {
  const [here, there] = [new StatementBook(), new StatementBook()];
  const enter = (book: StatementBook): ReturnType<StatementBook['enter']> =>
    book.enter(Buffer.from('SELECT 1'), Buffer.from([0, 0]), 'scene', Settings.none, classify);
  const statement = enter(here);
  statement.description = { parameters: Buffer.from([0, 0]), resultType: 'type', frames: undefined };
  const packed = packStatements(here, new Map([['s', statement]]), undefined, undefined);
  const [one, two] = [statementsIn(structuredClone(packed)), statementsIn(structuredClone(packed))];
  const arrived = arrive(there, one.named[0]!, classify);
  expect(arrive(there, two.named[0]!, classify)).toBe(arrived);
  expect(enter(there)).not.toBe(arrived);
  expect(arrived.sql.toString()).toBe('SELECT 1');
  expect(arrived.description?.resultType).toBe('type');
});

test('a borrowed statement may be prepared anew elsewhere, unless DDL came after it', () => {
  const book = new StatementBook();
  const statement = book.enter(Buffer.from('SELECT 1'), Buffer.from([0, 0]), 'x', Settings.none, classify);
  const named = new Map([['s', statement]]);
  const borrowed = new Map([['s', { ddlHere: book.ddlHere, catalogMark: book.catalogMark(undefined) }]]);
  expect(packStatements(book, named, undefined, borrowed)?.borrowed).toEqual(['s']);
  book.ddlDone();
  expect(packStatements(book, named, undefined, borrowed)?.borrowed).toEqual([]);
});

test('after its arrival a session needs what the next probe finds, and knows no node', () => {
  const tokens = new SessionTokens();
  let tick = 100;
  const ticker: LsnTicker = { next: () => ++tick, lsnOf: (asked) => (asked === 101 ? undefined : 0) };
  tokens.arrive(ticker, true, true);
  expect(tokens.needLsn(ticker, 0)).toBeUndefined();
  expect(tokens.moveLsn(ticker)).toBeUndefined();
  expect(tokens.lastNode).toBe('');
  expect(tokens.pack()).toEqual({ hasWritten: true, hasRead: true });
});

test('a session of this version is read', () => {
  const { client, unread } = unpackSession(structuredClone(minimal));
  expect([client.id, [...client.secret], unread.toString()]).toEqual([7_000_000, [1, 2, 3, 4], 'Q']);
});

test.each([
  ['a newer version', { ...minimal, version: packedVersion + 1 }, /packed by version/],
  ['no version', undefined, /packed by version undefined/],
  ['an unknown field', { ...minimal, colour: 'red' }, /"colour"/],
  ['an unknown field of the client', { ...minimal, client: { ...minimal.client, colour: 1 } }, /"colour"/],
  [
    'a missing field',
    { ...minimal, client: { ...minimal.client, user: undefined } },
    /"user" of the client is not a text/,
  ],
  ['settings of another shape', { ...minimal, state: { ...minimal.state, settings: [['a']] } }, /"settings"/],
  ['an unknown preference', { ...minimal, startPreferences: { route: 'moon', routeBy: '' } }, /"route"/],
])('%s is refused with words', (_what, packed, words) => {
  expect(() => unpackSession(packed)).toThrow(words);
  expect(() => unpackSession(packed)).toThrow(ShapeError);
});
