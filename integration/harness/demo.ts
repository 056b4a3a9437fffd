/**
 * `npm run demo`: a primary, two replicas, a Redis if there is one, and Weir in front of them with a small data set, until
 * Ctrl-C; with --once a scripted tour instead (demo-tour.ts), with --workers a Weir of several processes. scripts/demo.mjs builds
 * and starts it.
 */
import { parseArgs } from 'node:util';
import { startCluster } from './cluster.ts';
import { isPortFree } from './child.ts';
import type { Cluster } from './cluster.ts';
import { connectPg, lastRoute } from './clients.ts';
import { tour } from './demo-tour.ts';
import { findProgram } from './programs.ts';
import { hasRedis, startRedis } from './redis.ts';
import type { Redis } from './redis.ts';
import { openRunDir } from './run-dir.ts';
import type { RunDir } from './run-dir.ts';
import { until } from './until.ts';
import { startWeir, weirConfig } from './weir.ts';
import type { WeirConfig, WeirProcess } from './weir.ts';
import { connectToEach } from './which-worker.ts';

const DATABASE = 'shop';

const shop = `
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, city text NOT NULL);
CREATE TABLE products (id int PRIMARY KEY, name text NOT NULL, price numeric(8, 2) NOT NULL);
CREATE TABLE orders (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer_id int NOT NULL REFERENCES customers,
  product_id int NOT NULL REFERENCES products,
  quantity int NOT NULL,
  ordered_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO customers
  SELECT n, 'Customer ' || n, (ARRAY['Lisbon', 'Kyoto', 'Nairobi', 'Quito', 'Oslo'])[1 + n % 5] FROM generate_series(1, 1000) n;
INSERT INTO products SELECT n, 'Product ' || n, (n * 37 % 9900 + 100) / 100.0 FROM generate_series(1, 100) n;
INSERT INTO orders (customer_id, product_id, quantity)
  SELECT 1 + n * 7 % 1000, 1 + n * 13 % 100, 1 + n % 5 FROM generate_series(1, 20000) n;
CREATE INDEX ON orders (customer_id);
ANALYZE;
`;

/** Everything that runs, in the order in which it was started. */
export interface Demo {
  readonly cluster: Cluster;
  readonly redis: Redis | undefined;
  readonly weir: WeirProcess;
  readonly config: WeirConfig;
  readonly run: RunDir;
}

function say(text: string): void {
  console.log(text);
}

async function loadShop(cluster: Cluster): Promise<void> {
  await cluster.createDatabase(DATABASE);
  const client = await connectPg(cluster.url(cluster.primary, { database: DATABASE }));
  await client.query(shop);
  await client.end();
  await cluster.waitForReplicas();
}

/** The well-known ports when they are free, so that what the documentation says works as it stands. */
async function usualPorts(): Promise<WeirConfig> {
  const areFree = (await isPortFree(6432)) && (await isPortFree(9432));
  if (!areFree) say('Port 6432 or 9432 is taken: Weir takes two others.');
  return areFree ? { listen: '127.0.0.1:6432', http: '127.0.0.1:9432' } : {};
}

export async function startDemo(run: RunDir, workers: number): Promise<Demo> {
  say('Starting a PostgreSQL primary and two streaming replicas ...');
  const cluster = await startCluster({ run });
  say(`  PostgreSQL ${cluster.version}: ${cluster.nodes.map((node) => `${node.name} on ${node.port}`).join(', ')}`);
  const redis = hasRedis() ? await startRedis(run) : undefined;
  if (redis !== undefined) say(`  Redis on ${redis.port}: second level of the cache and invalidation between proxies`);
  say('Loading customers, products and orders ...');
  await loadShop(cluster);
  const cache = { enabled: true, ...(redis === undefined ? {} : { redis: redis.url }) };
  const config = weirConfig(cluster, { database: DATABASE }, { cache, workers });
  say('Starting Weir ...');
  const weir = await startWeir({ ...config, ...(await usualPorts()) }, { run });
  say('Waiting until its replicas answer reads ...');
  await warmUp(weir, workers);
  return { cluster, redis, weir, config, run };
}

const tables = ['customers', 'products', 'orders'];

/**
 * Resolves when replicas answer reads of each table, in each worker: of a table that it has not read yet, Weir first has to learn which
 * WAL a replica needs.
 */
