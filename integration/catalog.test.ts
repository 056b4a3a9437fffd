/**
 * The binder against the truth: what it calls a read must run on a hot standby, what PostgreSQL says a cached statement
 * scans must be in its read closure, and what a statement changed must be in its write closure. Also the catalog reader
 * as an unprivileged user, and the fingerprint.
 */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBinder } from '../src/binding/binder.ts';
import type { Plan } from '../src/binding/plan.ts';
import { createClassifier } from '../src/sql/classifier.ts';
import type { Classifier } from '../src/sql/facts.ts';
import type { Catalog } from '../src/catalog/types.ts';
import { QUERIES } from '../src/catalog/queries.ts';
import { catalogFingerprint, readCatalog } from '../src/catalog/read-catalog.ts';
import { SCHEMA } from './corpus/schema.ts';
import { STATEMENTS, UNTRIED } from './corpus/statements.ts';
import { pgUrl, SUPERUSER, useCluster, users } from './harness/index.ts';

const cluster = useCluster();
const binder = createBinder({ readOnlyFunctions: [], cacheTables: [] });
let database = '';
let catalog: Catalog;
let classifier: Classifier;
let primary: pg.Client;
let replica: pg.Client;

async function connect(port: number, user: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: pgUrl({ port }, { user, database }) });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

const queryOf =
  (client: pg.Client) =>
  async (sql: string): Promise<Record<string, unknown>[]> =>
    (await client.query<Record<string, unknown>>(sql)).rows;

function planOf(sql: string): Plan {
  return binder.bind(classifier.classify(Buffer.from(sql)).facts, catalog, undefined, SUPERUSER);
}

beforeAll(async () => {
  database = await cluster.createDatabase();
  primary = await connect(cluster.primary.port, SUPERUSER);
  await primary.query(SCHEMA);
  await cluster.waitForReplicas();
  replica = await connect(cluster.replicas[0]?.port ?? 0, SUPERUSER);
  catalog = await readCatalog(queryOf(primary));
  classifier = await createClassifier();
});

afterAll(async () => {
  await primary.end();
  await replica.end();
  await cluster.dropDatabase(database);
});

/** Everything in every table and materialized view, as one number each. */
async function contents(): Promise<ReadonlyMap<number, string>> {
  const { rows } = await primary.query<{ oid: number; name: string }>(
    `SELECT oid, oid::regclass::text AS name FROM pg_class
     WHERE relkind IN ('r', 'm') AND relnamespace IN ('public'::regnamespace, 'shop'::regnamespace, 'tenant'::regnamespace)`,
  );
  const sums = rows.map(
    ({ oid, name }) =>
      `SELECT ${oid} AS oid, count(*) || '/' || coalesce(sum(hashtext(t::text)), 0) AS sum FROM ONLY ${name} t`,
  );
  const { rows: found } = await primary.query<{ oid: number; sum: string }>(sums.join(' UNION ALL '));
  return new Map(found.map(({ oid, sum }) => [oid, sum]));
}

/** Relations that a plan of EXPLAIN (FORMAT JSON) scans, as "schema.name". */
function scanned(node: unknown, found = new Set<string>()): ReadonlySet<string> {
  if (Array.isArray(node)) for (const item of node) scanned(item, found);
  else if (typeof node === 'object' && node !== null) {
    const fields = node as Record<string, unknown>;
    if (typeof fields['Relation Name'] === 'string')
      found.add(`${String(fields['Schema'])}.${fields['Relation Name']}`);
    for (const value of Object.values(fields)) scanned(value, found);
  }
  return found;
}

