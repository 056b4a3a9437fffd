/**
 * Text that means the present moment when a date is made of it ('now', 'today'): such an answer is never kept, whatever
 * type of the server reads the text, and what cannot hold such words still is.
 */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createBinder } from '../src/binding/binder.ts';
import type { Plan } from '../src/binding/plan.ts';
import { createClassifier } from '../src/sql/classifier.ts';
import type { Classifier } from '../src/sql/facts.ts';
import type { Catalog } from '../src/catalog/types.ts';
import { readCatalog } from '../src/catalog/read-catalog.ts';
import { closeClients, connectPg, hasRedis, pgUrl, startRedis, startTestWeir, SUPERUSER } from './harness/index.ts';
import { until, useCluster, users, weirConfig } from './harness/index.ts';
import type { Redis, TestWeir } from './harness/index.ts';

const cluster = useCluster();
const binder = createBinder({ readOnlyFunctions: [], cacheTables: [] });
let database = '';
let direct: pg.Client;
let catalog: Catalog;
let classifier: Classifier;

const SCHEMA = `
  CREATE TYPE stretch AS RANGE (subtype = timestamptz);
  CREATE TYPE pair AS (n int, at date);
  CREATE DOMAIN moment AS timestamptz;
  CREATE DOMAIN late AS moment CHECK (VALUE > '2000-01-01Z');
  CREATE DOMAIN days AS date[];
  CREATE TABLE t (id int PRIMARY KEY, words text, value int, at timestamptz, day date, doc jsonb);
  CREATE VIEW plain_view AS SELECT id, (at AT TIME ZONE 'UTC')::date AS day FROM t;
  CREATE VIEW cast_view AS SELECT id, words::timestamptz AS made FROM t;
  CREATE VIEW array_view AS SELECT id, ARRAY[words]::date[] AS made FROM t;
  INSERT INTO t VALUES (1, 'now', 5, '2024-05-01Z', '2024-05-01', '{"a": "now"}');
  ALTER TABLE t OWNER TO app;
  ALTER VIEW plain_view OWNER TO app; ALTER VIEW cast_view OWNER TO app; ALTER VIEW array_view OWNER TO app;`;

function planOf(sql: string): Plan {
  return binder.bind(classifier.classify(Buffer.from(sql)).facts, catalog, undefined, SUPERUSER);
}

const isKept = (sql: string): string => `${String(planOf(sql).isCacheable)} ${sql}`;

beforeAll(async () => {
  database = await cluster.createDatabase();
  direct = new pg.Client({ connectionString: pgUrl(cluster.primary, { user: SUPERUSER, database }) });
  await direct.connect();
  await direct.query(SCHEMA);
  catalog = await readCatalog(async (sql) => (await direct.query<Record<string, unknown>>(sql)).rows);
  classifier = await createClassifier();
  await cluster.waitForReplicas();
});

afterAll(async () => {
  await direct.end();
  await cluster.dropDatabase(database);
});

const READS_MOMENT = [
  'SELECT words::timestamptz FROM t',
  'SELECT CAST(words AS date) FROM t',
  'SELECT date(words) FROM t',
  'SELECT pg_catalog.timestamptz(words) FROM t',
  'SELECT (words || $1)::date FROM t',
  "SELECT ('no' || 'w')::date FROM t",
  "SELECT 'nowhere'::varchar(3)::date FROM t",
  "SELECT '{n\\ow}'::date[] FROM t",
  'SELECT lower(words)::time FROM t',
  'SELECT words::text::timetz FROM t',
  'SELECT ARRAY[words]::date[] FROM t',
  'SELECT words::date[] FROM t',
  'SELECT words::tstzrange FROM t',
  'SELECT words::late FROM t',
  'SELECT words::days FROM t',
  'SELECT words::stretch FROM t',
  'SELECT words::pair FROM t',
  "SELECT (doc ->> 'a')::date FROM t",
  'SELECT CASE WHEN id = 1 THEN words ELSE $1 END::date FROM t',
  'SELECT value::date FROM (SELECT words AS value FROM t) s',
  'SELECT value::date FROM t, jsonb_each_text(doc)',
  'SELECT v.id::date FROM t, (VALUES ($1)) v (id)',
  'WITH w (at) AS (SELECT words FROM t) SELECT at::date FROM w',
  'SELECT at::date FROM t, json_to_record(\'{"at": 1}\') AS r (at text)',
  'SELECT * FROM t, json_to_record(to_json(doc)) AS r (a date)',
  'SELECT date_in(textout(words)) FROM t',
  'SELECT * FROM cast_view',
  'SELECT * FROM array_view',
  'SELECT id FROM t WHERE at > words::timestamptz',
];

const READS_NONE = [
  'SELECT id::text FROM t',
  'SELECT at::date FROM t',
  'SELECT t.at::date FROM t',
  'SELECT max(at)::date FROM t',
  "SELECT date_trunc('day', at)::date FROM t",
  "SELECT (at + '1 day'::interval)::date FROM t",
  "SELECT (at AT TIME ZONE 'UTC')::date FROM t",
  'SELECT coalesce(at, day)::date FROM t',
  "SELECT '2024-01-01'::date FROM t",
  "SELECT DATE '2024-01-01' FROM t",
  "SELECT '2024-01-01'::text::date FROM t",
  'SELECT id FROM t WHERE at > $1::timestamptz',
  "SELECT (value || ' days')::interval FROM t",
  'SELECT words::int FROM t',
  'SELECT * FROM plain_view',
  'SELECT date(at) FROM t',
];

