/**
 * What a client calls its own: the number that it takes for the pid of its server hits nobody else, and its prepared
 * statements are its own wherever SQL speaks of them.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  pgUrl,
  RawClient,
  startWeir,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';
import { bindTo, execute, sync } from '../src/protocol/write.ts';

const cluster = useCluster();
let weir: WeirProcess;
let database: string;

const columns = 'name, statement, parameter_types::text, from_sql';

beforeAll(async () => {
  database = await cluster.createDatabase();
  await cluster.query(
    `SET ROLE ${users.app};
     CREATE TABLE own (v int); INSERT INTO own VALUES (0);
     CREATE VIEW names AS SELECT ${columns} FROM pg_prepared_statements;
     CREATE VIEW over_names AS SELECT * FROM names;
     CREATE FUNCTION by_sql() RETURNS SETOF names LANGUAGE sql STABLE AS 'SELECT * FROM over_names';
     CREATE FUNCTION by_plpgsql() RETURNS SETOF names LANGUAGE plpgsql VOLATILE AS
       $$ BEGIN RETURN QUERY SELECT ${columns} FROM pg_prepared_statement(); END $$;
     CREATE FUNCTION within() RETURNS SETOF names LANGUAGE plpgsql STABLE AS
       $$ BEGIN RETURN QUERY SELECT * FROM by_plpgsql(); END $$;`,
    { database },
  );
  await cluster.waitForReplicas();
  const pool = { default_pool_size: 3, max_pool_size: 3, resize: { enabled: false } };
  const url = pgUrl(cluster.primary, { user: users.app, database });
  const databases = { by_session: { primary: { url, name: 'primary' }, pool_mode: 'session' } };
  weir = await startWeir(
    weirConfig(cluster, { database }, { auth: { type: 'trust' }, cache: { enabled: true }, databases, ...pool }),
  );
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await cluster.dropDatabase(database);
});

const connect = (): Promise<pg.Client> => connectPg(weir.url({ database }));
const routeOf = async (client: pg.Client): Promise<string> =>
  Object.values((await client.query<Record<string, string>>('SHOW weir.last_route')).rows[0] ?? {})[0] ?? '';

describe('pids', () => {
  test('a client that terminates or cancels "its own backend" by number hits nobody', async () => {
    const clients = await Promise.all(Array.from({ length: 12 }, connect));
    const numbers = clients.map((client) => (client as unknown as { processID: number }).processID);
    expect(new Set(numbers).size).toBe(clients.length);
    for (const number of numbers) {
      expect(number).toBeGreaterThan(2 ** 22);
      expect(number).toBeLessThan(2 ** 31);
    }
    const admin = await connectPg(cluster.url(cluster.primary, { user: cluster.superuser, database }));
    const ends = 'SELECT pg_terminate_backend($1) AS one, pg_cancel_backend($1) AS two';
    for (const number of numbers) {
      expect((await admin.query(ends, [number])).rows).toEqual([{ one: false, two: false }]);
    }
    for (const client of clients) expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  /** What the client is told, and whether it still has a connection then. */
  async function outcome(client: pg.Client, asks: (own: number) => Promise<unknown>): Promise<unknown[]> {
    const told: unknown[] = [];
    client.on('error', (error: Error & { severity?: string; code?: string }) => told.push(error.message));
    const own = (client as unknown as { processID: number }).processID;
    await asks(own).then(
      (answer) => told.push(answer),
      (error: Error & { severity?: string; code?: string }) => told.push(error.severity, error.code, error.message),
    );
    told.push(
      await client.query('SELECT 1 AS one').then(
        () => 'goes on',
        () => 'is gone',
      ),
    );
    return told;
  }
  const int4 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    return bytes;
  };
  const rowsOf = async (answer: Promise<pg.QueryResult>): Promise<unknown> => (await answer).rows;
  const signals: Record<string, (client: pg.Client, own: number, name: string) => Promise<unknown>> = {
    'a constant': (client, own, name) => client.query(`SELECT ${name}(${own})`),
    'a quoted constant, with a schema': (client, own, name) =>
      client.query(`SELECT pg_catalog.${name} ( '${own}'::int )`),
    'by name, behind strings and comments': (client, own, name) =>
      client.query(
        `SELECT '${name}(${own})', $$ ${name}(1 $$, "v" FROM own /* ${name}( */ WHERE ${name.toUpperCase()}(pid => ${own})`,
      ),
    'a constant in the extended protocol': (client, own, name) =>
      client.query(`SELECT ${name}(${own}), $1::text`, ['x']),
    'a parameter': (client, own, name) => client.query(`SELECT ${name}($1)`, [own]),
    'a parameter in binary': (client, own, name) => client.query(`SELECT $2::text, ${name}($1)`, [int4(own), 'x']),
    'a parameter of a named statement': async (client, own, name) => {
      const text = `SELECT ${name}($1::int), $2::int`;
      await client.query({ name: 'signal', text, values: [1, 2] });
      return client.query({ name: 'signal', text, values: [own, own] });
    },
    'in a transaction': async (client, own, name) => {
      await client.query('BEGIN');
      return client.query(`SELECT ${name}(${own})`);
    },
    'of nobody': (client, _own, name) => rowsOf(client.query(`SELECT ${name}($1)`, [2 ** 31 - 1])),
    'in a string only': (client, _own, name) =>
      rowsOf(client.query(`SELECT length('${name}(4194305)') + ${name.length} - ${name.length}, ${name}(2147483647)`)),
  };
  describe.each(['transaction', 'session'])('in %s mode', (mode) => {
    test.each(Object.keys(signals).flatMap((how) => [`pg_cancel_backend: ${how}`, `pg_terminate_backend: ${how}`]))(
      'a client signals itself by the number that it was told: %s',
      async (what) => {
        const [name, how] = what.split(': ') as [string, string];
        const ask = signals[how] as (client: pg.Client, own: number, name: string) => Promise<unknown>;
        const straight = await connectPg(cluster.url(cluster.primary, { database }));
        const through = await connectPg(weir.url({ database: mode === 'session' ? 'by_session' : database }));
        const bystander = await connectPg(weir.url({ database: mode === 'session' ? 'by_session' : database }));
        const wanted = await outcome(straight, (own) => ask(straight, own, name));
        expect(await outcome(through, (own) => ask(through, own, name))).toEqual(wanted);
        expect((await bystander.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
      },
    );
  });

  test('pg_blocking_pids() of its own number asks about its server', async () => {
    const client = await connect();
    const own = (client as unknown as { processID: number }).processID;
    const { rows } = await client.query('SELECT pg_blocking_pids($1) AS pids', [own]);
    expect(rows).toEqual([{ pids: [] }]);
  });
});

