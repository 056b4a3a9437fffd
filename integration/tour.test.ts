/**
 * What the README invites a newcomer to try ("Try it"), done with node-postgres, postgres.js and psql: a read from a
 * replica, a repeated one from the cache, an update through a second Weir that makes the next read fresh, a pool resized
 * under 200 clients, metrics.
 */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  connectPostgresJs,
  currentRun,
  findProgram,
  pgUrl,
  runProgram,
  runPsql,
  startWeir,
  until,
  useCluster,
  useRedis,
  weirConfig,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';
import { checkoutDir } from './harness/run-dir.ts';

/** One session that runs a statement and gives the first value of its answer as text. */
interface Asker {
  ask(sql: string): Promise<string>;
}

const cluster = useCluster();
const redis = useRedis();
let database: string;
let weir: WeirProcess;
/** Shares the Redis with the first; without a Redis there is only one Weir. */
let other: WeirProcess;

beforeAll(async () => {
  database = await cluster.createDatabase();
  const cache = { enabled: true, ...(redis === null ? {} : { redis: redis.url }) };
  const config = weirConfig(cluster, { database }, { cache });
  weir = await startWeir(config);
  other = redis === null ? weir : await startWeir(config);
  await through(weir).run('CREATE TABLE orders AS SELECT n AS id, n % 10 AS customer FROM generate_series(1, 1000) n');
});
afterEach(closeClients);
afterAll(async () => {
  if (other !== weir) await other.stop();
  await weir.stop();
  await cluster.dropDatabase(database);
});

function through(one: WeirProcess): { run(sql: string): Promise<void> } {
  return {
    async run(sql) {
      const client = await connectPg(one.url({ database }));
      await client.query(sql);
      await client.end();
    },
  };
}

const text = (row: Record<string, unknown> | undefined): string => String(Object.values(row ?? {})[0] ?? '');

const clients: Record<string, () => Promise<Asker>> = {
  'node-postgres': async () => {
    const client = await connectPg(weir.url({ database }));
    return { ask: async (sql) => text((await client.query<Record<string, unknown>>(sql)).rows[0]) };
  },
  'postgres.js': () => {
    const sql = connectPostgresJs(weir.url({ database }));
    return Promise.resolve({ ask: async (statement) => text((await sql.unsafe(statement))[0]) });
  },
};

describe.each(Object.keys(clients))('%s', (name) => {
  const connect = async (): Promise<Asker> => {
    const make = clients[name];
    if (make === undefined) throw new Error(`no client ${name}`);
    return make();
  };

  test('reads from a replica', async () => {
    const client = await connect();
    await client.ask(`SET weir.cache = 'off'`);
    await until('a read from a replica', async () => {
      expect(await client.ask('SELECT count(*) FROM orders')).toBe('1000');
      return (await client.ask('SHOW weir.last_route')).startsWith('replica');
    });
  });

  test('a repeated query is answered from the cache, until the second Weir changes its table', async () => {
    const client = await connect();
    const question = `SELECT count(*) FROM orders WHERE customer = 3 /* ${name} */`;
    const before = Number(await client.ask(question));
    await until('a hit', async () => {
      expect(Number(await client.ask(question))).toBe(before);
      return (await client.ask('SHOW weir.last_route')).startsWith('cache; hit');
    });
    await through(other).run(
      'UPDATE orders SET customer = 3 WHERE id = (SELECT min(id) FROM orders WHERE customer = 4)',
    );
    await until('the answer to be fresh', async () => Number(await client.ask(question)) === before + 1);
    await through(other).run(
      'UPDATE orders SET customer = 4 WHERE id = (SELECT min(id) FROM orders WHERE customer = 3)',
    );
  });
});

