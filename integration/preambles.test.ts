/**
 * What drivers and tools say when they connect, and what they say around each piece of work: none of it pins, the next
 * client on the same server sees none of it, and the client has its values on whatever server it comes to. As they really
 * said it: asyncpg 0.32, psycopg 3.3, psycopg2 2.9, SQLAlchemy 2.1, pgjdbc 42.7, postgres.js 3, Sequelize 6, Knex 3.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  fillOtherWorkers,
  RawClient,
  startWeir,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';
import { bindTo, execute, parse, sync } from '../src/protocol/write.ts';

const cluster = useCluster();
let weir: WeirProcess;
let database: string;

beforeAll(async () => {
  database = await cluster.createDatabase();
  const pool = { default_pool_size: 2, max_pool_size: 2, resize: { enabled: false } };
  weir = await startWeir(weirConfig(cluster, { database, replicas: [] }, { auth: { type: 'trust' }, ...pool }));
  // A server changes its clients only within a worker.
  await fillOtherWorkers(weir, 6);
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await cluster.dropDatabase(database);
});

const connect = (name = 'other'): Promise<pg.Client> => connectPg(`${weir.url({ database })}?application_name=${name}`);

/** SQL by Query, or with values by Parse, Bind and Execute. A Buffer is a value in binary format. */
type Step = string | readonly [sql: string, ...values: (string | null | Buffer)[]];

interface Preamble {
  readonly name: string;
  readonly steps: readonly Step[];
  /** Statements with values have names, and are prepared once. */
  readonly isNamed?: boolean;
  /** What SHOW must say afterwards, on any server. */
  readonly holds: Readonly<Record<string, string>>;
  /** What must be as if nothing had been said. */
  readonly leaves?: readonly string[];
}

const byte = (value: number): Buffer => Buffer.from([value]);