describe('names', () => {
  test.each(['names', 'over_names', 'by_sql()', 'by_plpgsql()', 'within()', 'pg_prepared_statements'])(
    '%s shows the statements of the client, as PostgreSQL does',
    async (source) => {
      const text = `SELECT ${columns} FROM ${source} ORDER BY 1`;
      const prepares = async (client: pg.Client, prefix: string): Promise<void> => {
        await client.query({ name: `${prefix}one`, text: 'SELECT $1::int + 1', values: [1] });
        await client.query({ name: `${prefix}two`, text: ' SELECT $1 || $2::text -- end', values: ['a', 'b'] });
      };
      const straight = await connectPg(cluster.url(cluster.primary, { database }));
      await prepares(straight, 'my ');
      const { rows: wanted } = await straight.query(text);
      expect(wanted).toHaveLength(2);
      const through = await connect();
      await until('the catalog to be known', async () => {
        await through.query('SELECT v FROM own');
        return !(await routeOf(through)).includes('not known');
      });
      await prepares(await connect(), 'no ');
      await prepares(through, 'my ');
      expect((await through.query(text)).rows).toEqual(wanted);
      const named = { name: 'shows', text };
      expect((await through.query(named)).rows).toEqual((await straight.query(named)).rows);
    },
  );

  test('what a statement of SQL writes, used by the protocol, is seen by everybody', async () => {
    const other = await connect();
    const read = async (): Promise<number | undefined> =>
      (await other.query<{ v: number }>('SELECT v FROM own')).rows[0]?.v;
    await until('the cache to answer', async () => {
      await read();
      return (await routeOf(other)).startsWith('cache');
    });
    const raw = await RawClient.connect(weir, { user: users.app, database });
    try {
      await raw.ask('PREPARE sql_own AS UPDATE own SET v = v + 1');
      for (let i = 1; i <= 20; i++) {
        const answer = raw.next();
        await raw.send(Buffer.concat([bindTo('', 'sql_own'), execute(0), sync]));
        await answer;
        expect(await read()).toBe(i);
        expect(await read()).toBe(i);
        if (i === 1)
          await until('the cache to answer', async () => (await read(), (await routeOf(other)).startsWith('cache')));
      }
    } finally {
      raw.end();
    }
  });
});