describe.skipIf(findProgram('psql') === undefined)('psql (needs psql)', () => {
  const psql = async (...statements: readonly string[]): Promise<string[]> => {
    const done = await runPsql(
      weir.url({ database }),
      '',
      statements.flatMap((sql) => ['-c', sql]),
    );
    expect({ code: done.code, stderr: done.stderr }).toEqual({ code: 0, stderr: '' });
    return done.stdout.trimEnd().split('\n');
  };

  test('reads from a replica, then from the cache, then what another Weir wrote', async () => {
    const question = 'SELECT count(*) FROM orders WHERE customer = 5 /* psql */';
    const route = 'SHOW weir.last_route';
    await until('a read from a replica', async () => {
      const [, where] = await psql(`SET weir.cache = 'off'`, question, route);
      return where?.startsWith('replica');
    });
    const [before = ''] = await psql(question);
    await until('a hit', async () => (await psql(question, route))[1] === 'cache; hit');
    await through(other).run('INSERT INTO orders VALUES (2000, 5)');
    const fresh = String(Number(before) + 1);
    await until('the answer to be fresh', async () => (await psql(question))[0] === fresh);
    await through(other).run('DELETE FROM orders WHERE id = 2000');
  });
});

/** `node bin/weir.js ...`, as the README has it. */
async function cli(...args: readonly string[]): Promise<string> {
  const program = join(checkoutDir, 'bin/weir.js');
  const done = await runProgram(process.execPath, [program, ...args, '--url', weir.adminUrl()]);
  expect({ code: done.code, stderr: done.stderr }).toEqual({ code: 0, stderr: '' });
  return done.stdout;
}

describe('a pool is resized under 200 clients without an error', () => {
  /** Up, down and up again while `work` goes on. */
  async function resizeDuring(work: Promise<unknown>): Promise<void> {
    let isOver = false;
    const over = work.finally(() => (isOver = true));
    for (const max of [40, 5, 60]) {
      if (isOver) break;
      expect(await cli('resize', `${database}.app`, '--max', String(max))).toContain(`(min 0, max ${max})`);
    }
    await over;
    // Smaller than 20 if the work was over while 5 was the most.
    expect(await cli('resize', `${database}.app`, '--max', '20')).toMatch(/-> (5|20) \(min 0, max 20\)/);
  }

  test('node-postgres', async () => {
    await through(weir).run(
      'CREATE TABLE counter (id int PRIMARY KEY, n int); INSERT INTO counter SELECT i, 0 FROM generate_series(1, 50) i',
    );
    const connected = await Promise.all(Array.from({ length: 200 }, () => connectPg(weir.url({ database }))));
    const work = connected.map(async (client, i) => {
      for (let round = 0; round < 8; round++) {
        await client.query('BEGIN');
        await client.query('UPDATE counter SET n = n + 1 WHERE id = $1', [1 + (i % 50)]);
        await client.query('COMMIT');
        await client.query('SELECT n FROM counter WHERE id = $1', [1 + (i % 50)]);
      }
    });
    await resizeDuring(Promise.all(work));
    const [row] = await cluster.query<{ total: number }>('SELECT sum(n)::int AS total FROM counter', { database });
    expect(row?.total).toBe(200 * 8);
  });

  test.skipIf(findProgram('pgbench') === undefined)('pgbench -c 200 (needs pgbench)', async () => {
    const pgbench = findProgram('pgbench') ?? '';
    const url = pgUrl(weir, { database });
    const cwd = mkdtempSync(join(currentRun().dir, 'pgbench-'));
    expect(await runProgram(pgbench, ['-i', '-q', url], { cwd })).toMatchObject({ code: 0 });
    const load = runProgram(pgbench, ['-n', '-c', '200', '-j', '2', '-t', '5', url], { cwd });
    await resizeDuring(load);
    const { code, stdout, stderr } = await load;
    expect({ code, stderr: stderr.match(/error|aborted/g) }).toEqual({ code: 0, stderr: null });
    expect(stdout).toContain('number of transactions actually processed: 1000/1000');
  });
});

test('/metrics tells all of it', async () => {
  const { status, body } = await weir.http('/metrics');
  expect(status).toBe(200);
  const value = (start: string): number =>
    Number(
      body
        .split('\n')
        .find((line) => line.startsWith(start))
        ?.split(' ')
        .pop(),
    );
  const labels = (route: string, cache: string): string =>
    `{database="${database}",route="${route}",cache="${cache}",result="ok"}`;
  expect(value(`weir_queries_total${labels('replica', 'off')}`)).toBeGreaterThan(0);
  expect(value(`weir_queries_total${labels('cache', 'hit')}`)).toBeGreaterThan(0);
  expect(value('weir_pool_resizes_total{direction="down",reason="operator"}')).toBeGreaterThan(0);
  expect(body).toContain(`weir_pool_size_limit{database="${database}",user="app",node="primary"} 20`);
});
