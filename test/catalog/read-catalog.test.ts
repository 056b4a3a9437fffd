/** Reading a catalog from scripted rows: what integration/catalog.test.ts cannot make a server say. */
import { describe, expect, test } from 'vitest';
import { catalogFingerprint, readCatalog } from '../../src/catalog/read-catalog.ts';
import { QUERIES } from '../../src/catalog/queries.ts';
import { isSameFor, keptDefaults } from '../../src/catalog/defaults.ts';
import type { Catalog, SessionDefaults } from '../../src/catalog/types.ts';

type Row = Record<string, unknown>;
type Script = Partial<Record<keyof typeof QUERIES, Row[] | Error>>;

const HEADER: Row = { oid: 5, version: '180000' };

function scripted(
  script: Script,
  more: (sql: string) => Row[] = () => [],
): { query: (sql: string) => Promise<Row[]>; log: string[] } {
  const log: string[] = [];
  const answers: Script = {
    header: [HEADER],
    searchPath: [{ path: '"$user", public', source: 'default' }],
    system: [{ id: '77' }],
    ...script,
  };
  const query = (sql: string): Promise<Row[]> => {
    log.push(sql);
    const name = (Object.keys(QUERIES) as (keyof typeof QUERIES)[]).find((key) => QUERIES[key] === sql);
    const answer = name === undefined ? more(sql) : (answers[name] ?? []);
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
  return { query, log };
}

const read = (script: Script): Promise<Catalog> => readCatalog(scripted(script).query);

const table = (oid: number, name: string, more: Row = {}): Row => ({
  oid,
  schema: 'public',
  name,
  kind: 'r',
  persistence: 'p',
  rls: 0,
  type: oid + 50_000,
  ...more,
});

const func = (oid: number, name: string, more: Row = {}): Row => ({
  oid,
  schema: oid < 16384 ? 'pg_catalog' : 'public',
  name,
  volatility: 'i',
  kind: 'f',
  language: 'sql',
  args: 0,
  defaults: 0,
  variadic: 0,
  aggregate: null,
  parts: '',
  tokens: null,
  defining: 0,
  columnlike: 0,
  body: null,
  ...more,
});

describe('one reading', () => {
  test('is one read-only transaction with nothing in front of pg_catalog', async () => {
    const { query, log } = scripted({});
    const catalog = await readCatalog(query);
    expect(log[0]).toBe('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    expect(log.indexOf('SET LOCAL search_path = pg_catalog')).toBeLessThan(log.indexOf(QUERIES.relations));
    expect(log.at(-1)).toBe('COMMIT');
    expect(catalog.tagPrefix).toBe('77.5:');
    expect(catalog.notes).toEqual([]);
  });

  test('has a version that grows', async () => {
    const first = await read({});
    const second = await read({});
    expect(second.version).toBeGreaterThan(first.version);
    expect((await readCatalog(scripted({}).query, { version: 7 })).version).toBe(7);
  });

  test('goes on without what it is not allowed to read, and says so', async () => {
    const catalog = await read({ system: new Error('permission denied'), roleSettings: new Error('no') });
    expect(catalog.tagPrefix).toBe('cluster.5:');
    expect(catalog.notes).toEqual([
      'pg_control_system() is not allowed: permission denied',
      'pg_db_role_setting cannot be read: no',
    ]);
  });

  test('rejects when anything else fails, and ends its transaction', async () => {
    const { query, log } = scripted({ policies: new Error('permission denied for table pg_policy') });
    await expect(readCatalog(query)).rejects.toThrow('permission denied for table pg_policy');
    expect(log.at(-1)).toBe('ROLLBACK');
  });

  test('takes numbers as text, too, and refuses what is no number', async () => {
    const catalog = await read({ relations: [table(0, 't', { oid: '20001', rls: '1' })] });
    expect(catalog.relationByOid(20001)).toMatchObject({ name: 't', hasRowSecurity: true });
    await expect(read({ relations: [table(0, 't', { oid: 'x' })] })).rejects.toThrow(
      'catalog column oid is not a number',
    );
  });
});

describe('search paths', () => {
  const path = (role: string | null, database: number, value: string): Row => ({
    ...{ role, database, name: 'search_path', value },
  });
  const settings = [
    path('a', 0, 'a_everywhere'),
    path('b', 5, 'b_here'),
    path('b', 0, 'b_everywhere'),
    path(null, 5, 'of_database'),
    path(null, 0, 'of_cluster'),
  ];

  test('the most special setting counts', async () => {
    const catalog = await read({ roleSettings: settings });
    expect(catalog.searchPathOf('a')).toBe('a_everywhere');
    expect(catalog.searchPathOf('b')).toBe('b_here');
    expect(catalog.searchPathOf('c')).toBe('of_database');
    expect(catalog.defaultSearchPath).toBe('of_database');
  });

  test("the probe's own path is not everybody's", async () => {
    const mine = { path: 'mine', source: 'configuration file' };
    expect((await read({ searchPath: [mine] })).defaultSearchPath).toBe('mine');
    expect((await read({ searchPath: [{ ...mine, source: 'database user' }] })).defaultSearchPath).toBe(
      '"$user", public',
    );
  });
});

describe('defaults of sessions', () => {
  const one = (role: string | null, database: number, name: string, value: string): Row => ({
    ...{ role, database, name, value },
  });
  const plainSettings: Row[] = [
    { name: 'work_mem', value: '4096' },
    { name: 'timezone', value: null },
  ];
  const defaults = async (...roleSettings: Row[]): Promise<SessionDefaults> =>
    (await read({ roleSettings, plainSettings })).sessionDefaults;

  test('are equal only if all of them are', async () => {
    const first = await defaults(one('a', 0, 'work_mem', '1MB'), one(null, 5, 'TimeZone', 'UTC'));
    const same = await defaults(one(null, 5, 'TimeZone', 'UTC'), one('a', 0, 'work_mem', '1MB'));
    const other = await defaults(one('a', 5, 'work_mem', '1MB'), one(null, 5, 'TimeZone', 'UTC'));
    expect(same.key).toBe(first.key);
    expect(other.key).not.toBe(first.key);
    expect([...first.of('a')]).toEqual([
      ['timezone', 'UTC'],
      ['work_mem', '1MB'],
    ]);
    expect(isSameFor(first, other, 'a')).toBe(true);
  });

  test('a session keeps what it had, as far as it is known and may be SET', async () => {
    const none = await defaults();
    const some = await defaults(one('a', 0, 'work_mem', '1MB'), one('a', 0, 'log_statement', 'all'));
    const more = await defaults(one('a', 0, 'work_mem', '2MB'), one(null, 0, 'TimeZone', 'UTC'));
    expect(keptDefaults(none, some, 'a')).toEqual([['work_mem', '4096']]);
    expect(keptDefaults(some, more, 'a')).toEqual([['work_mem', '1MB']]);
    expect(keptDefaults(more, none, 'a')).toEqual([
      ['timezone', 'UTC'],
      ['work_mem', '2MB'],
    ]);
    expect(keptDefaults(none, some, 'b')).toEqual([]);
    expect([isSameFor(none, some, 'a'), isSameFor(none, some, 'b')]).toEqual([false, true]);
  });
});

describe('trees', () => {
  test('partitions have the root of all, inheritance with several parents one root together', async () => {
    const catalog = await read({
      relations: [1, 2, 3, 4, 5, 6, 7].map((n) => table(20_000 + n, `t${n}`)),
      parents: [
        { child: 20003, parent: 20002 },
        { child: 20004, parent: 20003 },
        { child: 20006, parent: 20005 },
        { child: 20006, parent: 20003 },
      ],
    });
    const root = (n: number): number | undefined => catalog.relationByOid(20_000 + n)?.root;
    expect([1, 2, 3, 4, 5, 6, 7].map(root)).toEqual([20001, 20002, 20002, 20002, 20002, 20002, 20007]);
  });

  test('ten thousand partitions, however deep, do not take long or overflow the stack', async () => {
    const count = 10_000;
    const catalog = await read({
      relations: Array.from({ length: count }, (_, i) => table(20_000 + i, `p${i}`)),
      parents: Array.from({ length: count - 1 }, (_, i) => ({ child: 20_001 + i, parent: 20_000 + i })),
    });
    expect(catalog.relationByOid(20_000 + count - 1)?.root).toBe(20_000);
  });

  test('what a descendant is, its ancestors have', async () => {
    const catalog = await read({
      relations: [
        table(20001, 'top'),
        table(20002, 'mid'),
        table(20003, 'leaf', { persistence: 'u' }),
        table(20004, 'far', { kind: 'f' }),
      ],
      parents: [
        { child: 20002, parent: 20001 },
        { child: 20003, parent: 20002 },
        { child: 20004, parent: 20001 },
      ],
    });
    expect(catalog.relationByOid(20002)?.treeProblem).toBe('has the unlogged child public.leaf');
    expect(catalog.relationByOid(20001)?.treeProblem).toMatch(/^has the (?:unlogged|foreign) child/);
    expect(catalog.relationByOid(20003)?.treeProblem).toBeUndefined();
  });

  test('keys and triggers of any member belong to all', async () => {
    const catalog = await read({
      relations: [table(20001, 'top'), table(20002, 'part'), table(20010, 'child'), table(20011, 'child_part')],
      parents: [
        { child: 20002, parent: 20001 },
        { child: 20011, parent: 20010 },
      ],
      foreignKeys: [
        { child: 20011, parent: 20002, updates: 0, deletes: 1 },
        { child: 20010, parent: 20002, updates: 1, deletes: 0 },
      ],
      triggers: [{ relation: 20002, function: 30001 }],
    });
    for (const oid of [20001, 20002]) {
      expect(catalog.relationByOid(oid)).toMatchObject({
        cascadesTo: [20010],
        updatesTo: [20010],
        referencedBy: [20010],
        triggerFunctions: [30001],
      });
    }
    expect(catalog.relationByOid(20011)).toMatchObject({ cascadesTo: [], triggerFunctions: [] });
  });
});

describe('functions', () => {
  test('an aggregate is as volatile as its parts, a call as its defaults', async () => {
    const catalog = await read({
      userFunctions: [
        func(30001, 'step', { volatility: 'v' }),
        func(30002, 'calm', { volatility: 's' }),
        func(30003, 'agg', { kind: 'a', aggregate: 'n', parts: '30001;0;0;0', args: 1 }),
        func(30004, 'agg_calm', { kind: 'a', aggregate: 'n', parts: '30002;0', args: 1 }),
        func(30005, 'agg_lost', { kind: 'a', aggregate: 'n', parts: '39999', args: 1 }),
        func(30006, 'with_default', { args: 2, defaults: 1, tokens: ':funcid 30001' }),
        func(30007, 'with_today', { args: 1, defaults: 1, tokens: '{SQLVALUEFUNCTION' }),
      ],
    });
    const volatility = (oid: number): string | undefined => catalog.functionByOid(oid)?.volatility;
    expect([30003, 30004, 30005, 30006, 30007].map(volatility)).toEqual([
      'volatile',
      'stable',
      'volatile',
      'volatile',
      'stable',
    ]);
  });

  test('candidates are chosen by number of arguments, defaults, VARIADIC and ordered sets included', async () => {
    const catalog = await read({
      userFunctions: [
        func(30001, 'f', { args: 1 }),
        func(30002, 'f', { args: 3, defaults: 1 }),
        func(30003, 'f', { args: 1, variadic: 1, schema: 'other' }),
        func(30004, 'g', { args: 2, aggregate: 'o', kind: 'a' }),
      ],
    });
    const found = (args: number, path: readonly string[]): number[] =>
      catalog.findFunctions(undefined, 'f', args, path).map(({ oid }) => oid);
    expect(found(1, ['public'])).toEqual([30001]);
    expect(found(2, ['public'])).toEqual([30002]);
    expect(found(4, ['public'])).toEqual([]);
    expect(found(4, ['public', 'other'])).toEqual([30003]);
    expect(found(0, ['other'])).toEqual([30003]);
    expect(catalog.findFunctions('public', 'g', 1, [])).toHaveLength(1);
    expect(catalog.findFunctions('public', 'g', 3, [])).toHaveLength(1);
  });
});

describe('functions that initdb made', () => {
  const script = (version: string, volatility: string, system = '77'): Script => ({
    system: [{ id: system }],
    systemFunctionsVersion: [{ version }],
    systemFunctions: [func(1000, 'step', { volatility })],
    userFunctions: [func(30003, 'agg', { kind: 'a', aggregate: 'n', parts: '1000;0;0;0', args: 1 })],
  });
  const volatilities = (catalog: Catalog): unknown[] =>
    [1000, 30003].map((oid) => catalog.functionByOid(oid)?.volatility);

  test('are read once, as long as they are the same ones of the same database', async () => {
    const previous = await read(script('1', 'v'));
    expect(volatilities(previous)).toEqual(['volatile', 'volatile']);
    const { query, log } = scripted(script('1', 'i'));
    const kept = await readCatalog(query, { previous });
    expect(log).not.toContain(QUERIES.systemFunctions);
    expect(volatilities(kept)).toEqual(['volatile', 'volatile']);
    expect(kept.findFunctions(undefined, 'step', 0, []).map(({ oid }) => oid)).toEqual([1000]);
  });

  test.each([
    ['changed', script('2', 'i')],
    ['of another cluster', script('1', 'i', '78')],
  ])('are read again when they are %s', async (_what, next) => {
    const previous = await read(script('1', 'v'));
    const catalog = await readCatalog(scripted(next).query, { previous });
    expect(volatilities(catalog)).toEqual(['immutable', 'immutable']);
  });
});

describe('views and policies', () => {
  test('immutable built-ins are left out of what a view calls, the rest is in', async () => {
    const catalog = await read({
      relations: [table(20001, 't'), table(20002, 'v', { kind: 'v' }), table(20003, 'secret', { rls: 1 })],
      systemFunctions: [func(1000, 'lower'), func(1001, 'now', { volatility: 's' }), func(1002, 'pg_walfile_name')],
      userFunctions: [func(30001, 'own')],
      views: [
        {
          relation: 20002,
          tokens: ':relid 20001;:relid 20002;:funcid 1000;:funcid 1001;:opfuncid 1002;:funcid 30001;:hasForUpdate true',
        },
      ],
      viewDependencies: [
        { relation: 20002, function: 0, target: 20009 },
        { relation: 20002, function: 1, target: 30002 },
      ],
      policies: [{ relation: 20003, tokens: ':funcid 30001;:relid 20001' }],
      rules: [{ relation: 20001 }],
    });
    expect(catalog.relationByOid(20002)).toMatchObject({
      viewRelations: [20001, 20009],
      viewFunctions: [1001, 1002, 30001, 30002],
      viewProblems: ['locks rows'],
    });
    expect(catalog.relationByOid(20003)).toMatchObject({ viewRelations: [20001], viewFunctions: [30001] });
    expect(catalog.relationByOid(20001)?.hasRules).toBe(true);
  });
});

describe('settings in stored expressions', () => {
  test.each([
    [':funcid 2077 x ({CONST :constvalue 7 [ 28 0 0 0 97 46 98 ]', ['a.b'], []],
    [':funcid 3294 x ({CONST :constvalue 6 [ 0 0 0 6 -61 -92 ]', ['ä'], []],
    [':funcid 2077 x ({CONST :constvalue 7 [ 27 0 0 0 97 46 98 ]', [], [2077]],
    [':funcid 2077 x ({CONST :constvalue 2 [ 1 2 ]', [], [2077]],
    [':funcid 2077 x ({CONST :constvalue ]', [], [2077]],
    [':funcid 2077', [], [2077]],
  ])('%s', async (tokens, settings, functions) => {
    const catalog = await read({ relations: [table(20001, 'v', { kind: 'v' })], views: [{ relation: 20001, tokens }] });
    expect(catalog.relationByOid(20001)).toMatchObject({ viewSettings: settings, viewFunctions: functions });
  });
});

describe('types and operators', () => {
  const type = (oid: number, name: string, more: Row = {}): Row => ({
    oid,
    schema: oid < 16384 ? 'pg_catalog' : 'public',
    name,
    kind: 'b',
    base: 0,
    subtype: null,
    input: 'i',
    function: 1,
    ...more,
  });

  test('a domain is as bad as its checks and its base; what contains it, too', async () => {
    const { query, log } = scripted(
      {
        userFunctions: [func(30001, 'noisy', { volatility: 'v' }), func(30002, 'calm', { volatility: 's' })],
        types: [
          type(23, 'int4'),
          type(2205, 'regclass', { input: 's' }),
          type(40001, 'noisy_int', { kind: 'd', base: 23, input: 's' }),
          type(40002, 'noisier', { kind: 'd', base: 40001, input: 's' }),
          type(40003, 'calm_int', { kind: 'd', base: 23, input: 's' }),
          type(40004, 'plain_int', { kind: 'd', base: 23, input: 's' }),
          type(40005, 'mood', { kind: 'e', input: 's' }),
          type(40006, 'of_user_array', { kind: 'd', base: 49999, input: 's' }),
          type(40007, 'many', { kind: 'm', input: 's' }),
          type(40008, 'row', { kind: 'c', input: 's' }),
        ],
        domainChecks: [
          { type: 40001, tokens: ':funcid 30001' },
          { type: 40003, tokens: ':funcid 30002' },
          { type: 40004, tokens: ':opfuncid 30099' },
        ],
        relations: [table(20001, 't', { type: 40100 }), table(20002, 'u', { type: 40101 })],
      },
      (sql) => (sql.includes('RECURSIVE') ? [{ oid: 40001 }, { oid: 40002 }, { oid: 40008 }, { oid: 40100 }] : []),
    );
    const catalog = await readCatalog(query);
    expect(log.find((sql) => sql.includes('RECURSIVE bad'))).toContain("'{40007,40001,40004}'");
    const of = (name: string): unknown[] => [
      catalog.castVolatility(name, ['public']),
      catalog.isKeyedCast(name, ['public']),
    ];
    expect(of('int4')).toEqual(['immutable', true]);
    expect(of('integer')).toEqual(['immutable', true]);
    expect(of('int4[]')).toEqual(['immutable', true]);
    expect(of('_int4')).toEqual(['immutable', true]);
    expect(of('regclass')).toEqual(['stable', false]);
    expect(of('noisy_int')[0]).toBe('volatile');
    expect(of('public.noisy_int[]')[0]).toBe('volatile');
    expect(of('noisier')[0]).toBe('volatile');
    expect(of('calm_int')).toEqual(['stable', false]);
    expect(of('plain_int')[0]).toBe('volatile');
    expect(of('mood')).toEqual(['stable', true]);
    expect(of('of_user_array')).toEqual(['volatile', false]);
    expect(of('many')[0]).toBe('volatile');
    expect(of('row')).toEqual(['volatile', false]);
    expect(of('t')).toEqual(['volatile', false]);
    expect(of('u')).toEqual(['stable', false]);
    expect(of('missing')).toEqual([undefined, false]);
    expect(catalog.relationByOid(20001)?.triggerFunctions).toContain(30001);
    expect(catalog.relationByOid(20002)?.triggerFunctions).toEqual([]);
  });

  test('user functions behind unspoken operators and casts are found', async () => {
    const catalog = await read({
      userFunctions: [30001, 30002, 30003, 30004].map((oid) => func(oid, `f${oid}`, { volatility: 'v' })),
      operators: [
        { name: '=', own: 0, volatility: 'i', function: null },
        { name: '=', own: 1, volatility: 'v', function: 30001 },
        { name: '@@@', own: 1, volatility: 'v', function: 30002 },
      ],
      casts: [
        { target: 25, context: 'i', function: 30003, volatility: 'v' },
        { target: 25, context: 'a', function: 30004, volatility: 'v' },
        { target: 25, context: 'i', function: 946, volatility: 's' },
      ],
    });
    const oids = (list: readonly { readonly oid: number }[]): number[] => list.map(({ oid }) => oid);
    expect(oids(catalog.hiddenFunctions)).toEqual([30001, 30003]);
    expect(oids(catalog.assignmentFunctions)).toEqual([30001, 30003, 30004]);
    expect(catalog.operatorVolatility('=')).toBe('volatile');
    expect(catalog.userOperatorVolatility('=')).toBe('volatile');
    expect(catalog.userOperatorVolatility('+')).toBeUndefined();
    expect(catalog.operatorVolatility('+')).toBeUndefined();
  });
});

describe('names', () => {
  test('pg_catalog comes first unless the path says otherwise', async () => {
    const catalog = await read({
      relations: [
        table(1259, 'pg_class', { schema: 'pg_catalog' }),
        table(20001, 'pg_class'),
        table(20002, 't', { schema: 'b' }),
      ],
    });
    const oids = (path: readonly string[]): number[] =>
      catalog.findRelations(undefined, 'pg_class', path).map(({ oid }) => oid);
    expect(oids(['public'])).toEqual([1259, 20001]);
    expect(oids(['public', 'pg_catalog'])).toEqual([20001, 1259]);
    expect(catalog.findRelation('public', 'pg_class', [])?.oid).toBe(20001);
    expect(catalog.findRelation(undefined, 't', ['public'])).toBeUndefined();
    expect(catalog.findRelation('b', 't', ['public'])?.oid).toBe(20002);
    expect(catalog.nameOf(20002)).toBe('b.t');
    expect(catalog.nameOf(1)).toBe('oid 1');
    expect([catalog.hasSchema('b'), catalog.hasSchema('c')]).toEqual([true, false]);
  });
});

test('the fingerprint does not depend on the order of rows, and on every number in them', async () => {
  const rows = [
    { source: 'pg_class', count: '2', sum: '10' },
    { source: 'pg_proc', count: '1', sum: null },
  ];
  const of = (list: Row[]): Promise<string> => catalogFingerprint(() => Promise.resolve(list));
  const first = await of(rows);
  expect(await of([...rows].reverse())).toBe(first);
  expect(await of([{ source: 'pg_class', count: '2', sum: '11' }, rows[1] ?? {}])).not.toBe(first);
  expect(await of([{ source: 'pg_class', count: '3', sum: '10' }, rows[1] ?? {}])).not.toBe(first);
});
