/** The verbs that speak to a running Weir, against a server that answers like its console. */
import { afterEach, describe, expect, it } from 'vitest';
import { lastClientLeft } from '../../src/console/sources.ts';
import type { FakeAnswer, FakeConsole } from './fake-console.ts';
import { boolType, int8Type, startFakeConsole, textType } from './fake-console.ts';
import type { CliRun, CliRunOptions } from './run-in-memory.ts';
import { fakeProcess, runInMemory } from './run-in-memory.ts';
import { verbsOf } from '../../src/cli/run.ts';

let running: FakeConsole | undefined;

afterEach(async () => {
  await running?.close();
  running = undefined;
});

async function weir(
  argv: readonly string[],
  answer: FakeAnswer | ((query: string) => FakeAnswer) = { tag: 'OK' },
  options: CliRunOptions & { password?: string } = {},
): Promise<CliRun & { queries: string[] }> {
  running = await startFakeConsole(typeof answer === 'function' ? answer : () => answer, options.password);
  const env = { WEIR_ADMIN_URL: `postgres://127.0.0.1:${running.port}`, ...options.env };
  return { ...(await runInMemory(argv, { ...options, env })), queries: running.queries };
}

const pools: FakeAnswer = {
  columns: [
    ['database', textType],
    ['user', textType],
    ['cl_active', int8Type],
    ['is_paused', boolType],
    ['why', textType],
  ],
  rows: [
    ['shop', 'app', '12', 'f', null],
    ['a-long-name', 'x', '7', 't', 'clients waited 38 ms'],
  ],
};

