/**
 * Which statements are reads, and whose answers may be cached, by an example catalog. Fails if a statement that may write
 * goes to a replica, or one whose answer may change without a write is cached.
 */
import { describe, expect, test } from 'vitest';
import type { QueryFacts } from '../../src/sql/facts.ts';
import type { Catalog } from '../../src/catalog/types.ts';
import { binderOf, catalog, factsOf, fn, planOf, PREFIX, exampleCatalog } from './example-catalog.ts';

const CACHED = [
  'SELECT * FROM users',
  'TABLE users',
  'SELECT lower(name), count(*) FROM users GROUP BY 1',
  'SELECT * FROM v',
  'SELECT * FROM vv',
  'SELECT * FROM v_loop',
  'SELECT * FROM m',
  'SELECT * FROM events',
  'SELECT * FROM events_1',
  'SELECT f_imm(id) FROM users',
  'SELECT f_two(id) FROM users',
  "SELECT to_char(created, 'YYYY'), json_agg(name) FROM users GROUP BY 1",
  'SELECT id + 1, name || id FROM users',
  "SELECT id::int, 'sad'::mood, created::timestamptz FROM users",
  'WITH x AS (SELECT * FROM orders) SELECT * FROM x JOIN users USING (id)',
  'SELECT * FROM tenant.users',
];

const READS: readonly (readonly [sql: string, cacheWhy: RegExp])[] = [
  ['SELECT 1', /reads no table/],
  ['VALUES (1)', /reads no table/],
  ['', /not a SELECT/],
  ['SELECT now() FROM users', /now\(\)/],
  ['SELECT age(created) FROM users', /age\(\)/],
  ['SELECT CURRENT_DATE FROM users', /CURRENT_DATE/],
  ['SELECT CURRENT_USER FROM users', /CURRENT_USER/],
  ["SELECT * FROM users WHERE created > 'today'", /CURRENT_TIMESTAMP/],
  ['SELECT random() FROM users', /random\(\)/],
  ['SELECT clock_timestamp(), gen_random_uuid(), pg_sleep(0)', /clock_timestamp/],
  ["SELECT 'sad'::mood", /reads no table/],
  ['SELECT 1 @?@ 2', /stable operator/],
  ['SELECT f_stb() FROM users', /f_stb\(\)/],
  ['SELECT f_vouched() FROM users', /f_vouched\(\)/],
  ['SELECT uuid_generate_v4() FROM users', /uuid_generate_v4/],
  ["SELECT current_setting('app.user') FROM users", /current_setting/],
  ['SELECT * FROM v_time', /value function/],
  ['SELECT * FROM secrets', /row security/],
  ['SELECT * FROM v_tenant', /setting app\.tenant/],
  ['SELECT * FROM users TABLESAMPLE SYSTEM (1)', /chance/],
  ['SELECT name @?@ 1 FROM users', /stable operator/],
  ["SELECT 'users'::regclass FROM users", /casts to regclass/],
  ['EXPLAIN ANALYZE SELECT * FROM users', /not a SELECT/],
  ['COPY users TO STDOUT', /not a SELECT/],
  ['COPY (SELECT * FROM users) TO STDOUT', /not a SELECT/],
  ['SELECT 1; SELECT * FROM users', /several statements/],
  ['SELECT pg_typeof(id) FROM users', /pg_typeof/],
];