async function warmUp(weir: WeirProcess, workers: number): Promise<void> {
  const clients = await connectToEach(() => connectPg(weir.url({ database: DATABASE })), workers);
  for (const client of clients) {
    await client.query("SET weir.cache = 'off'");
    for (const table of tables)
      await until(`a read of ${table} on a replica`, async () => {
        await client.query(`SELECT count(*) FROM ${table}`);
        return (await lastRoute(client)).startsWith('replica');
      });
  }
  await Promise.all(clients.map((client) => client.end()));
}

/** The line of a shell that runs these statements in one session: through psql where there is one. */
function inSql(url: string, ...statements: readonly string[]): string {
  const words = statements.map((sql) => `"${sql}"`);
  return findProgram('psql') === undefined
    ? `node scripts/sql.mjs ${words.join(' ')}`
    : `psql "$${url}" ${words.map((word) => `-c ${word}`).join(' ')}`;
}

function introduce({ weir, redis, config }: Demo): void {
  const read = (...first: readonly string[]): string =>
    inSql('DATABASE_URL', ...first, 'SELECT count(*) FROM orders', 'SHOW weir.last_route');
  const update = `UPDATE customers SET city = 'Quito' WHERE id = 1`;
  const cached = `SELECT city, count(*) FROM customers GROUP BY city`;
  say(`
Weir is up. Any PostgreSQL client will do. In another terminal, in this folder:

  export DATABASE_URL=${weir.url({ database: DATABASE })}
  export WEIR_ADMIN_URL=${weir.adminUrl()}

Things to try:

  1. A routed read: which node answered, and why
     ${read(`SET weir.cache = 'off'`)}

  2. A cached read: run it twice, change a customer, run it again
     ${inSql('DATABASE_URL', cached, 'SHOW weir.last_route')}
     ${inSql('DATABASE_URL', update)}

  3. A resize, at once, on the running system
     node bin/weir.js resize ${DATABASE}.app --max 40
     node bin/weir.js pools
${Number(config.workers) > 1 ? severalWorkers : ''}
Metrics:    http://127.0.0.1:${weir.httpPort}/metrics
Dashboard:  http://127.0.0.1:${weir.httpPort}/
Config:     ${weir.configFile}
${redis === undefined ? '' : `Another Weir: WEIR_HTTP=null node bin/weir.js serve --config ${weir.configFile} --listen 127.0.0.1:6433\n`}
Ctrl-C stops all of it and leaves nothing behind.`);
}

const severalWorkers = `
  4. Its processes, and who has which clients; kill -9 one of them, and look again
     node bin/weir.js workers
`;

export async function stopDemo(demo: Demo): Promise<void> {
  await demo.weir.stop();
  await demo.redis?.kill();
  await demo.cluster.stop();
}

/** Resolves at Ctrl-C or SIGTERM, or when Weir ends by itself (SHUTDOWN on its console). */
function untilToldToStop(demo: Demo, stopped: Promise<undefined>): Promise<undefined> {
  return Promise.race([stopped, demo.weir.exited.then(() => undefined)]);
}

/** @returns why not, in words, if they cannot be read */
function readOptions(argv: readonly string[]): { isTour: boolean; workers: number } | string {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: { once: { type: 'boolean', default: false }, workers: { type: 'string', default: '1' } },
    });
    const workers = Number(values.workers);
    if (!Number.isInteger(workers) || workers < 1) return `--workers ${values.workers}: not a number of processes`;
    return { isTour: values.once, workers };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

export async function main(argv: readonly string[]): Promise<number> {
  const options = readOptions(argv);
  if (typeof options === 'string') {
    console.error(`${options}\nusage: npm run demo [-- [--once] [--workers N]]`);
    return 2;
  }
  const run = openRunDir();
  let isInterrupted = false;
  const stopped = new Promise<undefined>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        // A second one does not wait: the watchdog kills what runs and removes the directory.
        if (isInterrupted) process.exit(130);
        isInterrupted = true;
        say('\nStopping ...');
        resolve(undefined);
      });
    }
  });
  const demo = await Promise.race([startDemo(run, options.workers), stopped]);
  // Interrupted while starting: the watchdog cleans up, as after a second Ctrl-C.
  if (demo === undefined) process.exit(130);
  try {
    if (options.isTour) return await tour(demo);
    introduce(demo);
    await untilToldToStop(demo, stopped);
    return 0;
  } finally {
    await stopDemo(demo);
    await run.remove();
    say('Everything is stopped, nothing is left.');
  }
}
