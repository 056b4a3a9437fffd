/**
 * Monitoring that was made for PgBouncer, on database `pgbouncer` of a Weir that uses a replica: the exporter of Debian and, where
 * it is installed, that of prometheus-community; and the rule of Prometheus's clients that no two rows have the same labels.
 */
import { spawnSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Child, freePorts } from './harness/child.ts';
import { currentRun } from './harness/run-dir.ts';
import { PASSWORD } from './harness/template.ts';
import {
  closeClients,
  connectPg,
  findProgram,
  runProgram,
  startTestWeir,
  until,
  useCluster,
  weirConfig,
} from './harness/index.ts';
import type { TestWeir } from './harness/index.ts';

let weir: TestWeir;
let database: string;

beforeAll(async () => {
  database = await useCluster().createDatabase();
  weir = await startTestWeir(weirConfig(useCluster(), { database }, { log: { level: 'error' } }));
  const client = await connectPg(weir.url({ database }));
  for (const node of ['primary', 'replica']) {
    await client.query(`/* weir: route=${node} */ SELECT 1`);
    expect((await client.query('SHOW weir.last_route')).rows[0]['weir.last_route']).toMatch(new RegExp(`^${node}`));
  }
  const { rows } = await (await connectPg(weir.adminUrl())).query<{ user: string }>('SHOW POOLS');
  expect(rows.length).toBeGreaterThan(1);
  await client.end();
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await useCluster().dropDatabase(database);
});

const python = '/usr/bin/python3';
const hasExporter =
  spawnSync(python, ['-c', 'import prometheus_pgbouncer_exporter, psycopg2, prometheus_client']).status === 0;
const community = findProgram('pgbouncer_exporter');

/** Names and labels of the samples of a scrape. */
const samples = (text: string): string[] =>
  text.split('\n').flatMap((line) => (line === '' || line.startsWith('#') ? [] : [line.replace(/ [^ ]*$/, '')]));

test.skipIf(!hasExporter)("Debian's exporter: no sample twice, and the pool of both nodes is one", async () => {
  const program = new URL('programs/pgbouncer-exporter.py', import.meta.url).pathname;
  const args = [program, weir.host, String(weir.port), 'weir'];
  const { code, stdout, stderr } = await runProgram(python, args, { env: { PGPASSWORD: PASSWORD }, timeoutMs: 60_000 });
  expect([code, stderr]).toEqual([0, '']);
  const names = samples(stdout);
  expect(new Set(names).size).toBe(names.length);
  expect(names).toContain(`pgbouncer_active_clients{database="${database}",user="app"}`);
  expect(stdout).toMatch(/^pgbouncer_active_clients\{database="pgbouncer",user="pgbouncer"\} \d+\.0$/m);
  expect(stdout).toMatch(/^pgbouncer_pools 2\.0$/m);
});

test.skipIf(community === undefined)('the exporter of prometheus-community answers 200, and is up', async () => {
  const [port = 0] = await freePorts(1);
  const url = `${weir.url({ user: 'weir', database: 'pgbouncer' })}?sslmode=disable`;
  const args = [`--web.listen-address=127.0.0.1:${port}`, `--pgBouncer.connectionString=${url}`];
  const exporter = new Child(currentRun(), community ?? '', args);
  try {
    const scrape = (): Promise<Response> => fetch(`http://127.0.0.1:${port}/metrics`);
    await until('the exporter to listen', () =>
      scrape().then(
        () => true,
        () => false,
      ),
    );
    const answer = await scrape();
    expect(answer.status).toBe(200);
    expect(await answer.text()).toMatch(/^pgbouncer_up 1$/m);
  } finally {
    await exporter.stop();
  }
});

describe('what the exporter of prometheus-community reads', () => {
  /** Its labels and figures: a row without its own labels makes it answer 500, a figure that is no number is lost. */
  const tables = {
    POOLS: {
      labels: ['database', 'user'],
      figures: `cl_active cl_active_cancel_req cl_waiting cl_waiting_cancel_req sv_active sv_active_cancel sv_being_canceled
        sv_idle sv_used sv_tested sv_login maxwait`,
    },
    DATABASES: {
      labels: ['name', 'host', 'port', 'database', 'force_user', 'pool_mode'],
      figures: 'pool_size max_connections current_connections paused disabled',
    },
    STATS_TOTALS: {
      labels: ['database'],
      figures: `query_count query_time bytes_received bytes_sent wait_time xact_count xact_time client_parse_count
        server_parse_count bind_count`,
    },
  };

  test.each(Object.entries(tables))('SHOW %s', async (name, { labels, figures }) => {
    const console = await connectPg(weir.url({ user: 'weir', database: 'pgbouncer' }));
    const { rows } = await console.query<Record<string, string | number | null>>(`SHOW ${name};`);
    const keys = rows.map((row) => labels.map((label) => row[label] ?? '').join('|'));
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys.some((key) => key.includes(database))).toBe(true);
    for (const row of rows) {
      for (const figure of figures.split(/\s+/)) expect(String(row[figure]), `${name} ${figure}`).toMatch(/^\d+$/);
    }
  });

  test('SHOW CONFIG, LISTS and VERSION', async () => {
    const console = await connectPg(weir.url({ user: 'weir', database: 'pgbouncer' }));
    const config = await console.query<{ key: string; value: string }>('SHOW CONFIG;');
    expect(config.fields).toHaveLength(4);
    expect(config.rows.find(({ key }) => key === 'max_client_conn')?.value).toMatch(/^\d+$/);
    const { rows: lists } = await console.query<{ list: string; items: number }>('SHOW LISTS;');
    // int4, as PgBouncer has it: int8 would be a string.
    for (const { list, items } of lists) expect(items, list).toBeGreaterThanOrEqual(0);
    expect(new Set(lists.map(({ list }) => list)).size).toBe(lists.length);
    const version = await console.query('SHOW VERSION;');
    expect(version.fields.map((field) => field.name)).toEqual(['version']);
  });
});