const REFUSED: readonly (readonly [sql: string, why: RegExp])[] = [
  ['INSERT INTO users VALUES (1)', /writes users/],
  ['UPDATE public.users SET a = 1', /writes public\.users/],
  ['WITH x AS (DELETE FROM users RETURNING *) SELECT * FROM x', /writes users/],
  ['SELECT * INTO n FROM users', /SELECT INTO/],
  ['SELECT * FROM users FOR UPDATE', /locks rows/],
  ['SELECT * FROM (SELECT * FROM users FOR NO KEY UPDATE) x', /locks rows/],
  ['SELECT * FROM v_lock', /locks rows/],
  ['SELECT f_vol()', /volatile public\.f_vol/],
  ['SELECT * FROM users WHERE id = (SELECT f_vol())', /f_vol/],
  ['SELECT f_two(1, 2)', /f_two/],
  ['SELECT nowhere(1)', /unknown function nowhere/],
  ['SELECT p()', /unknown function p/],
  ['SELECT * FROM v_writer', /v_writer calls volatile public\.f_vol/],
  ['SELECT * FROM v_port', /v_port calls current_setting/],
  ['SELECT * FROM v_gone', /unknown relation/],
  ['SELECT * FROM missing', /unknown relation missing/],
  ['SELECT * FROM nowhere.users', /unknown relation nowhere\.users/],
  ['SELECT * FROM scratch', /unlogged table/],
  ['SELECT * FROM elsewhere', /foreign table/],
  ['SELECT last_value FROM numbers', /sequence/],
  ['SELECT * FROM mixed', /unlogged child/],
  ['SELECT * FROM pg_class', /system catalog/],
  ['SELECT * FROM information_schema.tables', /system catalog/],
  ["SELECT nextval('numbers')", /nextval/],
  ["SELECT set_config('a.b', 'c', false)", /set_config|setting/],
  ['SELECT pg_advisory_lock(1)', /pg_advisory_lock/],
  ['SELECT pg_advisory_xact_lock(1)', /pg_advisory_xact_lock/],
  ['SELECT pg_is_in_recovery()', /depends on the node/],
  ['SELECT pg_backend_pid()', /depends on the node/],
  ['SELECT txid_current()', /depends on the node/],
  ['SELECT pg_current_xact_id()', /depends on the node/],
  ['SELECT inet_server_addr(), version()', /depends on the node/],
  ["SELECT current_setting('port')", /may differ per node/],
  ['SELECT current_setting(name) FROM users', /may differ per node/],
  ["SELECT query_to_xml('DELETE FROM users', true, true, '')", /query_to_xml/],
  ['SELECT name @!@ 1 FROM users', /volatile operator/],
  ['SELECT name @@@ 1 FROM users', /unknown operator/],
  ['SELECT 1::noisy', /casts to noisy/],
  ['SELECT noisy(1)', /casts to noisy/],
  ['SELECT 1::strange', /unknown type/],
  ['EXPLAIN SELECT * FROM users', /EXPLAIN/],
  ['EXPLAIN ANALYZE DELETE FROM users', /writes users/],
  ['SHOW work_mem', /SHOW/],
  ['SET work_mem = 1', /changes the session/],
  ['BEGIN', /BEGIN/],
  ['COMMIT', /COMMIT/],
  ['CALL p()', /CALL/],
  ["DO 'BEGIN END'", /DO/],
  ['PREPARE q AS SELECT 1', /changes the session/],
  ['EXECUTE q', /EXECUTE/],
  ['DECLARE c CURSOR FOR SELECT 1', /cursor/],
  ['FETCH c', /cursor/],
  ['LISTEN x', /changes the session/],
  ['LOCK users', /primary/],
  ['VACUUM', /primary/],
  ['CREATE TABLE n (i int)', /changes the catalog/],
  ['GRANT SELECT ON users TO app', /changes the catalog/],
  ["COPY users TO '/tmp/x'", /primary/],
  ["COPY users TO PROGRAM 'cat'", /primary/],
  ['COPY users FROM STDIN', /writes users/],
  ['REFRESH MATERIALIZED VIEW m', /writes m/],
  ['SELECT 1; DELETE FROM users', /statement 2: writes users/],
  ['this is no SQL', /not parsed/],
];

/** A read of text that may be 'now', which is not kept, and the like of it that is. */
const MOMENTS: readonly (readonly [moment: string, kept: string])[] = [
  ['SELECT name::timestamptz FROM users', 'SELECT id::timestamptz FROM users'],
  [
    'SELECT created::timestamptz FROM (SELECT name AS created FROM users) s',
    'SELECT created::timestamptz FROM (SELECT created FROM users) s',
  ],
  ['SELECT (name || 1)::timestamptz FROM users', 'SELECT (created + 1)::timestamptz FROM users'],
];