describe('SHOW verbs', () => {
  it.each(['pools', 'nodes', 'clients', 'servers', 'databases', 'stats', 'cache', 'budgets', 'config'])(
    'weir %s',
    async (verb) => {
      const run = await weir([verb], pools);
      expect(run.queries).toEqual([`SHOW ${verb.toUpperCase()}`]);
      expect(run.code).toBe(0);
      expect(run.err).toBe('');
      expect(run.out).toBe(
        [
          'database     user  cl_active  is_paused  why',
          'shop         app          12  f',
          'a-long-name  x             7  t          clients waited 38 ms',
          '',
        ].join('\n'),
      );
    },
  );

  it('weir connection-budget', async () => {
    const run = await weir(['connection-budget'], pools);
    expect([run.code, run.queries]).toEqual([0, ['SHOW CONNECTION_BUDGET']]);
  });

  it('as JSON, with numbers and booleans', async () => {
    const run = await weir(['pools', '--json'], pools);
    expect(JSON.parse(run.out)).toEqual([
      { database: 'shop', user: 'app', cl_active: 12, is_paused: false, why: null },
      { database: 'a-long-name', user: 'x', cl_active: 7, is_paused: true, why: 'clients waited 38 ms' },
    ]);
  });

  it('without the columns that say nothing where the terminal is too narrow', async () => {
    const wide: FakeAnswer = {
      columns: [
        ['name', textType],
        ['zero', int8Type],
        ['empty', textType],
        ['null', textType],
        ['some', int8Type],
      ],
      rows: [
        ['a', '0', '', null, '0'],
        ['b', '0', '', null, '5'],
      ],
    };
    const narrow = await weir(['pools'], wide, { columns: 20 });
    expect(narrow.out).toBe(
      'name  some\na        0\nb        5\n(3 columns with\nnothing in them are\nleft out: --wide\nshows them)\n',
    );
    await running?.close();
    expect((await weir(['pools'], wide, { columns: 80 })).out).toMatch(/^name  zero  empty  null  some\n/);
    await running?.close();
    expect((await weir(['pools', '--wide'], wide, { columns: 20 })).out).toMatch(/^name  zero  empty  null  some\n/);
  });

  it('pools: the most telling columns where not all fit', async () => {
    const run = await weir(['pools'], pools, { columns: 40 });
    expect(run.out).toBe(
      'database     user  cl_active\nshop         app          12\na-long-name  x             7\n' +
        '(2 columns are left out: --all shows all\nbelow each other, --wide in one line)\n',
    );
    await running?.close();
    const why = 'clients waited 38 ms'.repeat(3);
    const long: FakeAnswer = {
      columns: [
        ['database', textType],
        ['last_resize', textType],
      ],
      rows: [['shop', why]],
    };
    const cut = await weir(['pools'], long, { columns: 40 });
    expect(cut.out).toMatch(/^database  last_resize\nshop {6}clients waited 38 msclients w~\n\(long texts are cut: /);
    await running?.close();
    const whole = await weir(['pools', '--all'], long, { columns: 40 });
    for (const line of whole.out.split('\n')) expect(line.length).toBeLessThanOrEqual(40);
    expect(whole.out.replaceAll(/\s/g, '')).toContain(why.replaceAll(' ', ''));
  });

  it('one block a row where even that is too wide', async () => {
    const run = await weir(['pools', '--all'], pools, { columns: 40 });
    expect(run.out.split('\n').slice(0, 7)).toEqual([
      'database   shop',
      'user       app',
      'cl_active  12',
      'is_paused  f',
      'why',
      '',
      'database   a-long-name',
    ]);
  });

  it('no rows', async () => {
    const empty = { columns: [['id', int8Type] as const, ['user', textType] as const] };
    expect((await weir(['clients'], empty)).out).toBe('id  user\n(none)\n');
    await running?.close();
    expect((await weir(['clients', '--json'], empty)).out).toBe('[]\n');
  });

  it('control characters in names do not reach the terminal', async () => {
    const run = await weir(['clients'], { columns: [['name', textType]], rows: [['\u001b[2Jevil\n\u009b']] });
    expect(run.out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });
});

describe('commands', () => {
  it.each([
    [['pause'], ['PAUSE'], 'every database is paused'],
    [['pause', 'shop'], ['PAUSE "shop"'], 'shop is paused'],
    [['resume', 'my"shop'], ['RESUME "my""shop"'], 'my"shop goes on'],
    [['reload'], ['RELOAD'], 'the configuration was read again'],
    [['drain', '127.0.0.1:5433'], ['DRAIN "127.0.0.1:5433"'], '127.0.0.1:5433 gets no new work'],
    [['undrain', 'db2'], ['UNDRAIN "db2"'], 'db2 gets work again'],
    [['kill', '17'], ['KILL 17'], 'client 17 was disconnected'],
    [['invalidate', '--all'], ['INVALIDATE ALL'], 'dropped from the cache: everything'],
    [['invalidate', '--table', 'users', '--table', 'app."Orders"'], ['INVALIDATE TABLE users, app."Orders"'], 'users'],
    [['invalidate', '--table', 'a', 'b'], ['INVALIDATE TABLE a, b'], 'dropped from the cache: a, b'],
    [['invalidate', '--tag', 'user:42', '--tag', "it's"], ['INVALIDATE TAG "user:42", "it\'s"'], 'user:42'],
    [['invalidate', '--pattern', 'user:*', 'a*'], ['INVALIDATE PATTERN "user:*", "a*"'], 'user:*, a*'],
    [['invalidate', '--table', 't', '--tag', 'u'], ['INVALIDATE TABLE t', 'INVALIDATE TAG "u"'], 't, u'],
    [
      ['node', 'add', 'shop', 'postgres://db4:5433/shop', '--weight', '2', '--zone', 'eu-1a', '--name', "d'b4"],
      [`NODE ADD "shop" 'postgres://db4:5433/shop' WEIGHT '2' ZONE 'eu-1a' NAME 'd''b4'`],
      'the node was added to shop',
    ],
    [
      ['node', 'add', 'shop', 'postgres://db4', 'weight=0.5', 'zone=eu-1a'],
      [`NODE ADD "shop" 'postgres://db4' WEIGHT '0.5' ZONE 'eu-1a'`],
      'the node was added to shop',
    ],
    [['node', 'remove', 'shop', 'db4'], ['NODE REMOVE "shop" "db4"'], 'db4 is no node of shop any more'],
    [['resize', 'shop', '--max', '40'], ['RESIZE POOL "shop" MAX 40'], 'shop was resized'],
    [
      ['resize', 'shop.app.web', '--node', 'db1', '--min', '2', '--max', '40'],
      ['RESIZE POOL "shop"."app.web" NODE "db1" MIN 2 MAX 40'],
      'shop.app.web was resized',
    ],
    [['resize', '"my.shop".app', '--min', '0'], ['RESIZE POOL "my.shop".app MIN 0'], 'was resized'],
    [['explain', 'SELECT 1'], ['EXPLAIN ROUTE SELECT 1'], '(no answer)'],
    [['explain', '--pool', 'shop.app.web'], ['EXPLAIN POOL "shop"."app.web"'], '(no answer)'],
    [
      ['explain', '--database', 'shop', '--user', 'app', 'SELECT 1'],
      ['EXPLAIN ROUTE (DATABASE "shop", USER "app") SELECT 1'],
      '(no answer)',
    ],
  ])('weir %j', async (argv, queries, said) => {
    const run = await weir(argv);
    expect(run.queries).toEqual(queries);
    expect(run.out).toContain(said);
    expect(run.code).toBe(0);
  });

  const poolColumns = ['database', 'user', 'node', 'item', 'value'].map((name) => [name, textType] as const);
  const poolRows = [
    ['shop', 'app', 'db1', 'size', 'may have 20'],
    ['shop', 'app', 'db1', 'would grow', 'when clients wait\u001b[2J'],
    ['shop', 'app', 'db2', 'size', 'may have 3'],
  ];

  it('explain --pool prints a line for each item', async () => {
    const run = await weir(['explain', '--pool', 'shop'], { columns: poolColumns, rows: poolRows });
    expect(run.out).toBe(
      [
        'shop.app on db1',
        '  size               may have 20',
        '  would grow         when clients wait [2J',
        '',
        'shop.app on db2',
        '  size               may have 3',
        '',
      ].join('\n'),
    );
    await running?.close();
    const asJson = await weir(['explain', '--pool', 'shop', '--json'], { columns: poolColumns, rows: poolRows });
    expect((JSON.parse(asJson.out) as object[])[0]).toEqual({
      database: 'shop',
      user: 'app',
      node: 'db1',
      item: 'size',
      value: 'may have 20',
    });
  });

  it('resize prints before -> after', async () => {
    const run = await weir(['resize', 'shop.app', '--max', '40'], {
      columns: [
        ['database', textType],
        ['user', textType],
        ['node', textType],
        ['before', int8Type],
        ['after', int8Type],
        ['min', int8Type],
        ['max', int8Type],
      ],
      rows: [
        ['shop', 'app', 'db1', '20', '40', '0', '40'],
        ['shop', 'app', 'db2', '60', '40', '0', '40'],
      ],
      tag: 'RESIZE',
    });
    expect(run.out).toBe('shop.app on db1: 20 -> 40 (min 0, max 40)\nshop.app on db2: 60 -> 40 (min 0, max 40)\n');
  });

  it('notices go to standard error', async () => {
    const run = await weir(['reload'], { tag: 'RELOAD', notices: ['listen needs a restart'] });
    expect(run.err).toBe('NOTICE: listen needs a restart\n');
    expect(run.code).toBe(0);
  });

  it('a refusal is exit code 1, with everything that the console said', async () => {
    const error = { message: 'there is no node "db9"', code: '55000', detail: 'd', hint: 'SHOW NODES lists them.' };
    const run = await weir(['drain', 'db9'], { error });
    expect(run.code).toBe(1);
    expect(run.out).toBe('');
    expect(run.err).toBe('ERROR: there is no node "db9"\nDETAIL: d\nHINT: SHOW NODES lists them.\n');
  });

  it('the second of two commands is not sent when the first is refused', async () => {
    const run = await weir(['invalidate', '--table', 't', '--tag', 'u'], { error: { message: 'no' } });
    expect(run.queries).toEqual(['INVALIDATE TABLE t']);
    expect(run.code).toBe(1);
  });
});

describe('connecting', () => {
  it('logs in as weir to database weir unless the URL says otherwise', async () => {
    await weir(['pools'], pools);
    expect(running?.startups[0]).toMatchObject({ user: 'weir', database: 'weir', application_name: 'weir cli' });
    const url = `postgres://ops@127.0.0.1:${running?.port}/pgbouncer`;
    await runInMemory(['pools', '--url', url]);
    expect(running?.startups[1]).toMatchObject({ user: 'ops', database: 'pgbouncer' });
  });

  it('takes the password from the URL or from PGPASSWORD', async () => {
    expect((await weir(['pools'], pools, { password: 'hunter2', env: { PGPASSWORD: 'hunter2' } })).code).toBe(0);
    const port = running?.port;
    expect((await runInMemory(['pools', '--url', `postgres://weir:hunter2@127.0.0.1:${port}`])).code).toBe(0);
  });

  it('a wrong password, and none', async () => {
    const wrong = await weir(['pools'], pools, { password: 'right', env: { PGPASSWORD: 'hunter2' } });
    expect(wrong.code).toBe(1);
    expect(wrong.err).toContain('password authentication failed');
    expect(wrong.err).toContain('HINT: Give the password');
    const none = await runInMemory(['pools', '--url', `postgres://127.0.0.1:${running?.port}`]);
    expect(none.code).toBe(1);
    expect(none.err).toMatch(/password/);
    expect(wrong.err + none.err).not.toContain('hunter2');
  });

  it('nobody there', async () => {
    const fake = await startFakeConsole(() => ({}));
    await fake.close();
    const run = await runInMemory(['pools', '--url', `postgres://weir:hunter2@127.0.0.1:${fake.port}`]);
    expect(run.code).toBe(1);
    expect(run.err).toBe(
      `cannot reach Weir at 127.0.0.1:${fake.port} (ECONNREFUSED): is it running? --url or WEIR_ADMIN_URL says where it is\n`,
    );
  });

  it.each(['nonsense', 'http://127.0.0.1:9432'])('a URL that is none: %s', async (url) => {
    const run = await runInMemory(['pools', '--url', url]);
    expect(run.code).toBe(1);
    expect(run.err).toContain('the URL of the admin console');
  });
});

describe('weir drain --wait', () => {
  const lists = (clients: number): FakeAnswer => ({
    columns: [
      ['list', textType],
      ['items', int8Type],
    ],
    rows: [['used_clients', String(clients)]],
  });
  const end = (detail?: string): FakeAnswer => ({
    error: { code: '57P01', message: 'Weir is shutting down', ...(detail === undefined ? {} : { detail }) },
  });
  const wait = ['drain', '--wait', '--timeout', '40ms'];
  /** What SHOW LISTS gets, the last one for ever. */
  const answering = (...answers: FakeAnswer[]): ((query: string) => FakeAnswer) => {
    return (query) =>
      (query.startsWith('SHOW') ? (answers.length > 1 ? answers.shift() : answers[0]) : undefined) ?? {};
  };

  it('ends with the last client', async () => {
    const run = await weir(wait, answering(lists(2), end(lastClientLeft)));
    expect(run.queries).toEqual(['SHUTDOWN WAIT_FOR_CLIENTS', 'SHOW LISTS', 'SHOW LISTS']);
    expect(run).toMatchObject({
      code: 0,
      out: 'the last client has left\n',
      err: 'no new clients; 2 clients are still connected\n',
    });
  });

  it('as JSON, and at once where there is none', async () => {
    const run = await weir([...wait, '--json'], answering(end(lastClientLeft)));
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse(run.out)).toEqual([{ clients: 0 }]);
  });

  it.each([1, 12])('gives up after --timeout with %i connected', async (clients) => {
    const run = await weir(wait, answering(lists(clients)));
    expect(run.code).toBe(1);
    expect(run.err).toContain(`${clients === 1 ? '1 client is' : '12 clients are'} still connected after 40ms\nHINT: `);
  });

  it('does not take another end for the last client', async () => {
    const told = await weir(wait, answering(lists(2), end()));
    expect(told.code).toBe(1);
    expect(told.err).toContain('Weir was told not to wait any longer');
    await running?.close();
    const refused = await weir(wait, { error: { message: 'only for admin users' } });
    expect([refused.code, refused.err]).toEqual([1, 'ERROR: only for admin users\n']);
  });

  it('says so when the connection is lost', async () => {
    const run = await weir(['drain', '--wait'], (query) => {
      if (query.startsWith('SHOW')) setTimeout(() => void running?.close(), 20);
      return lists(3);
    });
    expect(run.code).toBe(1);
    expect(run.err).toContain('the connection was lost');
  });
});

describe('weir restart', () => {
  const columns: FakeAnswer['columns'] = [
    ['restart', int8Type],
    ['state', textType],
    ['workers', int8Type],
    ['replaced', int8Type],
    ['started_at', textType],
    ['problem', textType],
  ];
  const at = '2026-01-02 03:04:05 UTC';
  const row = (state: string, replaced: number, problem: string | null = null, number = 7): (string | null)[] => {
    return [String(number), state, '3', String(replaced), at, problem];
  };
  const answering = (...then: FakeAnswer[]): ((query: string) => FakeAnswer) => {
    return (query) =>
      query === 'RESTART'
        ? { columns, rows: [row('running', 0)], tag: 'RESTART' }
        : ((then.length > 1 ? then.shift() : then[0]) ?? {});
  };

  it('waits until all are replaced', async () => {
    const run = await weir(
      ['restart'],
      answering({ columns, rows: [row('running', 1)] }, { columns, rows: [row('done', 3)] }),
    );
    expect(run.queries).toEqual(['RESTART', 'SHOW RESTARTS', 'SHOW RESTARTS']);
    expect(run).toMatchObject({ code: 0, out: 'the supervisor and all 3 workers are replaced\n', err: '' });
  });

  it('as JSON, and finds its own restart when another has begun', async () => {
    const rows = [row('running', 0, null, 8), row('done', 3)];
    const run = await weir(['restart', '--json'], answering({ columns, rows }));
    expect(run.code).toBe(0);
    expect(JSON.parse(run.out)).toEqual([
      { restart: 7, state: 'done', workers: 3, replaced: 3, started_at: at, problem: null },
    ]);
  });

  it('says why the old workers were kept', async () => {
    const run = await weir(
      ['restart'],
      answering({ columns, rows: [row('failed', 0, 'no worker is replaced: crashed')] }),
    );
    expect(run).toMatchObject({ code: 1, out: '', err: 'ERROR: no worker is replaced: crashed\n' });
  });

  it('asks on when its console has ended with its worker', async () => {
    const ended: FakeAnswer = { error: { code: '57P01', message: 'Weir is shutting down' } };
    const run = await weir(['restart'], answering(ended, { columns, rows: [row('done', 3)] }));
    expect(run).toMatchObject({ code: 0, out: 'the supervisor and all 3 workers are replaced\n', err: '' });
  });

  it('gives up after --timeout; the restart goes on', async () => {
    const run = await weir(['restart', '--timeout', '40ms'], answering({ columns, rows: [row('running', 2)] }));
    expect(run.code).toBe(1);
    expect(run.err).toContain('2 of 3 workers are replaced after 40ms\nHINT: The restart goes on.');
  });

  it('does not take the restart of another Weir for its own', async () => {
    const run = await weir(['restart'], answering({ columns, rows: [] }));
    expect(run).toMatchObject({ code: 1, err: 'Weir was stopped and started while its workers were replaced\n' });
  });

  it('says what one process says', async () => {
    const run = await weir(['restart'], { error: { message: 'this Weir is one process', detail: 'Start the new' } });
    expect(run).toMatchObject({ code: 1, err: 'ERROR: this Weir is one process\nDETAIL: Start the new\n' });
  });
});

describe('wrong usage is exit code 2, and nothing is sent', () => {
  it.each([
    [[], 'usage: weir COMMAND'],
    [['poolz'], 'there is no command poolz; did you mean pools?'],
    [['top', 'now'], 'too many arguments: now'],
    [['top', '--page', 'x'], '--page x: write one of pools, nodes, statements, clients'],
    [['top', '--count', '0'], '--count 0: not a number of looks'],
    [['top', '--delay', '0'], '--delay 0: write seconds from 0.1 to 3600'],
    [['pools', 'shop'], 'too many arguments: shop'],
    [['pools', '--jsn'], "Unknown option '--jsn'"],
    [['pools', '--url'], "'--url <value>' argument missing"],
    [['restart', 'now'], 'too many arguments: now'],
    [['restart', '--timeout', '30'], '--timeout 30 has no unit: write 30s'],
    [['drain'], 'missing NODE'],
    [['drain', ' '], 'NODE is empty'],
    [['drain', '--wait', 'db2'], '--wait drains Weir itself: leave out db2'],
    [['drain', 'db2', '--timeout', '3s'], '--timeout is for --wait'],
    [['drain', '--wait', '--timeout', '30'], '--timeout 30 has no unit: write 30s'],
    [['pause', 'a', 'b'], 'too many arguments: b'],
    [['kill', 'shop'], 'not the id of a client'],
    [['node'], 'missing add or remove'],
    [['node', 'drop', 'shop', 'db4'], 'write add or remove'],
    [['node', 'add', 'shop'], 'missing DATABASE URL'],
    [['node', 'add', 'shop', 'postgres://db4', 'colour=red'], 'colour=red: write weight=N'],
    [['node', 'remove', 'shop', 'db4', 'db5'], 'too many arguments: db5'],
    [['resize', '--max', '4'], 'missing DATABASE[.USER]'],
    [['resize', 'shop'], 'give --min, --max or both'],
    [['resize', 'shop', '--max', 'many'], '--max many: not a number'],
    [['resize', 'shop', '--max', '0'], 'at least one connection'],
    [['resize', 'shop', '--min', '5', '--max', '4'], '--min 5 is more than --max 4'],
    [['invalidate'], 'give --table, --tag, --pattern or --all'],
    [['invalidate', '--all', '--tag', 'x'], 'give --table, --tag, --pattern or --all'],
    [['invalidate', '--table', 'a; DROP'], 'not a table name'],
    [['invalidate', '--table', 'a', '--tag', 'b', 'c'], 'write --table, --tag or --pattern before c'],
    [['explain'], 'missing "SQL"'],
    [['explain', 'SELECT', '1'], 'too many arguments: 1'],
    [['help', 'poolz'], 'did you mean pools?'],
    [['serve'], 'give FILE, or --primary URL'],
    [['check', 'weir.yaml', 'pgbouncer.ini'], 'unexpected argument pgbouncer.ini'],
    [['serve', 'weir.yaml', '--config', 'pgbouncer.ini'], 'two files: weir.yaml and pgbouncer.ini'],
    [['convert'], 'missing PGBOUNCER.INI'],
  ])('weir %j', async (argv, said) => {
    const run = await weir(argv);
    expect([run.code, run.out, run.queries]).toEqual([2, '', []]);
    expect(run.err).toContain(said);
  });
});

describe('help and version', () => {
  it('the overview has every verb', async () => {
    const { code, out } = await runInMemory(['help']);
    expect(code).toBe(0);
    const verbs = verbsOf([], { loadApp: () => Promise.reject(new Error('nothing is served')), events: fakeProcess() });
    // What Weir starts itself.
    const own = ['daemon', 'worker', 'successor'];
    for (const verb of verbs.keys()) if (!own.includes(verb)) expect(out).toMatch(new RegExp(`^  ${verb} +\\S`, 'm'));
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
  });

  it('each verb has its own', async () => {
    for (const argv of [
      ['help', 'resize'],
      ['resize', '--help'],
      ['resize', 'shop', '-h'],
    ]) {
      const { code, out } = await runInMemory(argv);
      expect(code).toBe(0);
      expect(out).toContain('usage: weir resize DATABASE[.USER] [--node NAME] [--min N] [--max N]');
      expect(out).toContain('--json');
    }
  });

  it('the version is that of the package', async () => {
    expect((await runInMemory(['version'])).out).toMatch(/^Weir \d+\.\d+\.\d+/);
    expect((await runInMemory(['--version'])).code).toBe(0);
  });
});
