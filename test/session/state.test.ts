/** Pins come and go with their transactions; what a server has reset and what a client has been told. */
import { describe, expect, test } from 'vitest';
import type { SessionEffects } from '../../src/binding/plan.ts';
import { NO_EFFECTS } from '../../src/binding/effects.ts';
import { unknownPath } from '../../src/session/reading.ts';
import { Settings, settingFromText } from '../../src/session/settings.ts';
import { SessionState } from '../../src/session/state.ts';
import { createClassifier } from '../../src/sql/classifier.ts';

const classifier = await createClassifier();

function run(state: SessionState, sql: string, tag = 'SET'): void {
  for (const facts of classifier.classify(Buffer.from(sql)).facts.statements) state.statementDone(facts, tag);
}

const fresh = (start = Settings.none, reported = new Map<string, string>()): SessionState =>
  new SessionState(start, reported);
const pinning = (...pins: SessionEffects['pins']): SessionEffects => ({ ...NO_EFFECTS, pins });
const ending = (...unpins: SessionEffects['unpins']): SessionEffects => ({ ...NO_EFFECTS, unpins });

describe('pins', () => {
  test('stay when their transaction commits', () => {
    const state = fresh();
    state.applyEffects(pinning('temporary table'));
    state.ended(true);
    expect([...state.pins]).toEqual(['temporary table']);
  });

  test('go with a rollback, but not those that a rollback leaves', () => {
    const state = fresh();
    state.applyEffects(pinning('temporary table', 'advisory lock', 'PREPARE'));
    state.ended(false);
    expect([...state.pins]).toEqual(['advisory lock', 'PREPARE']);
  });

  test('an end that was rolled back was none', () => {
    const state = fresh();
    state.applyEffects(pinning('LISTEN'));
    state.ended(true);
    state.applyEffects(ending('LISTEN'));
    expect(state.isPinned).toBe(false);
    state.ended(false);
    expect([...state.pins]).toEqual(['LISTEN']);
  });

  test('of a text that failed are those that outlive it, and all if it may have committed on the way', () => {
    const state = fresh();
    state.pinForGood(pinning('temporary table', 'advisory lock'), false);
    expect([...state.pins]).toEqual(['advisory lock']);
    state.pinForGood(pinning('temporary table', 'advisory lock'), true);
    expect([...state.pins]).toEqual(['advisory lock', 'temporary table']);
  });
});

test('a temporary table that was committed in the middle of a text outlives the rollback of what came behind it', () => {
  const state = fresh();
  run(state, "SET work_mem = '1MB'");
  state.pinForGood(pinning('temporary table'), true);
  state.ended(false);
  expect([...state.pins]).toEqual(['temporary table']);
});

describe('RESET', () => {
  const start = Settings.of([
    ['work_mem', settingFromText('work_mem', '9MB')],
    ['app.x', settingFromText('app.x', 'y')],
  ]);

  test('leaves the server at its own default: the client’s start has to be set again', () => {
    const state = fresh(start);
    run(state, 'RESET work_mem', 'RESET');
    state.ended(true);
    expect(state.settings.get('work_mem')).toBe('9MB');
    const onServer = state.takeOnServer();
    expect([onServer.get('work_mem'), onServer.get('app.x')]).toEqual([undefined, 'y']);
    expect(state.takeOnServer()).toBe(state.settings);
  });

  test('RESET ALL does so with all of them, unless it is rolled back', () => {
    const state = fresh(start);
    run(state, 'RESET ALL', 'RESET');
    state.ended(true);
    expect(state.takeOnServer().size).toBe(0);
    run(state, 'RESET ALL', 'RESET');
    state.ended(false);
    expect(state.takeOnServer()).toBe(state.settings);
  });

  test('and SET after it makes it good', () => {
    const state = fresh(start);
    run(state, "RESET work_mem; SET work_mem = '1MB'");
    state.ended(true);
    expect(state.takeOnServer().get('work_mem')).toBe('1MB');
  });
});

test('a seed is nothing to replay', () => {
  const state = fresh();
  run(state, 'SET SEED TO 0.5');
  state.ended(true);
  expect(state.settings.size).toBe(0);
});

test('a client is told once what a replay changed, and never what follows the server', () => {
  const state = fresh(Settings.none, new Map([['TimeZone', 'UTC']]));
  const server = new Map([
    ['TimeZone', 'Asia/Tokyo'],
    ['in_hot_standby', 'on'],
  ]);
  expect(state.untold(server)).toEqual([['TimeZone', 'Asia/Tokyo']]);
  expect(state.untold(server)).toEqual([]);
});

describe('what texts are read by', () => {
  test('is what is in force, LOCAL or not, and what was before when that ends', () => {
    const state = fresh();
    const path = (): string | undefined => state.reading.searchPath;
    run(state, 'BEGIN; SET search_path = a; SAVEPOINT s; SET LOCAL search_path = b');
    expect(path()).toBe('b');
    run(state, 'ROLLBACK TO s', 'ROLLBACK');
    expect(path()).toBe('a');
    run(state, "SELECT set_config('search_path', 'c', true)", 'SELECT 1');
    expect(path()).toBe('c');
    state.ended(true);
    expect(path()).toBe('a');
  });

  test('is not known behind a set_config() that cannot be followed', () => {
    const state = fresh();
    run(state, 'SELECT set_config(k, v, true) FROM t', 'SELECT 2');
    expect(state.reading.searchPath).toBe(unknownPath);
    state.ended(true);
    expect(state.reading.searchPath).toBeUndefined();
    state.applyEffects(pinning('setting that cannot be replayed'));
    run(state, 'SELECT set_config(k, v, false) FROM t', 'SELECT 2');
    state.ended(true);
    expect(state.reading.searchPath).toBe(unknownPath);
    run(state, 'RESET ALL', 'RESET');
    state.ended(true);
    expect(state.reading.searchPath).toBeUndefined();
  });

  test('a SELECT without a row has set nothing', () => {
    const state = fresh();
    run(state, "SELECT set_config('lock_timeout', '1s', false) FROM t", 'SELECT 0');
    state.ended(true);
    expect(state.settings).toBe(Settings.none);
  });
});
