/**
 * What each statement leaves in the session: settings, pins and their ends. Fails if one of them is forgotten, so that it
 * would leak to the next client or be lost to its own.
 */
import { describe, expect, test } from 'vitest';
import type { PinReason, SessionEffects } from '../../src/binding/plan.ts';
import { binderOf, catalog, factsOf, planOf } from './example-catalog.ts';

const ALL_BUT_LOAD: readonly PinReason[] = [
  'LISTEN',
  'temporary table',
  'cursor WITH HOLD',
  'advisory lock',
  'PREPARE',
  'sequence',
  'SET SESSION AUTHORIZATION',
  'setting that cannot be replayed',
  'session state of an unparsed statement',
  'session state of a function',
  'catalog not read yet',
];
const IN_FUNCTION = 'session state of a function';
const UNREPLAYED = 'setting that cannot be replayed';

describe('what a statement leaves in the session', () => {
  test.each<[string, Partial<SessionEffects>]>([
    ['LISTEN x', { pins: ['LISTEN'] }],
    ['UNLISTEN *', { unpins: ['LISTEN'] }],
    ['CREATE TEMP TABLE t (i int)', { pins: ['temporary table'] }],
    ['CREATE TEMP TABLE t (i int) ON COMMIT DELETE ROWS', { pins: ['temporary table'] }],
    ['CREATE TABLE pg_temp.t (i int)', { pins: ['temporary table'] }],
    ['SELECT * INTO TEMP t FROM users', { pins: ['temporary table'] }],
    ['DISCARD TEMP', { discards: 'temp', unpins: ['temporary table'] }],
    ['DISCARD PLANS', { discards: 'plans' }],
    ['DISCARD SEQUENCES', { discards: 'sequences', unpins: ['sequence'] }],
    ['DISCARD ALL', { discards: 'all', unpins: [...ALL_BUT_LOAD], deallocates: '' }],
    ['DECLARE c CURSOR WITH HOLD FOR SELECT 1', { pins: ['cursor WITH HOLD'] }],
    ['CLOSE ALL', { unpins: ['cursor WITH HOLD'] }],
    ['SELECT pg_advisory_lock(1)', { pins: ['advisory lock'] }],
    ['SELECT pg_try_advisory_lock(1) FROM users', { pins: ['advisory lock'] }],
    ['SELECT pg_catalog.pg_advisory_lock(1)', { pins: ['advisory lock'] }],
    ['SELECT pg_advisory_unlock_all()', { unpins: ['advisory lock'] }],
    ['PREPARE q AS SELECT 1', { pins: ['PREPARE'] }],
    ['PREPARE q AS SELECT pg_advisory_lock(1)', { pins: ['PREPARE'] }],
    ['DEALLOCATE ALL', { unpins: ['PREPARE'], deallocates: '' }],
    ['DEALLOCATE q', { deallocates: 'q' }],
    ['EXECUTE q', { isSuspect: true }],
    ["LOAD 'x'", { pins: ['LOAD'] }],
    ["SET work_mem = '1MB'", { settings: [{ name: 'work_mem', value: "'1MB'", plain: '1MB', isLocal: false }] }],
    ['RESET ALL', { resetsAll: true, unpins: [UNREPLAYED] }],
    ["SELECT set_config('a.b', 'c', false)", { settings: [{ name: 'a.b', value: "'c'", plain: 'c', isLocal: false }] }],
    ["SELECT set_config('a.b', $1, false)", { pins: [UNREPLAYED] }],
    ['SELECT set_config(name, name, false) FROM users', { pins: [UNREPLAYED] }],
    ["SELECT set_config('a.b', $1, $2)", { pins: [UNREPLAYED] }],
    ["SELECT set_config('a.b', lower('x'), false) FROM users", { pins: [UNREPLAYED] }],
    ["SELECT set_config('a.b', 'x', false) FROM users LIMIT 1", { pins: [UNREPLAYED] }],
    ["SELECT set_config('a.b', 'x', false), id FROM users", { pins: [UNREPLAYED] }],
    ["SELECT set_config('a.b', $1, true)", {}],
    ['SELECT setseed(0.5)', { pins: [UNREPLAYED] }],
    ["DO 'BEGIN END'", { isSuspect: true }],
    ["DO 'BEGIN UPDATE users SET id = 1; SET LOCAL work_mem = 1; END'", { isSuspect: true }],
    ["DO 'BEGIN PERFORM set_config(''a.b'', ''c'', true); END'", { isSuspect: true }],
    ["DO 'BEGIN SET work_mem = 1; END'", { isSuspect: true, pins: [IN_FUNCTION] }],
    ["DO 'BEGIN PERFORM set_config(''a.b'', ''c'', false); END'", { isSuspect: true, pins: [IN_FUNCTION] }],
    ["DO 'BEGIN CREATE TEMP TABLE t (i int); END'", { isSuspect: true, pins: [IN_FUNCTION] }],
    ["DO 'BEGIN CREATE TEMP TABLE t (i int) ON COMMIT DROP; END'", { isSuspect: true }],
    ["DO 'BEGIN PERFORM pg_advisory_lock(1); END'", { isSuspect: true, pins: [IN_FUNCTION] }],
    ['CALL p()', { isSuspect: true }],
    ['SELECT f_vol()', { isSuspect: true }],
    ['SELECT missing()', { pins: ['catalog not read yet'], isSuspect: true }],
    ['SELECT * FROM v_writer', { isSuspect: true }],
    ['INSERT INTO audited VALUES (1)', { isSuspect: true }],
    ['SELECT name @!@ 1 FROM users', { isSuspect: true }],
    ['CREATE TEMP TABLE t AS SELECT f_vol()', { pins: ['temporary table'], isSuspect: true }],
    ['CREATE TABLE t AS SELECT f_vol()', { isSuspect: true }],
    ['SELECT this is not parsed', { isSuspect: true }],
    ['(SELECT not parsed', { isSuspect: true }],
    ['ALTER TABLE not parsed', { isSuspect: true }],
    ['SET what is this', { pins: ['session state of an unparsed statement'] }],
    ['FROBNICATE', { pins: ['session state of an unparsed statement'] }],
    ['LISTEN x; UNLISTEN *', { unpins: ['LISTEN'] }],
    ['UNLISTEN *; LISTEN x', { pins: ['LISTEN'] }],
    ['DISCARD ALL; LISTEN x', { discards: 'all', pins: ['LISTEN'], unpins: ALL_BUT_LOAD.slice(1), deallocates: '' }],
    ['DEALLOCATE a; DEALLOCATE b', { deallocates: '', isSuspect: true }],
    ['DEALLOCATE a; DEALLOCATE a', { deallocates: '' }],
  ])('%s', (sql, expected) => {
    const plan = planOf(sql);
    expect(plan.hasEffects).toBe(true);
    expect(plan.effects).toEqual({
      settings: [],
      resetsAll: false,
      discards: undefined,
      pins: [],
      unpins: [],
      mayEnd: [],
      deallocates: undefined,
      isSuspect: false,
      ...expected,
    });
  });

  test.each<[string, SessionEffects['mayEnd']]>([
    ['UNLISTEN x', ['LISTEN']],
    ['CLOSE c', ['cursor WITH HOLD']],
    ['DROP TABLE users', ['temporary table']],
    ['DROP VIEW IF EXISTS v CASCADE', ['temporary table']],
    ['SELECT pg_advisory_unlock(1)', ['advisory lock']],
    ['SELECT 1; CLOSE c; UNLISTEN x; CLOSE d', ['cursor WITH HOLD', 'LISTEN']],
    ['SELECT pg_advisory_unlock_all()', []],
    ['UNLISTEN *; CLOSE ALL', []],
  ])('%s may end a pin', (sql, expected) => {
    expect(planOf(sql).effects.mayEnd).toEqual(expected);
  });

  test.each([
    'SELECT 1',
    'INSERT INTO users VALUES (1)',
    'UPDATE touched SET a = 1',
    'CREATE TEMP TABLE t (i int) ON COMMIT DROP',
    'DECLARE c CURSOR FOR SELECT 1',
    'CLOSE c',
    'UNLISTEN x',
    'SELECT pg_advisory_xact_lock(1)',
    'SELECT pg_advisory_unlock(1)',
    "SELECT set_config('a.b', lower($1), true), set_config('c.d', $2, TRUE)",
    'EXPLAIN SELECT pg_advisory_lock(1)',
    "EXPLAIN SELECT set_config('a.b', 'c', false)",
    'SELECT f_vouched(), f_stb(), f_imm(1), uuid_generate_v4()',
    "SELECT nextval('numbers')",
    'BEGIN',
    'COMMIT',
    'NOTIFY x',
    'LOCK users',
    'SET CONSTRAINTS ALL DEFERRED',
    '',
  ])('nothing: %s', (sql) => {
    expect([planOf(sql).effects, planOf(sql).hasEffects]).toMatchObject([
      { settings: [], pins: [], unpins: [], isSuspect: false, deallocates: undefined },
      false,
    ]);
  });

  test.each([
    'SET search_path = other; INSERT INTO users VALUES (1)',
    'BEGIN; SET LOCAL search_path = other; INSERT INTO users VALUES (1); COMMIT',
    "SELECT set_config('search_path', 'other', true); INSERT INTO users VALUES (1)",
    'SELECT set_config(name, name, true) FROM users; INSERT INTO users VALUES (1)',
    'RESET ALL; INSERT INTO users VALUES (1)',
    'SET ROLE other; INSERT INTO users VALUES (1)',
  ])('names behind a new search path may be other relations: %s', (sql) => {
    expect(planOf(sql).writesAll).toBe(true);
    expect(planOf('INSERT INTO users VALUES (1); SET search_path = other').writesAll).toBe(false);
  });

  test('SET SESSION AUTHORIZATION pins until it is reset', () => {
    expect(planOf('SET SESSION AUTHORIZATION app').effects.pins).toEqual(['SET SESSION AUTHORIZATION']);
    expect(planOf('RESET SESSION AUTHORIZATION').effects.unpins).toEqual(['SET SESSION AUTHORIZATION']);
    expect(planOf('SET SESSION AUTHORIZATION DEFAULT').effects.unpins).toEqual(['SET SESSION AUTHORIZATION']);
    expect(planOf('SET LOCAL SESSION AUTHORIZATION app').effects.pins).toEqual([]);
  });

  test('RESET ALL and DISCARD ALL forget the settings before them, not those behind', () => {
    const names = (sql: string): string[] => planOf(sql).effects.settings.map(({ name }) => name);
    expect(names('SET a.b = 1; RESET ALL; SET c.d = 2')).toEqual(['c.d']);
    expect(names('SET a.b = 1; SET c.d = 2')).toEqual(['a.b', 'c.d']);
  });
});

