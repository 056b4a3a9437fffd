/**
 * The admin console: who may run which command, and how a command is read. Fails if a user without the right gets one
 * through.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commands } from '../../src/console/commands.ts';
import { createConsole } from '../../src/console/console.ts';
import type { Console } from '../../src/console/console.ts';
import type { Value } from '../../src/console/types.ts';
import { WeirError } from '../../src/errors/errors.ts';
import { fakeSources } from './fakes.ts';
import type { FakeSources } from './fakes.ts';

const operator = { user: 'weir', database: 'weir', client: '10.0.0.9:50123' };

interface Bench {
  readonly sources: FakeSources;
  readonly console: Console;
  /** Runs the text as that user; rows of the last statement. */
  run(text: string, user?: string, signal?: AbortSignal): Promise<Value[][]>;
  /** The error it ends with, as "SQLSTATE message". */
  failure(text: string, user?: string): Promise<string>;
}

function bench(changes: Parameters<typeof fakeSources>[0] = {}): Bench {
  const sources = fakeSources(changes);
  const console = createConsole({
    sources,
    roleOf: (user) => (user === 'weir' ? 'admin' : user === 'stats' ? 'stats' : undefined),
    nowMs: () => 1000,
    log: () => {},
  });
  const run: Bench['run'] = async (text, user = 'weir', signal = new AbortController().signal) => {
    let rows: Value[][] = [];
    for (const statement of console.parse(text, operator)) {
      const result = await console.execute(statement, { user, database: 'weir', client: '127.0.0.1:50123', signal });
      rows = [...(result.rows ?? [])].map((row) => [...row]);
    }
    return rows;
  };
  return {
    sources,
    console,
    run,
    async failure(text, user) {
      try {
        await run(text, user);
      } catch (error) {
        if (error instanceof WeirError) return `${error.sqlstate} ${error.message}`;
        throw error;
      }
      return 'no failure';
    },
  };
}

/** One valid text for every command of the table. */
const examples: Readonly<Record<string, string>> = {
  'RESIZE POOL': 'RESIZE POOL shop.app MAX 40',
  PAUSE: 'PAUSE shop',
  RESUME: 'RESUME',
  DISABLE: 'DISABLE shop',
  ENABLE: 'ENABLE shop',
  RECONNECT: 'RECONNECT',
  WAIT_CLOSE: 'WAIT_CLOSE shop',
  'NODE ADD': "NODE ADD shop 'postgres://db4'",
  'NODE REMOVE': 'NODE REMOVE shop db4',
  DRAIN: 'DRAIN db2',
  UNDRAIN: 'UNDRAIN db2',
  KILL: 'KILL 7',
  KILL_CLIENT: 'KILL_CLIENT 7',
  RELOAD: 'RELOAD',
  SHUTDOWN: 'SHUTDOWN WAIT_FOR_SERVERS',
  SET: 'SET cache.ttl = 30s',
  INVALIDATE: 'INVALIDATE ALL',
  'EXPLAIN ROUTE': 'EXPLAIN ROUTE SELECT 1',
  'EXPLAIN POOL': 'EXPLAIN POOL shop.app',
};
const textOf = (name: string): string => examples[name] ?? name;

describe('who may run what', () => {
  for (const command of commands.values()) {
    it(`${command.name} is for ${command.role}`, async () => {
      const admin = bench();
      expect(await admin.failure(textOf(command.name), 'weir')).toBe('no failure');

      const stats = bench();
      const asStats = await stats.failure(textOf(command.name), 'stats');
      if (command.role === 'stats') {
        expect(asStats).toBe('no failure');
      } else {
        expect(asStats).toBe(`42501 user "stats" may not run ${command.name}`);
        expect(stats.sources.asked).toEqual([]);
      }

      const nobody = bench();
      expect(await nobody.failure(textOf(command.name), 'app')).toBe('28000 user "app" may not use the admin console');
      expect(nobody.sources.asked).toEqual([]);
    });
  }

  it('stats users have SHOW and EXPLAIN, nothing else', () => {
    const open = [...commands.values()].filter((command) => command.role === 'stats').map((command) => command.name);
    expect(open.filter((name) => !name.startsWith('SHOW '))).toEqual(['EXPLAIN ROUTE', 'EXPLAIN POOL']);
  });

  it('takes a role away at once', async () => {
    let role: 'admin' | undefined = 'admin';
    const sources = fakeSources();
    const console = createConsole({ sources, roleOf: () => role, nowMs: () => 0, log: () => {} });
    const [statement] = console.parse('RELOAD', operator);
    role = undefined;
    const by = { user: 'weir', database: 'weir', client: '127.0.0.1:50123', signal: new AbortController().signal };
    await expect(statement && console.execute(statement, by)).rejects.toThrow('may not use the admin console');
  });
});

it('RESTART begins one, or joins it, and shows it', async () => {
  expect(await bench().run('RESTART')).toEqual([
    [3, 'running', 4, 1, 'new', 2, '2026-01-02 03:04:05 UTC', null, null, null],
  ]);
});