describe('which plans may be kept', () => {
  test('none that makes a moment of text', () => {
    expect(READS_MOMENT.map(isKept)).toEqual(READS_MOMENT.map((sql) => `false ${sql}`));
  });

  test('all that cannot', () => {
    expect(READS_NONE.map(isKept)).toEqual(READS_NONE.map((sql) => `true ${sql}`));
  });

  test('of every type of the server whose input is not immutable: no text, but the type itself', async () => {
    // Arrays, domains and ranges are as their parts; money, intervals and XML depend on settings of the key alone.
    const { rows } = await direct.query<{ type: string; plain: boolean }>(`
      WITH RECURSIVE part(oid, of) AS (
        SELECT t.oid, t.oid FROM pg_type t WHERE t.typtype IN ('b', 'd', 'r', 'm')
        UNION SELECT part.oid, x FROM part JOIN pg_type t ON t.oid = part.of
          LEFT JOIN pg_range r ON r.rngtypid = t.oid LEFT JOIN pg_range m ON m.rngmultitypid = t.oid
          CROSS JOIN LATERAL unnest(ARRAY[CASE WHEN t.typcategory = 'A' THEN t.typelem END, t.typbasetype, r.rngsubtype, m.rngtypid]) x
          WHERE x <> 0)
      SELECT DISTINCT format_type(part.oid, NULL) AS type,
        t.typcategory IN ('D', 'T') AND t.oid < 16384 AS plain
      FROM part JOIN pg_type l ON l.oid = part.of JOIN pg_proc i ON i.oid = l.typinput
      JOIN pg_type t ON t.oid = part.oid LEFT JOIN pg_class c ON c.oid = (SELECT typrelid FROM pg_type e WHERE e.oid = t.typelem)
      WHERE l.typtype = 'b' AND i.provolatile <> 'i' AND t.oid < 16384 AND c.oid IS NULL
        AND i.proname NOT IN ('array_in', 'cash_in', 'interval_in', 'xml_in')
      ORDER BY 1`);
    expect(rows.length).toBeGreaterThan(30);
    expect(rows.map(({ type }) => isKept(`SELECT words::${type} FROM t`))).toEqual(
      rows.map(({ type }) => `false SELECT words::${type} FROM t`),
    );
    const itself = rows.filter(({ plain }) => plain).map(({ type }) => `SELECT at::${type} FROM t`);
    expect(itself.length).toBeGreaterThan(3);
    expect(itself.map(isKept)).toEqual(itself.map((sql) => `true ${sql}`));
  });

  test('nothing, while a cast from text that nobody need write makes moments', async () => {
    const read = async (): Promise<Catalog> =>
      readCatalog(async (sql) => (await direct.query<Record<string, unknown>>(sql)).rows);
    expect(planOf('SELECT id FROM t WHERE day > words').isCacheable).toBe(true);
    await direct.query('CREATE CAST (text AS date) WITH INOUT AS IMPLICIT');
    const before = catalog;
    catalog = await read();
    expect(planOf('SELECT id FROM t WHERE day > words').isCacheable).toBe(false);
    await direct.query('DROP CAST (text AS date)');
    catalog = before;
  });
});

describe.skipIf(!hasRedis())('clients of Weir', () => {
  let redis: Redis;
  let weir: TestWeir;

  beforeAll(async () => {
    redis = await startRedis();
    const more = {
      cache: { enabled: true, redis: redis.url },
      auth: { user: users.monitor },
      log: { level: 'error' },
    };
    weir = await startTestWeir(weirConfig(cluster, { database, serverUser: null }, more));
  });
  afterEach(closeClients);
  afterAll(async () => {
    await weir.stop();
    await redis.stop();
  });

  test.each([
    'SELECT words::timestamptz::text AS value FROM t WHERE id = 1',
    "SELECT (('{' || words || '}')::timestamptz[])[1]::text AS value FROM t WHERE id = 1",
    'SELECT timestamptz(words)::text AS value FROM t WHERE id = 1',
    'SELECT made::text AS value FROM cast_view WHERE id = 1',
  ])('see the present, while the control comes from the cache: %s', async (sql) => {
    const client = await connectPg(weir.url({ database, user: users.app }));
    const ask = async (text: string): Promise<{ value: string; isHit: boolean }> => {
      const { rows } = await client.query<{ value: string }>(text);
      const route = (await client.query<Record<string, string>>('SHOW weir.last_route')).rows[0]?.['weir.last_route'];
      return { value: rows[0]?.value ?? '', isHit: route?.startsWith('cache; hit') === true };
    };
    const control = `SELECT (at::date)::text AS value FROM t WHERE id = 1 -- ${String(sql.length)}`;
    await until('the control to be cached', async () => (await ask(control)).isHit);
    for (let i = 0; i < 4; i++) {
      const before = (await direct.query<{ at: string }>('SELECT clock_timestamp()::text AS at')).rows[0]?.at ?? '';
      const { value, isHit } = await ask(sql);
      expect(isHit).toBe(false);
      expect(new Date(value).getTime()).toBeGreaterThanOrEqual(new Date(before).getTime());
      expect((await ask(control)).isHit).toBe(true);
    }
  });
});