describe('a corpus of statements over one of everything', () => {
  test('is large, and every expectation of it holds', () => {
    expect(STATEMENTS.length).toBeGreaterThan(250);
    const wrong = STATEMENTS.flatMap(([sql, expected]) => {
      const plan = planOf(sql);
      const got = plan.isCacheable ? 'cached' : plan.isRead ? 'read' : 'primary';
      return got === expected ? [] : [`${sql}: expected ${expected}, got ${got} (${plan.why}; ${plan.cacheWhy})`];
    });
    expect(wrong).toEqual([]);
  });

  test('every read runs on a hot standby', async () => {
    const failed: string[] = [];
    for (const [sql] of STATEMENTS) {
      if (!planOf(sql).isRead) continue;
      await replica.query(sql).catch((error: unknown) => failed.push(`${sql}: ${String(error)}`));
    }
    expect(failed).toEqual([]);
  });

  test('what PostgreSQL scans for a cached statement is in its read closure', async () => {
    const missing: string[] = [];
    for (const [sql] of STATEMENTS) {
      const plan = planOf(sql);
      if (!plan.isCacheable) continue;
      const { rows } = await primary.query<Record<string, unknown>>(`EXPLAIN (VERBOSE, FORMAT JSON) ${sql}`);
      for (const name of scanned(rows)) {
        const [schema, relation = ''] = name.split('.');
        const root = catalog.findRelation(schema, relation, [])?.root;
        if (root === undefined || !plan.reads.includes(`${catalog.tagPrefix}r${root}`)) missing.push(`${sql}: ${name}`);
      }
      expect(plan.reads).toContain(`${catalog.tagPrefix}cat`);
      expect(plan.reads).toContain(`${catalog.tagPrefix}all`);
    }
    expect(missing).toEqual([]);
  });

  test('what a statement changed is in its write closure', async () => {
    const before = await contents();
    const missing: string[] = [];
    let followed = 0;
    for (const [sql] of STATEMENTS) {
      const plan = planOf(sql);
      if (plan.writesAll || UNTRIED.has(sql)) continue;
      await primary.query('BEGIN');
      await primary.query(sql).catch((error: unknown) => missing.push(`${sql} failed: ${String(error)}`));
      const after = await contents().catch(() => before);
      await primary.query('ROLLBACK');
      for (const [oid, sum] of after) {
        if (before.get(oid) === sum) continue;
        followed++;
        const root = catalog.relationByOid(oid)?.root;
        if (!plan.writes.includes(`${catalog.tagPrefix}r${root}`)) missing.push(`${sql}: ${catalog.nameOf(oid)}`);
      }
      if (plan.isRead) expect([sql, plan.writes]).toEqual([sql, []]);
    }
    expect(missing).toEqual([]);
    expect(followed).toBeGreaterThan(20);
  });

  test('every statement that writes everything is valid, too', async () => {
    const failed: string[] = [];
    for (const [sql] of STATEMENTS) {
      if (!planOf(sql).writesAll || UNTRIED.has(sql)) continue;
      await primary.query('BEGIN');
      await primary.query(sql).catch((error: unknown) => failed.push(`${sql}: ${String(error)}`));
      await primary.query('ROLLBACK');
    }
    expect(failed).toEqual([]);
  });
});

describe('the write closure follows what it can', () => {
  const rootsOf = (sql: string): string[] => {
    const plan = planOf(sql);
    const names = plan.writes.map((tag) => catalog.nameOf(Number(tag.slice(catalog.tagPrefix.length + 1))));
    return plan.writesAll ? ['*'] : names.sort();
  };

  test.each([
    ['INSERT INTO orders (id, user_id) VALUES (1000, 1)', ['public.orders']],
    // orders follow by ON UPDATE CASCADE, and audited follows orders: its trigger may do anything.
    ["UPDATE users SET name = 'x'", ['*']],
    ['UPDATE carts SET user_id = 1', ['public.carts']],
    ['DELETE FROM order_lines', ['public.order_lines']],
    ['DELETE FROM orders', ['*']],
    ['TRUNCATE carts', ['public.carts']],
    ['TRUNCATE carts CASCADE', ['public.carts', 'public.strict_refs']],
    ["UPDATE shop.items SET price = 1 WHERE sku = 'a'", ['shop.items']],
    ["INSERT INTO events_2024_a VALUES (1, '2024-01-01', 'a')", ['public.events']],
    ['DELETE FROM cats', ['public.animals']],
    ['DELETE FROM robots', ['public.animals']],
    ['REFRESH MATERIALIZED VIEW m_totals', ['public.m_totals']],
    ['INSERT INTO unwatched VALUES (1)', ['public.unwatched']],
    ['INSERT INTO audited VALUES (1)', ['*']],
    ["INSERT INTO logs VALUES (1, '2024-01-01')", ['*']],
    ['INSERT INTO codes (v) VALUES (1)', ['*']],
    ['INSERT INTO checked VALUES (1)', ['*']],
    ['INSERT INTO no_such_table VALUES (1)', ['*']],
    ['SELECT f_writer()', ['*']],
    ["SELECT nextval('numbers')", []],
    ['SELECT pg_advisory_lock(1)', []],
    ['LOCK users', []],
    ['VACUUM users', []],
  ])('%s', (sql, roots) => {
    expect(rootsOf(sql)).toEqual(roots);
  });

  test('search_path decides which relation a name means; several candidates all count', () => {
    const facts = classifier.classify(Buffer.from('SELECT * FROM users')).facts;
    const names = (path: string): string[] =>
      binder
        .bind(facts, catalog, path, SUPERUSER)
        .reads.filter((tag) => /r\d+$/.test(tag))
        .map((tag) => catalog.nameOf(Number(tag.slice(catalog.tagPrefix.length + 1))))
        .sort();
    expect(names('public')).toEqual(['public.users']);
    expect(names('tenant')).toEqual(['tenant.users']);
    // Whether the role may use the first schema is not known.
    expect(names('tenant, public')).toEqual(['public.users', 'tenant.users']);
    expect(binder.bind(facts, catalog, 'nowhere', SUPERUSER).isRead).toBe(false);
    expect(binder.bind(facts, catalog, '"$user"', 'tenant').isRead).toBe(true);
  });
});