describe('the language', () => {
  it.each([
    ['resize pool shop.app max 40;', 'resizePool {"database":"shop","user":"app","max":40}'],
    ['RESIZE POOL shop NODE db2 MIN 5 MAX 9', 'resizePool {"database":"shop","node":"db2","min":5,"max":9}'],
    ['RESIZE POOL "my.shop"."the.app" MIN 1', 'resizePool {"database":"my.shop","user":"the.app","min":1}', '*'],
    ['RESIZE POOL shop."app" MAX 3', 'resizePool {"database":"shop","user":"app","max":3}'],
    ['PAUSE', 'pause everything'],
    ['pause "shop" -- now', 'pause "shop"'],
    ['/* a /* nested */ comment */ RESUME shop', 'resume "shop"'],
    ['NODE REMOVE shop "db 4"', 'changeNodes {"do":"removeNode","database":"shop","node":"db 4"}'],
    ['DRAIN db2', 'setDraining "db2" true'],
    ['UNDRAIN db2', 'setDraining "db2" false'],
    ['KILL 7', 'killClient 7'],
    ['KILL shop', 'killDatabase "shop"'],
    ['KILL', 'killDatabase everything'],
    ['RESTART', 'restart'],
    ['SHUTDOWN', 'shutdown "now"'],
    ['SHUTDOWN wait_for_clients', 'shutdown "wait-for-clients"'],
    ["SET cache.ttl = '30s'", 'setSetting "cache.ttl" "30s"'],
    ['SET cache.ttl TO 30s', 'setSetting "cache.ttl" "30s"'],
    ['SET MAX_CLIENT_CONN=5', 'setSetting "max_client_conn" "5"'],
    [
      'INVALIDATE TABLE Users, sales."Orders"',
      'invalidate {"tables":[{"name":"users"},{"schema":"sales","name":"Orders"}],"tags":[],"patterns":[],"all":false}',
    ],
    ['INVALIDATE TAG user:42, a.b', 'invalidate {"tables":[],"tags":["user:42","a.b"],"patterns":[],"all":false}'],
    ['RESET STATEMENTS', 'resetStatements'],
    [
      `INVALIDATE PATTERN user:*, 'cart *'`,
      'invalidate {"tables":[],"tags":[],"patterns":["user:*","cart *"],"all":false}',
    ],
    ['INVALIDATE ALL', 'invalidate {"tables":[],"tags":[],"patterns":[],"all":true}'],
    ["EXPLAIN ROUTE SELECT ';' ; ", 'explainRoute {"sql":"SELECT \';\'","user":"weir"}'],
    ["EXPLAIN ROUTE SELECT 'unterminated", 'explainRoute {"sql":"SELECT \'unterminated","user":"weir"}'],
    [
      'explain route (database shop, user app) select 1',
      'explainRoute {"sql":"select 1","database":"shop","user":"app"}',
    ],
    ['EXPLAIN ROUTE (SELECT 1) UNION SELECT 2', 'explainRoute {"sql":"(SELECT 1) UNION SELECT 2","user":"weir"}'],
  ])('%s', async (text, asked, star = '') => {
    const { sources, run } = bench();
    const [row] = [...sources.databases()];
    if (star === '*' && row !== undefined) Object.assign(sources, { databases: () => [{ ...row, name: '*' }] });
    await run(text);
    expect(sources.asked).toEqual([asked]);
  });

  it.each([
    ['SHOW POLS', '42601 "SHOW POLS" is not a command of the admin console; did you mean SHOW POOLS?'],
    ['RELAOD', '42601 "RELAOD" is not a command of the admin console; did you mean RELOAD?'],
    ['SELECT * FROM users', '42601 "SELECT" is not a command of the admin console'],
    ['RESIZE POOL', '42601 missing name of a pool'],
    ['RESIZE POOL shop', '42601 RESIZE POOL wants MIN n, MAX n or both'],
    ['RESIZE POOL shop MAX many', '42601 MAX wants a whole number from 1 to 1000000, not "many"'],
    ['RESIZE POOL shop MAX -4', '42601 MAX wants a whole number from 1 to 1000000, not "-4"'],
    ['RESIZE POOL shop MAX 0', '42601 MAX must be at least 1: to stop a database, PAUSE it'],
    ['RESIZE POOL shop MIN 9 MAX 3', '42601 MIN 9 is more than MAX 3'],
    ['RESIZE POOL shop SIZE 9', '42601 RESIZE POOL takes NODE, MIN and MAX, not "SIZE"'],
    ['RESIZE POOL shoop MAX 3', '55000 there is no database "shoop"; did you mean "shop"?'],
    ['NODE ADD shop', "42601 missing URL of the node: write NODE ADD db 'postgres://host:5432'"],
    ["NODE ADD shop 'postgres://db4' COLOUR red", '42601 NODE ADD takes NAME, ZONE and WEIGHT, not "COLOUR"'],
    ['NODE REMOVE shop', '42601 missing name of a node'],
    ['PAUSE shop now', '42601 "now" is too much; the syntax is PAUSE [db]'],
    ['PAUSE "shop', '42601 unterminated quoted name'],
    ['PAUSE nowhere', '55000 there is no database "nowhere"'],
    ['DISABLE', '42601 missing name of a database'],
    ['KILL 99', '55000 there is no client 99; SHOW CLIENTS lists them by id'],
    ['DRAIN db9', '55000 there is no node "db9"; nodes are db1, db2'],
    ['SET cache.tl = 1', '55000 there is no setting "cache.tl"; did you mean cache.ttl?'],
    [
      'SET listen = x',
      '55000 listen cannot be changed while Weir runs: edit the configuration, and then it needs a new start of Weir',
    ],
    ['SET cache.ttl', '42601 write SET key = value'],
    ['SET cache.ttl =', '42601 missing value of "cache.ttl"'],
    ['INVALIDATE users', '42601 write INVALIDATE TABLE t, INVALIDATE TAG t, INVALIDATE PATTERN p or INVALIDATE ALL'],
    ['INVALIDATE PATTERN *a*b*c*d*e*', '42601 the pattern "*a*b*c*d*e*" has more than 5 stars'],
    ['INVALIDATE TABLE a.b.c', '42601 "a.b.c" is not a table name: write [schema.]table'],
    ['EXPLAIN ROUTE', '42601 EXPLAIN ROUTE wants a statement'],
    ['/* open', '42601 unterminated /* comment'],
  ])('refuses %s', async (text, expected) => {
    const { sources, failure } = bench();
    expect(await failure(text)).toBe(expected);
    expect(sources.asked.filter((line) => !/^(killClient 99|setDraining "db9")/.test(line))).toEqual([]);
  });

  it('runs several statements in order, but none if one of them is wrong', async () => {
    const { sources, run, failure } = bench();
    await run('PAUSE shop; RECONNECT shop;; RESUME shop;');
    expect(sources.asked).toEqual(['pause "shop"', 'reconnect "shop"', 'resume "shop"']);
    expect(await failure('PAUSE; RESUMEE')).toContain('42601');
    expect(sources.asked).toHaveLength(3);
  });

  it('answers what drivers say on their own, and changes nothing', async () => {
    const { sources, run, console } = bench();
    expect(console.parse(' ; ', operator)).toEqual([]);
    for (const text of [
      'BEGIN',
      'COMMIT',
      'DISCARD ALL',
      'SET application_name = x',
      "SET TIME ZONE 'UTC'",
      'RESET ALL',
    ]) {
      expect(await run(text, 'stats')).toEqual([]);
    }
    expect(await run('SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', 'stats')).toEqual([]);
    expect(await run('select 1', 'stats')).toEqual([[1]]);
    expect(await run('SELECT version()', 'stats')).toEqual([['PostgreSQL 16.0 (Weir 0.1.0)']]);
    expect(await run('SHOW transaction isolation level', 'stats')).toEqual([['read committed']]);
    expect(await run('SHOW cache.ttl', 'stats')).toEqual([['60s']]);
    expect(sources.asked).toEqual([]);
  });

  it('makes words of an error of the app, and keeps its own', async () => {
    const broken = bench({ reload: () => Promise.reject(new Error('weir.yaml: unknown key "pols"')) });
    expect(await broken.failure('RELOAD')).toBe('55000 RELOAD failed: weir.yaml: unknown key "pols"');
    const known = bench({ resume: () => Promise.reject(new WeirError('no_such_database', { database: 'x' })) });
    expect(await known.failure('RESUME')).toBe('3D000 database "x" is not configured in Weir');
  });

  it('lets go of a command whose operator cancelled, even if the action does not listen', async () => {
    const { run } = bench({ pause: () => new Promise<void>(() => {}) });
    const cancel = new AbortController();
    const waiting = run('PAUSE', 'weir', cancel.signal);
    cancel.abort();
    await expect(waiting).rejects.toThrow('canceling PAUSE due to user request');
  });

  it('gives an answer or a WeirError for any text', () => {
    const { console } = bench();
    const word = fc.constantFrom(
      ...[...commands.keys()].flatMap((name) => name.split(' ')),
      '"',
      "'",
      ';',
      '.',
      ',',
      '(',
      '--',
      '/*',
      '9',
      'x',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word, { maxLength: 8 }).map((words) => words.join(' ')),
        ),
        (text) => {
          try {
            console.parse(text, operator);
          } catch (error) {
            expect(error).toBeInstanceOf(WeirError);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});

it('NODE ADD looks at the node first, and adds it by its name', async () => {
  const { sources, run } = bench();
  await run("NODE ADD shop 'postgres://db4:5433/shop' WEIGHT 2.5 ZONE eu-1a");
  expect(sources.asked).toEqual([
    'tryNode {"database":"shop","url":"postgres://db4:5433/shop","zone":"eu-1a","weight":2.5}',
    'changeNodes {"do":"addNode","node":{"database":"shop","url":"postgres://db4:5433/shop","name":"db4","zone":"eu-1a","weight":2.5}}',
  ]);
});