describe('what is a read', () => {
  test.each(MOMENTS)('a read, but not cacheable: %s', (moment, kept) => {
    expect(planOf(moment)).toMatchObject({ isRead: true, isCacheable: false });
    expect(planOf(moment).cacheWhy).toMatch(/makes timestamptz of .*, which may be text/);
    expect(planOf(kept)).toMatchObject({ isRead: true, isCacheable: true });
  });

  test.each(CACHED)('cacheable: %s', (sql) => {
    const plan = planOf(sql);
    expect([plan.why, plan.cacheWhy]).toEqual(['read', '']);
    expect(plan).toMatchObject({
      isRead: true,
      isPlainRead: true,
      isCacheable: true,
      writes: [],
      writesAll: false,
      hasEffects: false,
    });
    expect(plan.reads).toContain(`${PREFIX}cat`);
    expect(plan.reads).toContain(`${PREFIX}all`);
    expect([...plan.reads].sort()).toEqual(plan.reads);
  });

  test.each(READS)('a read that is not kept: %s', (sql, cacheWhy) => {
    const plan = planOf(sql);
    expect(plan.why).toBe('read');
    expect(plan).toMatchObject({
      isRead: true,
      isCacheable: false,
      writes: [],
      writesAll: false,
      changesCatalog: false,
    });
    // Where it may run depends on who has written its tables, kept or not, and on DDL.
    if (/(?:FROM|COPY) \w/.test(sql)) expect(plan.reads.join()).toMatch(/r2\d+/);
    else expect(plan.reads).toEqual(/\w\(\)|::|@/.test(sql) ? [`${PREFIX}all`, `${PREFIX}cat`] : []);
    expect(plan.cacheWhy).toMatch(cacheWhy);
  });

  test.each(REFUSED)('never a read: %s', (sql, why) => {
    const plan = planOf(sql);
    expect(plan).toMatchObject({ isRead: false, isPlainRead: false, isCacheable: false, reads: [] });
    expect(plan.why).toMatch(why);
    expect(plan.cacheWhy).not.toBe('');
  });

  test('only a lone SELECT is a plain read', () => {
    expect(planOf('SELECT 1').isPlainRead).toBe(true);
    for (const sql of ['', 'SELECT 1; SELECT 2', 'EXPLAIN ANALYZE SELECT 1', 'COPY users TO STDOUT']) {
      expect([sql, planOf(sql).isPlainRead]).toEqual([sql, false]);
    }
  });

  test('views end in their tables, partitions in their root, materialized views in themselves', () => {
    const tags = (sql: string): string[] => planOf(sql).reads.filter((tag) => /r\d+$/.test(tag));
    expect(tags('SELECT * FROM vv')).toEqual([`${PREFIX}r20001`, `${PREFIX}r20002`]);
    expect(tags('SELECT * FROM events_1')).toEqual([`${PREFIX}r20010`]);
    expect(tags('SELECT * FROM m')).toEqual([`${PREFIX}r20026`]);
  });

  test('cache.tables names the only ones that may be kept', () => {
    const some = binderOf({ cacheTables: ['users', 'public.events'] });
    const whyNot = (sql: string): string => some.bind(factsOf(sql), catalog, undefined, 'app').cacheWhy;
    expect(whyNot('SELECT * FROM users')).toBe('');
    expect(whyNot('SELECT * FROM v')).toBe('');
    expect(whyNot('SELECT * FROM events_1')).toBe('');
    expect(whyNot('SELECT * FROM vv')).toBe('public.orders is not in cache.tables');
  });

  test('read_only_functions by name, by schema, with arguments', () => {
    for (const name of ['f_vol', 'public.f_vol', 'f_vol(integer)', '"f_vol"']) {
      const plan = binderOf({ readOnlyFunctions: [name] }).bind(factsOf('SELECT f_vol()'), catalog, undefined, 'app');
      expect([name, plan.isRead, plan.writesAll, plan.effects.isSuspect]).toEqual([name, true, false, false]);
    }
    const other = binderOf({ readOnlyFunctions: ['other.f_vol'] }).bind(
      factsOf('SELECT f_vol()'),
      catalog,
      undefined,
      'app',
    );
    expect(other.isRead).toBe(false);
  });
});