const preambles: readonly Preamble[] = [
  {
    name: 'asyncpg: the first enum or composite type',
    isNamed: true,
    steps: [
      [
        `SELECT
                        current_setting('jit') AS cur,
                        set_config('jit', 'off', false) AS new`,
      ],
      [
        `WITH RECURSIVE typeinfo_tree(oid, ns, name, kind, basetype, elemtype, depth) AS (
          SELECT t.oid, ns.nspname, t.typname, t.typtype::text, t.typbasetype, t.typelem, 0
          FROM pg_catalog.pg_type AS t INNER JOIN pg_catalog.pg_namespace ns ON (ns.oid = t.typnamespace)
          WHERE t.oid = any($1::oid[])
          UNION ALL
          SELECT t.oid, ns.nspname, t.typname, t.typtype::text, t.typbasetype, t.typelem, tt.depth + 1
          FROM typeinfo_tree tt, pg_catalog.pg_type AS t INNER JOIN pg_catalog.pg_namespace ns ON (ns.oid = t.typnamespace)
          WHERE (tt.elemtype IS NOT NULL AND t.oid = tt.elemtype)
        ) SELECT DISTINCT *, basetype::regtype::text AS basetype_name FROM typeinfo_tree ORDER BY depth DESC`,
        '{1007}',
      ],
      [
        `SELECT
                    set_config('jit', $1, false)`,
        'on',
      ],
    ],
    holds: { jit: 'on' },
  },
  {
    name: 'asyncpg: a connection goes back to its pool',
    steps: [
      ["SELECT set_config('jit', $1, false)", Buffer.from('off')],
      'SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;',
    ],
    holds: {},
    leaves: ['jit'],
  },
  {
    name: 'psycopg2',
    steps: [
      "SET DATESTYLE TO 'ISO'",
      'BEGIN; SELECT 1',
      'COMMIT',
      "SET default_transaction_isolation TO 'read committed'",
      "SELECT 'x'",
    ],
    holds: { datestyle: 'ISO, MDY', default_transaction_isolation: 'read committed' },
  },
  {
    name: 'psycopg2: set_session() with autocommit',
    steps: [
      "SET default_transaction_isolation TO 'serializable'",
      "SET default_transaction_read_only TO 'on'",
      'SET default_transaction_isolation TO DEFAULT;SET default_transaction_read_only TO DEFAULT',
      "SET client_encoding TO 'LATIN1'",
      "SET client_encoding TO 'UTF8'",
      'ABORT; RESET ALL; SET SESSION AUTHORIZATION DEFAULT;',
    ],
    holds: {},
    leaves: ['default_transaction_isolation', 'default_transaction_read_only', 'client_encoding'],
  },
  {
    name: 'psycopg 3: TypeInfo, EnumInfo, CompositeInfo',
    steps: [
      'BEGIN',
      [
        `SELECT
    typname AS name, oid, typarray AS array_oid,
    oid::regtype::text AS regtype, typdelim AS delimiter
FROM pg_type t
WHERE t.oid = to_regtype($1)
ORDER BY t.oid`,
        'int4',
      ],
      [
        `SELECT name, oid, array_oid, regtype, array_agg(label) AS labels
FROM (
    SELECT
        t.typname AS name, t.oid AS oid, t.typarray AS array_oid,
        t.oid::regtype::text AS regtype, e.enumlabel AS label
    FROM pg_type t
    LEFT JOIN  pg_enum e
    ON e.enumtypid = t.oid
    WHERE t.oid = to_regtype($1)
    ORDER BY e.enumsortorder
) x
GROUP BY name, oid, array_oid, regtype`,
        'int4',
      ],
      'SAVEPOINT "_pg3_2"',
      'RELEASE "_pg3_2"',
      'COMMIT',
      'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY',
      'COMMIT',
      ["SELECT set_config('statement_timeout', $1, false)", '12345'],
    ],
    holds: { statement_timeout: '12345ms' },
  },
  {
    name: 'postgres.js: types',
    isNamed: true,
    steps: [
      [
        `
      select b.oid, b.typarray
      from pg_catalog.pg_type a
      left join pg_catalog.pg_type b on b.oid = a.typelem
      where a.typcategory = 'A'
      group by b.oid, b.typarray
      order by b.oid
    `,
      ],
      'begin read only',
      ['select $1::int as i', '1'],
      'commit',
      ['select pg_notify($1, $2)', 'chan', 'x'],
    ],
    holds: {},
  },
  {
    name: 'Sequelize',
    steps: [
      "SET client_min_messages TO warning;SET TIME ZONE INTERVAL '-03:30' HOUR TO MINUTE;",
      `WITH ranges AS (  SELECT pg_range.rngtypid, pg_type.typname AS rngtypname,         pg_type.typarray AS rngtyparray, pg_range.rngsubtype    FROM pg_range LEFT OUTER JOIN pg_type ON pg_type.oid = pg_range.rngtypid)SELECT pg_type.typname, pg_type.typtype, pg_type.oid, pg_type.typarray,       ranges.rngtypname, ranges.rngtypid, ranges.rngtyparray  FROM pg_type LEFT OUTER JOIN ranges ON pg_type.oid = ranges.rngsubtype WHERE (pg_type.typtype IN('b', 'e'));`,
      'START TRANSACTION;',
      'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;',
      'COMMIT;',
    ],
    holds: { client_min_messages: 'warning', timezone: '<-03:30>+03:30' },
  },
  {
    name: 'Knex: searchPath',
    steps: [
      'select version();',
      'set search_path to "own","public"',
      'BEGIN TRANSACTION ISOLATION LEVEL serializable;',
      'COMMIT;',
      ['select * from information_schema.tables where table_name = $1 and table_schema = current_schema()', 'k'],
    ],
    holds: { search_path: 'own, public' },
  },
  {
    name: 'migrations: functions with a search path of their own',
    steps: [
      `CREATE OR REPLACE FUNCTION guarded() RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS
         $$ BEGIN RETURN current_setting('search_path'); END $$`,
      'ALTER FUNCTION guarded() SET search_path = pg_catalog, pg_temp',
      `CREATE OR REPLACE FUNCTION local_path() RETURNS text LANGUAGE plpgsql AS
         $$ BEGIN SET LOCAL search_path = pg_catalog; RETURN current_setting('search_path'); END $$`,
      'SELECT guarded()',
      ['SELECT local_path(), guarded()'],
      'BEGIN',
      'SELECT local_path()',
      'COMMIT',
    ],
    holds: {},
    leaves: ['search_path'],
  },
  {
    name: 'SQLAlchemy',
    steps: [
      'BEGIN',
      'select pg_catalog.version()',
      'select current_schema()',
      'show standard_conforming_strings',
      'ROLLBACK',
      'SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ',
    ],
    holds: { default_transaction_isolation: 'repeatable read' },
  },
  {
    name: 'Npgsql: types, and a connection goes back to its pool',
    steps: [
      `SELECT version();
       SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid
       FROM (SELECT typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, typ.typelem AS elemtypoid
             FROM pg_type AS typ) AS t
       JOIN pg_namespace AS ns ON (ns.oid = t.typnamespace) WHERE t.typtype IN ('b', 'r', 'm', 'e', 'd');
       SELECT typ.oid, att.attname, att.atttypid FROM pg_type AS typ
       JOIN pg_namespace AS ns ON (ns.oid = typ.typnamespace)
       JOIN pg_class AS cls ON (cls.oid = typ.typrelid)
       JOIN pg_attribute AS att ON (att.attrelid = typ.typrelid)
       WHERE typ.typtype = 'c' AND cls.relkind = 'c' AND attnum > 0 ORDER BY typ.oid, att.attnum;
       SELECT pg_type.oid, enumlabel FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid ORDER BY oid, enumsortorder;`,
      "SET application_name = 'npgsql'; SET search_path = 'pg_catalog'",
      'DISCARD ALL',
    ],
    holds: {},
    leaves: ['application_name', 'search_path'],
  },
  {
    name: 'Npgsql: the same with prepared statements',
    steps: [
      'SET lock_timeout = 7000',
      'CLOSE ALL; UNLISTEN *; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DISCARD TEMP; ' +
        'SELECT pg_advisory_unlock_all(); DISCARD SEQUENCES',
    ],
    holds: {},
    leaves: ['lock_timeout'],
  },
  {
    name: 'pgjdbc',
    steps: [
      ['SET extra_float_digits = 3'],
      ["SET application_name = 'PostgreSQL JDBC Driver'"],
      ['SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY'],
      ["SET SESSION search_path TO 'public'"],
      ['BEGIN READ ONLY'],
      ['show transaction_read_only'],
      ['COMMIT'],
      [
        `SELECT typinput='pg_catalog.array_in'::regproc as is_array, typtype, typname, pg_type.oid   FROM pg_catalog.pg_type   LEFT JOIN (select ns.oid as nspoid, ns.nspname, r.r           from pg_namespace as ns           join ( select s.r, (current_schemas(false))[s.r] as nspname                    from generate_series(1, array_upper(current_schemas(false), 1)) as s(r) ) as r          using ( nspname )        ) as sp     ON sp.nspoid = typnamespace  ORDER BY sp.r, pg_type.oid DESC`,
      ],
      [
        'SELECT n.nspname = ANY(current_schemas(true)), n.nspname, t.typname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON t.typnamespace = n.oid WHERE t.oid = $1',
        '23',
      ],
    ],
    holds: {
      extra_float_digits: '3',
      application_name: 'PostgreSQL JDBC Driver',
      default_transaction_read_only: 'on',
      search_path: 'public',
    },
  },
  {
    name: 'pgx',
    steps: ['-- ping', ['select $1::text', 'x'], 'begin isolation level read committed', 'commit', ';'],
    holds: {},
  },
  {
    name: 'Rails',
    steps: [
      "SET client_min_messages TO 'warning'",
      'SET standard_conforming_strings = on',
      'SET intervalstyle = iso_8601',
      "SET SESSION timezone TO 'UTC'",
      `SELECT t.oid, t.typname, t.typelem, t.typdelim, t.typinput, r.rngsubtype, t.typtype, t.typbasetype
       FROM pg_type AS t LEFT JOIN pg_range AS r ON oid = rngtypid WHERE t.typname IN ('int2', 'int4')`,
      'SHOW max_identifier_length',
    ],
    holds: { client_min_messages: 'warning', intervalstyle: 'iso_8601', timezone: 'UTC' },
  },
  {
    name: 'Django',
    steps: [
      ["SELECT set_config('TimeZone', $1, false)", 'Asia/Tokyo'],
      ['SELECT set_config($1, $2, $3)', 'lock_timeout', '4321ms', 'f'],
    ],
    holds: { timezone: 'Asia/Tokyo', lock_timeout: '4321ms' },
  },
  {
    name: 'Prisma',
    steps: ['SET search_path = "public"', 'BEGIN', ['SELECT 1'], 'COMMIT', ['SELECT 1']],
    holds: { search_path: 'public' },
  },
  {
    name: 'Postgrex: types',
    steps: [
      `SELECT t.oid, t.typname, t.typsend, t.typreceive, t.typoutput, t.typinput, coalesce(d.typelem, t.typelem),
              coalesce(r.rngsubtype, 0), ARRAY (
         SELECT a.atttypid FROM pg_attribute AS a
         WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
       FROM pg_type AS t LEFT JOIN pg_type AS d ON t.typbasetype = d.oid
       LEFT JOIN pg_range AS r ON r.rngtypid = t.oid WHERE (t.typrelid = 0) AND t.oid = 23`,
      '',
      ["SET work_mem = '5MB'"],
    ],
    holds: { work_mem: '5MB' },
  },
  {
    name: 'Hasura',
    steps: [
      "SET client_min_messages TO WARNING; SET TIME ZONE 'utc'",
      'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE',
      `SET LOCAL "hasura.user" = '{"x-hasura-role":"u"}'`,
      'COMMIT',
    ],
    holds: { client_min_messages: 'warning', timezone: 'UTC' },
  },
  {
    name: 'PostgREST',
    steps: [
      'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE',
      [
        `select set_config('search_path', $1, true), set_config('role', $2, true),
                set_config('request.jwt.claims', $3, true), set_config($4, $5, true)`,
        '"public", "pg_catalog"',
        'app',
        '{"role":"app"}',
        'statement_timeout',
        '9s',
      ],
      "SELECT current_setting('request.jwt.claims')",
      'COMMIT',
    ],
    holds: {},
    leaves: ['search_path', 'role', 'statement_timeout'],
  },
  {
    name: 'DBeaver',
    steps: [
      'SET extra_float_digits = 3',
      "SET application_name = 'DBeaver - Main'",
      'SHOW search_path',
      'SELECT db.oid, db.* FROM pg_catalog.pg_database db WHERE datallowconn LIMIT 1',
      'SET search_path = public,"$user"',
    ],
    holds: { application_name: 'DBeaver - Main', search_path: 'public, "$user"' },
  },
  {
    name: 'pgAdmin',
    steps: [
      "SET DateStyle=ISO; SET client_min_messages=notice; SELECT set_config('bytea_output','hex',false) " +
        "FROM pg_show_all_settings() WHERE name = 'bytea_output'; SET client_encoding='UTF8';",
      "SELECT set_config('bytea_output', 'escape', false) FROM pg_settings WHERE name = 'bytea_output'",
      "SELECT set_config('intervalstyle', 'iso_8601', false) FROM pg_settings WHERE name = 'no such setting'",
    ],
    holds: { bytea_output: 'escape', intervalstyle: 'postgres' },
  },
  {
    name: 'set_config() with values of both formats',
    steps: [
      ['SELECT set_config($1, $2, $3)', Buffer.from('lock_timeout'), Buffer.from('2s'), byte(0)],
      ['SELECT pg_catalog.set_config($1::text, $2::varchar, $3::boolean)', 'work_mem', '6MB', byte(1)],
      ["SELECT set_config('IntervalStyle', $1, false)", 'iso_8601'],
      ["SELECT set_config('intervalstyle', $1, false)", null],
      ["SELECT set_config('search_path', $1, false)", '"$user", public, pg_catalog'],
      ["SELECT set_config('timezone', 'UTC', false), set_config('timezone', $1, false)", 'Asia/Tokyo'],
    ],
    holds: { lock_timeout: '2s', search_path: '"$user", public, pg_catalog', timezone: 'Asia/Tokyo' },
    leaves: ['work_mem', 'intervalstyle'],
  },
  {
    name: 'set_config() in a transaction that is rolled back, or in part',
    steps: [
      ["SELECT set_config('lock_timeout', $1, false)", '1s'],
      'BEGIN',
      ["SELECT set_config('lock_timeout', $1, false)", '2s'],
      ["SELECT set_config('work_mem', $1, false)", '7MB'],
      'ROLLBACK',
      'BEGIN',
      ["SELECT set_config('timezone', $1, false)", 'Asia/Tokyo'],
      'SAVEPOINT one',
      ["SELECT set_config('timezone', $1, false)", 'UTC'],
      'ROLLBACK TO one',
      'COMMIT',
    ],
    holds: { lock_timeout: '1s', timezone: 'Asia/Tokyo' },
    leaves: ['work_mem'],
  },
];