describe('transactions', () => {
  test.each<[string, Record<string, unknown>]>([
    ['BEGIN', { transaction: 'begin', begins: true, mayCommit: false, beginsReadOnly: false, isolatesSnapshot: false }],
    ['BEGIN READ ONLY', { begins: true, beginsReadOnly: true }],
    ['START TRANSACTION READ ONLY, ISOLATION LEVEL REPEATABLE READ', { beginsReadOnly: true, isolatesSnapshot: true }],
    ['BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY', { beginsReadOnly: false, isolatesSnapshot: true }],
    ['BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE', { beginsReadOnly: false }],
    ['BEGIN READ WRITE, READ ONLY', { beginsReadOnly: false }],
    ['BEGIN READ ONLY, READ ONLY', { beginsReadOnly: true }],
    ['BEGIN ISOLATION LEVEL SERIALIZABLE, ISOLATION LEVEL REPEATABLE READ, READ ONLY', { beginsReadOnly: false }],
    ['BEGIN READ ONLY; SELECT 1', { transaction: undefined, begins: true, beginsReadOnly: false }],
    ['SET TRANSACTION ISOLATION LEVEL REPEATABLE READ', { transaction: 'set-transaction', isolatesSnapshot: true }],
    ["SET default_transaction_isolation = 'serializable'", { isolatesSnapshot: true }],
    ['SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ', { isolatesSnapshot: true }],
    ["SET default_transaction_isolation = 'read committed'", { isolatesSnapshot: false }],
    ['COMMIT', { transaction: 'commit', mayCommit: true, begins: false }],
    ['END', { transaction: 'commit', mayCommit: true }],
    ['COMMIT AND CHAIN', { mayCommit: true, begins: true }],
    ['ROLLBACK', { transaction: 'rollback', mayCommit: false }],
    ['ROLLBACK AND CHAIN', { mayCommit: false, begins: true }],
    ['SAVEPOINT a', { transaction: 'savepoint', mayCommit: false, begins: false }],
    ["PREPARE TRANSACTION 'x'", { mayCommit: true }],
    ["COMMIT PREPARED 'x'", { mayCommit: true, writesAll: true }],
    ["ROLLBACK PREPARED 'x'", { mayCommit: false }],
    ['INSERT INTO orders VALUES (1); COMMIT', { transaction: undefined, mayCommit: true }],
    ['SELECT 1', { transaction: undefined, mayCommit: false, begins: false }],
    ['INSERT INTO orders VALUES (1)', { mayCommit: false }],
    ['CALL p()', { mayCommit: true }],
    ["DO 'BEGIN END'", { mayCommit: true }],
    ['not parsed', { mayCommit: true }],
  ])('%s', (sql, expected) => {
    expect(planOf(sql)).toMatchObject(expected);
    expect(binderOf().bind(factsOf(sql), undefined, undefined, 'app')).toMatchObject(expected);
    expect(planOf(sql).catalog).toBe(catalog);
  });
});
