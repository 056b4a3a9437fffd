/** Settings that follow a client: what is replayed, and what transactions and savepoints make of them. */
import { describe, expect, test } from 'vitest';
import { Random } from '../../soak/random.ts';
import { Learned } from '../../src/session/learned.ts';
import { Settings, replaySql, settingFromText } from '../../src/session/settings.ts';
import { parseOptions, readStartup } from '../../src/session/startup.ts';
import { SessionState } from '../../src/session/state.ts';
import { createClassifier } from '../../src/sql/classifier.ts';

const classifier = await createClassifier();

function run(state: SessionState, sql: string, tag = 'SET'): void {
  for (const facts of classifier.classify(Buffer.from(sql)).facts.statements) state.statementDone(facts, tag);
}

function fresh(start = Settings.none): SessionState {
  return new SessionState(start, new Map());
}

describe('replay', () => {
  const a = Settings.of([['work_mem', settingFromText('work_mem', '1MB')]]);

  test('nothing when the server already looks right', () => {
    expect(replaySql(a, a)).toBeUndefined();
    expect(replaySql(a, Settings.of([['work_mem', settingFromText('work_mem', '1MB')]]))).toBeUndefined();
  });

  test('resets what the last client had and sets what this one has', () => {
    const b = Settings.of([['search_path', settingFromText('search_path', 'a, b')]]);
    expect(replaySql(a, b)).toBe(`RESET "work_mem"; SELECT pg_catalog.set_config('search_path', 'a, b', false)`);
  });

  test('quotes what could be read as something else', () => {
    expect(settingFromText('app.x', "it's \\ here").sql).toContain("E'it''s \\\\ here'");
  });
});

describe('transactions', () => {
  test('COMMIT keeps, ROLLBACK forgets', () => {
    const state = fresh();
    run(state, "SET statement_timeout = '3s'");
    run(state, 'COMMIT', 'COMMIT');
    expect(state.settings.get('statement_timeout')).toBe('3s');
    run(state, "SET statement_timeout = '4s'");
    expect(state.live.get('statement_timeout')).toBe('4s');
    run(state, 'ROLLBACK', 'ROLLBACK');
    expect(state.settings.get('statement_timeout')).toBe('3s');
  });

  test('ROLLBACK TO goes back to the savepoint', () => {
    const state = fresh();
    run(state, 'SET work_mem = 1000');
    run(state, 'SAVEPOINT s', 'SAVEPOINT');
    run(state, 'SET work_mem = 2000');
    run(state, 'ROLLBACK TO s', 'ROLLBACK');
    state.ended(true);
    expect(state.settings.get('work_mem')).toBe('1000');
  });

  test('SET LOCAL does not outlive its transaction', () => {
    const state = fresh();
    run(state, 'SET LOCAL work_mem = 1000');
    state.ended(true);
    expect(state.settings.get('work_mem')).toBeUndefined();
  });

  test('a COMMIT that answers ROLLBACK was one', () => {
    const state = fresh();
    run(state, 'SET work_mem = 1000');
    run(state, 'COMMIT', 'ROLLBACK');
    expect(state.settings.get('work_mem')).toBeUndefined();
  });

  test('RESET goes back to what the client started with', () => {
    const state = fresh(Settings.of([['work_mem', settingFromText('work_mem', '9MB')]]));
    run(state, 'SET work_mem = 1000');
    run(state, 'RESET work_mem', 'RESET');
    state.ended(true);
    expect(state.settings.get('work_mem')).toBe('9MB');
  });
});

describe('what the server reports', () => {
  test('is followed when a function changed it', () => {
    const state = new SessionState(Settings.none, new Map([['TimeZone', 'UTC']]));
    state.parameterChanged('TimeZone', 'Asia/Tokyo');
    state.ended(true);
    expect(state.settings.get('timezone')).toBe('Asia/Tokyo');
    expect(state.reported.get('TimeZone')).toBe('Asia/Tokyo');
  });

  test('is nothing when a ROLLBACK took it back', () => {
    const state = new SessionState(Settings.none, new Map([['TimeZone', 'UTC']]));
    state.parameterChanged('TimeZone', 'Asia/Tokyo');
    state.parameterChanged('TimeZone', 'UTC');
    state.ended(false);
    expect(state.settings.size).toBe(0);
  });
});

describe('startup', () => {
  test('options in all their spellings', () => {
    expect(parseOptions('-c a=1 -cb=2 --c-d=3 -c x=a\\ b')).toEqual([
      ['a', '1'],
      ['b', '2'],
      ['c_d', '3'],
      ['x', 'a b'],
    ]);
    expect(() => parseOptions('-B 100')).toThrow(/-B/);
  });

  test('asking for what the server does anyway is no setting', () => {
    const { byLowerName } = new Learned(
      new Map([
        ['client_encoding', 'UTF8'],
        ['DateStyle', 'ISO, MDY'],
      ]),
    );
    const parameters = new Map([
      ['client_encoding', 'utf-8'],
      ['DateStyle', 'ISO'],
      ['options', '-c weir.route=replica'],
      ['application_name', 'x'],
    ]);
    const { settings, preferences } = readStartup(parameters, byLowerName);
    expect([...settings.names()]).toEqual(['application_name']);
    expect(preferences.route).toBe('replica');
  });
});

test('many settings, changed one by one, are those of a plain map', () => {
  const random = new Random(12_345);
  const plain = new Map<string, ReturnType<typeof settingFromText>>();
  let settings = Settings.none;
  for (let step = 0; step < 4_000; step++) {
    const name = `app.x${random.below(400)}`;
    const before = { settings, key: step % 97 === 0 ? settings.key : undefined };
    const isSet = random.below(3) > 0;
    const setting = isSet ? settingFromText(name, String(step)) : undefined;
    settings = settings.with(name, setting);
    if (setting === undefined) plain.delete(name);
    else plain.set(name, setting);
    expect(settings.size).toBe(plain.size);
    expect(settings.get(name)).toBe(setting?.plain);
    if (before.key === undefined) continue;
    expect(before.settings.key).toBe(before.key);
    expect([...settings.names()].sort()).toEqual([...plain.keys()].sort());
    expect(settings.key).toBe(Settings.of(plain).key);
  }
  expect(settings.size).toBeGreaterThan(200);
});