describe('reading the catalog', () => {
  test('an unprivileged user sees the same', async () => {
    const client = await connect(cluster.primary.port, users.app2);
    try {
      const seen = await readCatalog(queryOf(client));
      expect(seen.tagPrefix).toBe(catalog.tagPrefix);
      expect(seen.notes).toEqual([]);
      const facts = classifier.classify(Buffer.from('SELECT * FROM v_nested')).facts;
      expect(binder.bind(facts, seen, undefined, users.app2).reads).toEqual(
        binder.bind(facts, catalog, undefined, users.app2).reads,
      );
      expect((await client.query<{ p: string }>('SHOW search_path')).rows).toEqual([
        { search_path: '"$user", public' },
      ]);
    } finally {
      await client.end();
    }
  });

  test('functions that initdb made are kept from the previous reading, until one is altered', async () => {
    const read = async (previous: Catalog): Promise<{ seen: Catalog; asked: string[] }> => {
      const asked: string[] = [];
      const query = queryOf(primary);
      const seen = await readCatalog((sql) => (asked.push(sql), query(sql)), { previous });
      return { seen, asked };
    };
    const same = await read(catalog);
    expect(same.asked).not.toContain(QUERIES.systemFunctions);
    expect(same.seen.systemFunctions.all.length).toBeGreaterThan(2500);
    const volatility = (seen: Catalog): unknown => seen.findFunctions(undefined, 'initcap', 1, [])[0]?.volatility;
    expect(volatility(same.seen)).toBe('immutable');
    await primary.query('ALTER FUNCTION pg_catalog.initcap(text) VOLATILE');
    try {
      expect(volatility((await read(same.seen)).seen)).toBe('volatile');
    } finally {
      await primary.query('ALTER FUNCTION pg_catalog.initcap(text) IMMUTABLE');
    }
  });

  test('what is forbidden is noted and does not end the reading', async () => {
    await primary.query('REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC');
    const client = await connect(cluster.primary.port, users.app2);
    try {
      const seen = await readCatalog(queryOf(client));
      expect(seen.notes).toHaveLength(1);
      expect(seen.tagPrefix).toMatch(/^cluster\.\d+:$/);
      expect(seen.findRelation('public', 'users', [])).toBeDefined();
    } finally {
      await client.end();
      await primary.query('GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC');
    }
  });

  test('settings that views and policies ask for are known by name', () => {
    const settings = (name: string): readonly string[] | undefined =>
      catalog.findRelation('public', name, [])?.viewSettings;
    expect(settings('tenants')).toEqual(['app.tenant']);
    expect(settings('v_tenant')).toEqual(['App.Tenänt']);
    expect(settings('v_port')).toEqual(['port']);
    expect(settings('v_any_setting')).toEqual([]);
  });

  test('search_path of a role and of the database', async () => {
    await primary.query(`ALTER DATABASE "${database}" SET search_path = shop, public`);
    await primary.query(`ALTER ROLE ${users.app2} IN DATABASE "${database}" SET search_path = tenant`);
    const client = await connect(cluster.primary.port, SUPERUSER);
    try {
      const seen = await readCatalog(queryOf(client));
      expect(seen.searchPathOf(users.app2)).toBe('tenant');
      expect(seen.searchPathOf(users.app)).toBe('shop, public');
      expect(seen.defaultSearchPath).toBe('shop, public');
    } finally {
      await client.end();
      await primary.query(`ALTER DATABASE "${database}" RESET search_path`);
      await primary.query(`ALTER ROLE ${users.app2} IN DATABASE "${database}" RESET search_path`);
    }
  });

  test('a failing query leaves the connection usable', async () => {
    const query = queryOf(primary);
    const failing = (sql: string): Promise<Record<string, unknown>[]> =>
      sql.includes('pg_inherits') ? query('SELECT 1 / 0') : query(sql);
    await expect(readCatalog(failing)).rejects.toThrow(/division by zero/);
    expect(await query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test.each([
    ['CREATE TABLE fp (i int)'],
    ['ALTER TABLE users ADD COLUMN fp int'],
    ['CREATE FUNCTION fp() RETURNS int LANGUAGE sql AS $$SELECT 1$$'],
    ['ALTER FUNCTION f_stable(int) VOLATILE'],
    ['CREATE OR REPLACE VIEW v_users AS SELECT id, name FROM users'],
    ['CREATE TRIGGER fp AFTER INSERT ON users EXECUTE FUNCTION t_audit()'],
    ['ALTER TABLE unwatched ENABLE TRIGGER off'],
    ['ALTER TABLE users ENABLE ROW LEVEL SECURITY'],
    ['CREATE POLICY fp ON secrets USING (true)'],
    ['ALTER POLICY own ON secrets USING (true)'],
    ['GRANT SELECT ON users TO app2'],
    ['GRANT app2 TO app'],
    ['ALTER TABLE strict_refs ADD FOREIGN KEY (id) REFERENCES users ON DELETE CASCADE'],
    ['ALTER TABLE events DETACH PARTITION events_2023'],
    ['CREATE RULE fp AS ON UPDATE TO ruled DO INSTEAD NOTHING'],
    ['ALTER DOMAIN positive ADD CHECK (VALUE < 100)'],
    ["ALTER TYPE mood ADD VALUE 'glad'"],
    ['CREATE SCHEMA fp'],
    ['DROP VIEW v_matview'],
    ['ALTER TABLE tenant.users DROP COLUMN name'],
    ['ALTER TABLE tenant.users ALTER COLUMN name TYPE varchar'],
    ['ALTER TABLE tenant.users RENAME COLUMN name TO called'],
    ["ALTER TABLE tenant.users ALTER COLUMN name SET DEFAULT 'x'"],
    ['GRANT SELECT (name) ON tenant.users TO app2'],
    ['ALTER TYPE pair ALTER ATTRIBUTE b TYPE varchar'],
    ['ALTER ROLE app2 BYPASSRLS'],
  ])('the fingerprint moves with %s', async (sql) => {
    const query = queryOf(primary);
    const before = await catalogFingerprint(query);
    expect(await catalogFingerprint(query)).toBe(before);
    await primary.query('BEGIN');
    try {
      await primary.query(sql);
      expect(await catalogFingerprint(query)).not.toBe(before);
    } finally {
      await primary.query('ROLLBACK');
    }
    expect(await catalogFingerprint(query)).toBe(before);
  });

  test('the fingerprint stays with what is temporary or only data', async () => {
    const query = queryOf(primary);
    const before = await catalogFingerprint(query);
    await primary.query('CREATE TEMP TABLE fp (i int); ALTER TABLE fp ADD PRIMARY KEY (i); INSERT INTO fp VALUES (1)');
    await primary.query("BEGIN; INSERT INTO users (id, name) VALUES (5000, 'x'); ROLLBACK; ANALYZE users");
    await primary.query('CREATE TEMP VIEW fpv AS SELECT 1 AS one; ALTER TABLE fp ADD COLUMN j int');
    const after = await catalogFingerprint(query);
    await primary.query('DISCARD TEMP');
    expect(after).toBe(before);
  });
});