describe('functions that no text names', () => {
  test('behind operators and implicit casts: everything may call them', () => {
    const noisy = exampleCatalog({ hidden: [fn(40001, 'eq_noisy', 'volatile')] });
    const plan = binderOf().bind(factsOf('SELECT * FROM users WHERE a = 1'), noisy, undefined, 'app');
    expect(plan).toMatchObject({ isRead: false, writesAll: true });
    expect(plan.why).toBe('may call it without its name: calls volatile public.eq_noisy()');
    const vouching = binderOf({ readOnlyFunctions: ['eq_noisy'] });
    expect(vouching.bind(factsOf('SELECT * FROM users WHERE a = 1'), noisy, undefined, 'app').isRead).toBe(true);
  });

  test('called as a column: only when the name is in the text', () => {
    const odd = exampleCatalog({ columnFunctions: [fn(40002, 'Touch', 'volatile')] });
    const isRead = (sql: string): boolean => binderOf().bind(factsOf(sql), odd, undefined, 'app').isRead;
    expect(isRead('SELECT * FROM users')).toBe(true);
    expect(isRead('SELECT u."Touch" FROM users u')).toBe(false);
    expect(isRead(`SELECT U&"t\\006Fuch" FROM users`)).toBe(false);
    expect(isRead(`SELECT * FROM users WHERE ${'a = b AND '.repeat(300)} true`)).toBe(false);
  });

  test('a function in front of a built-in one counts as soon as the path has it', () => {
    expect(planOf('SELECT lower(name) FROM users', 'public').isRead).toBe(true);
    expect(planOf('SELECT lower(name) FROM users', 'public, evil').isRead).toBe(false);
  });
});

describe('search path', () => {
  const tables = (path: string | undefined, user: string): string[] =>
    planOf('SELECT * FROM users', path, user)
      .reads.filter((tag) => /r\d+$/.test(tag))
      .map((tag) => catalog.nameOf(Number(tag.slice(PREFIX.length + 1))));

  test.each([
    [undefined, 'app', ['public.users']],
    [undefined, 'tenant', ['public.users', 'tenant.users']],
    [undefined, 'tenant_user', ['tenant.users']],
    ['tenant', 'app', ['tenant.users']],
    ['"$user"', 'tenant', ['tenant.users']],
    ['pg_temp, public', 'app', ['public.users']],
    ['nowhere', 'app', []],
    ['', 'app', []],
    ['a b', 'app', []],
  ])('%s for %s', (path, user, expected) => {
    expect(tables(path, user)).toEqual(expected);
  });
});

describe('plans are kept', () => {
  test('for the same facts, catalog and path, and shared by users without a schema of their own', () => {
    const binder = binderOf();
    const facts = factsOf('SELECT * FROM users');
    const plan = binder.bind(facts, catalog, undefined, 'app');
    expect(binder.bind(facts, catalog, undefined, 'app')).toBe(plan);
    expect(binder.bind(facts, catalog, undefined, 'other')).toBe(plan);
    expect(binder.bind(facts, catalog, '"$user",   public', 'third')).toBe(plan);
    expect(binder.bind(facts, catalog, undefined, 'tenant')).not.toBe(plan);
    expect(binder.bind(facts, exampleCatalog(), undefined, 'app')).not.toBe(plan);
    expect(binder.bind(facts, catalog, undefined, 'app')).toBe(plan);
  });

  test('but never more than a few per facts', () => {
    const binder = binderOf();
    const facts = factsOf('SELECT * FROM users');
    const first = binder.bind(facts, catalog, 'public', 'app');
    for (let i = 0; i < 5000; i++) binder.bind(facts, catalog, `public, s${i}`, 'app');
    expect(binder.bind(facts, catalog, 'public', 'app')).not.toBe(first);
    expect(binder.bind(facts, catalog, 'public', 'app').isRead).toBe(true);
  });

  test('25006 is remembered, in every catalog', () => {
    const binder = binderOf();
    const other = exampleCatalog();
    const facts = factsOf('SELECT f_stb() FROM users');
    expect(binder.bind(facts, catalog, undefined, 'app').isRead).toBe(true);
    expect(binder.bind(facts, other, undefined, 'app').isRead).toBe(true);
    binder.learnWrite(facts);
    for (const one of [catalog, other, exampleCatalog()]) {
      const plan = binder.bind(facts, one, undefined, 'app');
      expect(plan).toMatchObject({ isRead: false, isPlainRead: false, isCacheable: false, writesAll: true, reads: [] });
      expect(plan.why).toMatch(/25006/);
    }
    expect(binder.bind(factsOf('SELECT f_stb(), 1 FROM users'), catalog, undefined, 'app').isRead).toBe(true);
  });
});

