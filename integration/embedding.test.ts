/**
 * A program that has Weir inside: `import { startWeir } from 'weir'`, by the name of the package, as users have it. Its clients
 * are served by real servers, and the program ends by itself once Weir has stopped: nothing of Weir keeps it alive. Also
 * what the compiler says of the types. Needs a build.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkoutDir, currentRun } from './harness/run-dir.ts';
import { Child, closeClients, connectPg, PASSWORD, pgUrl, startRedis, hasRedis, useCluster } from './harness/index.ts';

const cluster = useCluster();
let database: string;
let dir: string;

beforeAll(async () => {
  database = await cluster.createDatabase();
  dir = mkdtempSync(join(currentRun().dir, 'embedding-'));
  mkdirSync(join(dir, 'node_modules'));
  symlinkSync(checkoutDir, join(dir, 'node_modules/weir'), 'dir');
  symlinkSync(join(checkoutDir, 'node_modules/pg'), join(dir, 'node_modules/pg'), 'dir');
  symlinkSync(join(checkoutDir, 'node_modules/@types'), join(dir, 'node_modules/@types'), 'dir');
  writeFileSync(join(dir, 'package.json'), '{ "type": "module" }');
});
afterAll(async () => {
  await closeClients();
  await cluster.dropDatabase(database);
});

/** What a program starts with: `settings` are those of a Weir on ports that are free. */
function prelude(more: object = {}): string {
  const node = (at: { port: number }): string => pgUrl(at, { user: 'app', database });
  const settings = {
    listen: '127.0.0.1:0',
    http: '127.0.0.1:0',
    auth: { admin_users: ['weir'] },
    databases: { [database]: { primary: node(cluster.primary), replicas: cluster.replicas.map(node) } },
    ...more,
  };
  return `
    import pg from 'pg';
    import { startWeir, WeirConfigError } from 'weir';
    const settings = ${JSON.stringify(settings)};
    const [database, password] = ${JSON.stringify([database, PASSWORD])};
    const app = { user: 'app', password };
    const start = (settings) => startWeir(settings, { users: { weir: password }, log: () => {} });
    const ask = async (url, text) => {
      const client = new pg.Client(url);
      await client.connect();
      const { rows } = await client.query(text);
      await client.end();
      return rows;
    };
    // Standard output and error are those of the program.
    const left = () => process.getActiveResourcesInfo().filter((name) => !/^(PipeWrap|TTYWrap|FSReqCallback)$/.test(name));
    // The two ends of a connection to a client close one after the other, each in a turn of its own.
    const nothingLeft = async () => {
      while (left().length > 0) await new Promise((resolve) => setImmediate(resolve));
      return true;
    };
    const say = (what) => console.log(JSON.stringify(what));
  `;
}