async function run(client: pg.Client, step: Step, isNamed: boolean): Promise<void> {
  if (typeof step === 'string') await client.query(step);
  else if (isNamed) await client.query({ name: `__stmt_${step[0].length}`, text: step[0], values: step.slice(1) });
  else await client.query(...([step[0], step.slice(1)] as const));
}

async function pinsOf(name: string): Promise<string> {
  const admin = await connectPg(weir.adminUrl());
  const { rows } = await admin.query('SHOW CLIENTS');
  await admin.end();
  // Its application_name may be what it tests: the only client but the admin's own.
  const clients = rows.filter((each) => each.database === database);
  expect(clients.length, name).toBeGreaterThan(0);
  return clients.map((each) => String(each.pins)).join('');
}

async function settingsOf(client: pg.Client, names: readonly string[]): Promise<Record<string, string>> {
  const values: Record<string, string> = {};
  for (const name of names) values[name] = String(Object.values((await client.query(`SHOW ${name}`)).rows[0])[0]);
  return values;
}

const pidOf = async (client: pg.Client): Promise<number> =>
  (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;

describe('what drivers say does not pin, does not leak, and is not lost', () => {
  test.each(preambles)('$name', async ({ steps, holds, leaves = [], isNamed = false }) => {
    const names = [...Object.keys(holds), ...leaves];
    const fresh = await settingsOf(await connect(), names);
    await closeClients();
    const client = await connect();
    for (const step of steps) await run(client, step, isNamed);
    const last = await pidOf(client);
    // Behind its own DDL it is, until the catalog has been read again.
    await until('the catalog is read', async () => (await pinsOf('client')) !== 'catalog not read yet');
    expect(await pinsOf('client')).toBe('');
    const own = { ...Object.fromEntries(leaves.map((name) => [name, fresh[name]])), ...holds };
    expect(await settingsOf(client, names)).toEqual(own);

    // Others, until one has had that very server, and holds it.
    const other = await connect();
    await until('the same server', async () => {
      await other.query('BEGIN');
      if ((await pidOf(other)) === last) return true;
      await other.query('COMMIT');
      return false;
    });
    expect(await settingsOf(other, names)).toEqual(fresh);
    expect(await pidOf(client)).not.toBe(last);
    expect(await settingsOf(client, names)).toEqual(own);
  });
});

test('a call whose portal is not read to its end has been made all the same', async () => {
  const raw = await RawClient.connect(weir, { user: users.app, database });
  try {
    const sql = Buffer.from("SELECT set_config('lock_timeout', '8s', false)");
    const answer = raw.next();
    // As asyncpg's fetchval() does it: one row, and the portal is dropped.
    await raw.send(Buffer.concat([parse('', sql, Buffer.alloc(2)), bindTo('', ''), execute(1), sync]));
    expect((await answer).values).toEqual(['8s']);
    const others = await Promise.all([connect(), connect()]);
    for (const other of others) expect(await settingsOf(other, ['lock_timeout'])).toEqual({ lock_timeout: '0' });
    await Promise.all(others.map((other) => other.query('BEGIN')));
    for (const other of others) expect(await settingsOf(other, ['lock_timeout'])).toEqual({ lock_timeout: '0' });
    for (const other of others) await other.query('COMMIT');
    expect((await raw.ask('SHOW lock_timeout')).values).toEqual(['8s']);
  } finally {
    raw.end();
  }
});