describe('without a catalog', () => {
  test.each([
    ['SELECT * FROM users', true],
    ['SELECT 1', true],
    ['INSERT INTO users VALUES (1)', true],
    ['CALL p()', true],
    ["COMMIT PREPARED 'x'", true],
    ['BEGIN', false],
    ['COMMIT', false],
    ['SET a.b = 1', false],
    ['SHOW work_mem', false],
    ['LISTEN x', false],
  ])('%s is no read; writes everything: %s', (sql, writesAll) => {
    const plan = binderOf().bind(factsOf(sql), undefined, undefined, 'app');
    expect(plan).toMatchObject({ isRead: false, isCacheable: false, writes: [], writesAll, catalog: undefined });
    expect(plan.why).toBe('the catalog of the database is not known yet');
  });

  test('effects and transactions are known all the same', () => {
    const bind = (sql: string): ReturnType<typeof planOf> => binderOf().bind(factsOf(sql), undefined, undefined, 'app');
    expect(bind('LISTEN x').effects.pins).toEqual(['LISTEN']);
    expect(bind('BEGIN READ ONLY')).toMatchObject({ begins: true, beginsReadOnly: true });
    expect(bind('CREATE TABLE n (i int)').changesCatalog).toBe(true);
    expect(bind('SELECT anything()').effects.isSuspect).toBe(true);
  });
});

describe('what a hot standby answers alike in a READ ONLY transaction', () => {
  test.each([
    ['SELECT count(*) FROM users', true],
    ['SELECT 1; SHOW search_path', true],
    ["SELECT set_config('search_path', 'public', true)", true],
    ["SELECT set_config('Transaction_Read_Only', 'off', true)", false],
    ["SELECT set_config('search_path', nextval('s')::text, true)", false],
    ["SET LOCAL work_mem = '1MB'", true],
    ['SET transaction_read_only = off', false],
    ['SHOW transaction_read_only', true],
    ['SHOW in_hot_standby', false],
    ['SHOW ALL', false],
    ['SAVEPOINT a', true],
    ['ROLLBACK TO a', true],
    ['PREPARE TRANSACTION $$a$$', false],
    ['BEGIN', false],
    ['BEGIN READ WRITE', false],
    ['BEGIN READ ONLY', true],
    ['BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY', false],
    ['PREPARE p AS SELECT 1', false],
    ['DECLARE c CURSOR WITH HOLD FOR SELECT * FROM users', false],
    ['DECLARE c CURSOR FOR SELECT * FROM users', true],
    ['DECLARE c CURSOR FOR SELECT * FROM users FOR UPDATE', false],
    ['DECLARE c CURSOR FOR SELECT pg_current_wal_lsn()', false],
    ['EXPLAIN SELECT * FROM users', true],
    ['EXPLAIN ANALYZE DELETE FROM users', false],
    ['EXPLAIN SELECT * FROM nowhere', false],
    ['COPY users TO STDOUT', true],
    ["COPY users TO '/tmp/users'", false],
    ['EXECUTE p', false],
    ['LOCK TABLE users', false],
    ['SELECT * INTO TEMP t FROM users', false],
    ['NOTIFY x', false],
    ['SELECT 1; NOTIFY x', false],
    ['nonsense', false],
  ])('%s: %s', (sql, isAlike) => {
    expect(planOf(sql).isAlikeOnStandby).toBe(isAlike);
  });

  test('without a catalog only what names nothing in it', () => {
    const bind = (sql: string): boolean => binderOf().bind(factsOf(sql), undefined, undefined, 'app').isAlikeOnStandby;
    expect(bind('SAVEPOINT a')).toBe(true);
    expect(bind('SELECT 1')).toBe(false);
  });
});

describe('binding never throws', () => {
  test('a catalog that does makes a write of everything', () => {
    const broken: Catalog = {
      ...catalog,
      findRelations: () => {
        throw new Error('broken');
      },
    };
    const plan = binderOf().bind(factsOf('SELECT * FROM users'), broken, undefined, 'app');
    expect(plan).toMatchObject({ isRead: false, writesAll: true, isCacheable: false, why: 'cannot be bound: broken' });
  });

  test('nor does a text without statements', () => {
    const nothing: QueryFacts = { template: '', statements: [], unparsed: undefined };
    expect(binderOf().bind(nothing, catalog, undefined, 'app')).toMatchObject({
      isRead: false,
      writesAll: true,
      mayCommit: true,
    });
  });
});