/** Runs a program to its end, which nothing but an empty event loop brings about. */
async function run(text: string): Promise<unknown[]> {
  const file = join(dir, 'program.mjs');
  writeFileSync(file, text);
  const child = new Child(currentRun(), process.execPath, [file], { cwd: dir });
  expect(await child.exited, child.output).toEqual({ code: 0, signal: null });
  return child.output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

test('serves clients; after stop() nothing is left, and the program ends by itself', async () => {
  const said = await run(`${prelude()}
    const weir = await start(settings);
    await weir.ready();
    say(await ask(weir.url(database, app), 'SELECT current_database() AS name'));
    const metrics = await (await fetch('http://127.0.0.1:' + weir.http.port + '/metrics')).text();
    say(metrics.includes('weir_queries_total{database="' + database + '"'));
    const idle = new pg.Client(weir.url(database, app));
    idle.on('error', () => {});
    await idle.connect();
    const gone = new Promise((resolve) => idle.once('end', resolve));
    await weir.stop();
    await gone;
    say(await nothingLeft());
  `);
  expect(said).toEqual([[{ name: database }], true, true]);
});

test('with cache and Redis, too', { skip: !hasRedis() }, async () => {
  const redis = await startRedis();
  try {
    const said = await run(`${prelude({ cache: { enabled: true, redis: redis.url } })}
      const weir = await start(settings);
      await weir.ready();
      say(await ask(weir.url(database, app), 'SELECT 1 AS one'));
      await weir.stop();
    `);
    expect(said).toEqual([[{ one: 1 }]]);
  } finally {
    await redis.stop();
  }
});

test('several in one process; one stops, or is shut down by its console, and the others go on', async () => {
  const said = await run(`${prelude()}
    const [one, two, three] = await Promise.all([start(settings), start(settings), start(settings)]);
    await one.stop();
    const admin = new pg.Client(two.url('weir', { user: 'weir', password }));
    admin.on('error', () => {});
    await admin.connect();
    await admin.query('SHUTDOWN').catch(() => {});
    await two.ended;
    say(await ask(three.url(database, app), 'SELECT 1 AS one'));
    await three.drain();
    await three.ended;
  `);
  expect(said).toEqual([[{ one: 1 }]]);
});

test('a refused configuration and a port that is in use are exceptions, after which nothing is left', async () => {
  const said = await run(`${prelude()}
    const weir = await start(settings);
    for (const more of [{ cash: {} }, { listen: '127.0.0.1:' + weir.address.port }]) {
      const error = await start({ ...settings, ...more }).catch((reason) => reason);
      say([error instanceof WeirConfigError, error.message, error.cause?.code]);
    }
    await weir.stop();
  `);
  expect(said).toEqual([
    [true, expect.stringContaining('cash: unknown key'), null],
    [false, expect.stringContaining('cannot listen on'), 'EADDRINUSE'],
  ]);
});

test('a client sees its own writes through it', async () => {
  const said = await run(`${prelude()}
    const weir = await start(settings);
    const client = new pg.Client(weir.url(database, app));
    await client.connect();
    await client.query('CREATE TABLE kept (id int)');
    await client.query('INSERT INTO kept VALUES (1), (2)');
    say((await client.query('SELECT count(*)::int AS n FROM kept')).rows);
    await client.end();
    await weir.stop();
  `);
  expect(said).toEqual([[{ n: 2 }]]);
  const direct = await connectPg(pgUrl(cluster.primary, { database }));
  expect((await direct.query('SELECT count(*)::int AS n FROM kept')).rows).toEqual([{ n: 2 }]);
});

test('the types let through what is right, and nothing else', async () => {
  const file = join(dir, 'program.ts');
  writeFileSync(
    file,
    `import { startWeir, WeirConfigError, type Weir, type WeirSettings } from 'weir';
    const databases = { shop: { primary: 'postgres://db1/shop', replicas: [{ url: 'postgres://db2/shop', weight: 2 }] } };
    const settings: WeirSettings = {
      listen: '127.0.0.1:0', http: null, workers: 'auto', query_wait_timeout: '5s', memory_limit: 0,
      auth: { type: 'trust', admin_users: ['weir'], query: null },
      tls: { client: { mode: 'verify-full', ca: 'ca.pem' } },
      routing: { auto_discover: true, load_balance_hosts: 'hash' },
      budgets: { reads: { p95: '50ms' } },
      databases,
    };
    const weir: Weir = await startWeir(settings, { log: ({ event }) => console.log(event) });
    const port: number = weir.address.port;
    console.log(port, weir.http?.host, (await weir.reload()).changed.length);
    await startWeir('weir.yaml').catch((error: unknown) => error instanceof WeirConfigError && error.problems.join());
    // @ts-expect-error an unknown key
    await startWeir({ cash: {}, databases });
    // @ts-expect-error an unknown key of a section
    await startWeir({ cache: { enabeld: true }, databases });
    // @ts-expect-error an unknown value
    await startWeir({ pool_mode: 'transactions', databases });
    // @ts-expect-error no databases
    await startWeir({ listen: '127.0.0.1:0' });
    // @ts-expect-error a database without a primary
    await startWeir({ databases: { shop: {} } });
    await weir.stop();
    `,
  );
  const compiler = join(checkoutDir, 'node_modules/typescript/bin/tsc');
  const options = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--skipLibCheck', 'false'];
  const args = [compiler, ...options, '--module', 'nodenext', '--target', 'es2022', '--types', 'node', file];
  const output = await new Promise<string>((resolve) =>
    execFile(process.execPath, args, { cwd: dir }, (_error, stdout) => resolve(stdout)),
  );
  expect(output).toBe('');
});
