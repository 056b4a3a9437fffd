/**
 * /metrics, /healthz, /readyz and the dashboard of a whole Weir with traffic on it: names of the interface page with
 * figures that are true.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  freePort,
  startWeir,
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
  const more = { cache: { enabled: true }, log: { level: 'error' } };
  weir = await startTestWeir(weirConfig(useCluster(), { database }, more));
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await useCluster().dropDatabase(database);
});

async function get(path: string): Promise<{ status: number; body: string }> {
  const answer = await fetch(`http://127.0.0.1:${weir.httpPort}${path}`);
  return { status: answer.status, body: await answer.text() };
}

/** The value of the first sample whose labels contain these; undefined: there is none. */
async function sample(name: string, labels: Record<string, string> = {}): Promise<number | undefined> {
  const { body } = await get('/metrics');
  for (const line of body.split('\n')) {
    if (!line.startsWith(`${name}{`) && !line.startsWith(`${name} `)) continue;
    const hasAll = Object.entries(labels).every(([key, value]) => line.includes(`${key}="${value}"`));
    if (hasAll) return Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return undefined;
}

/** Everything that the interface page names and that exists before anything goes wrong. */
const names = `client_connections server_connections pool_size_limit pool_waiting pool_wait_seconds_bucket queries_total
  query_duration_seconds_bucket replica_lag_bytes replica_lag_seconds node_up cache_hits_total cache_misses_total
  cache_stores_total cache_evictions_total cache_invalidations_total cache_entries cache_bytes misroutes_total
  event_loop_delay_seconds build_info unexpected_errors_total stuck_total process_resident_memory_bytes`.split(/\s+/);

describe('/metrics', () => {
  test('has every name', async () => {
    const client = await connectPg(weir.url({ database }));
    await client.query('CREATE TABLE measured (n int)');
    await client.query('SELECT * FROM measured');
    const { status, body } = await get('/metrics');
    expect(status).toBe(200);
    expect(names.filter((name) => !body.includes(`\nweir_${name}`))).toEqual([]);
    for (const event of ['pool_resizes_total', 'node_ejections_total', 'auth_failures_total']) {
      expect(body).toContain(`# TYPE weir_${event} counter`);
    }
    expect(body).not.toContain('measured');
    expect(body).not.toContain('127.0.0.1');
  });

  test('counts clients, statements by route, and refused log-ins', async () => {
    const before = (await sample('weir_queries_total', { database, route: 'primary', result: 'error' })) ?? 0;
    const client = await connectPg(weir.url({ database }));
    await expect(client.query('/* weir: route=primary */ SELECT 1/0')).rejects.toThrow('division by zero');
    await until('the error to be counted', async () => {
      const now = await sample('weir_queries_total', { database, route: 'primary', result: 'error' });
      return now === before + 1;
    });
    expect(await sample('weir_client_connections', { database, state: 'idle' })).toBe(1);
    await client.query('BEGIN');
    expect(await sample('weir_client_connections', { database, state: 'idle_in_transaction' })).toBe(1);
    await client.query('ROLLBACK');

    await until('a read to be counted for a replica', async () => {
      await client.query('/* weir: route=replica cache=off */ SELECT 1');
      return ((await sample('weir_queries_total', { database, route: 'replica', result: 'ok' })) ?? 0) > 0;
    });
    expect(await sample('weir_query_duration_seconds_count', { database, route: 'replica' })).toBeGreaterThan(0);

    await expect(connectPg(weir.url({ database, password: 'wrong' }))).rejects.toThrow('password');
    expect(await sample('weir_auth_failures_total', { reason: 'wrong-password' })).toBe(1);
  });

  test('shows nodes and their lag', async () => {
    expect(await sample('weir_node_up', { database, node: 'primary' })).toBe(1);
    expect(await sample('weir_node_up', { database, node: 'replica2' })).toBe(1);
    expect(await sample('weir_replica_lag_bytes', { database, node: 'replica1' })).toBeGreaterThanOrEqual(0);
    expect(await sample('weir_replica_lag_seconds', { database, node: 'primary' })).toBeUndefined();
  });
});

describe('health', () => {
  test('ready, alive, and a dashboard with the figures behind it', async () => {
    expect(await get('/healthz')).toEqual({ status: 200, body: 'ok\n' });
    expect(await get('/readyz')).toMatchObject({ status: 200 });
    expect((await get('/')).body).toContain('stats.json');
    const stats = JSON.parse((await get('/stats.json')).body) as { nodes: { name: string }[] };
    expect(stats.nodes.map((node) => node.name)).toEqual(['primary', 'replica1', 'replica2']);
    expect(JSON.stringify(stats)).not.toContain(useCluster().password);
  });

  test('ready, with notes: a database that its server does not have, a Redis that is not there, what operators stopped', async () => {
    const nobody = await freePort();
    const { port } = useCluster().primary;
    const missing = `nosuch_${database}`;
    const config = weirConfig(useCluster(), { database });
    const configured = config['databases'] as Record<string, unknown>;
    const url = `postgres://app:${useCluster().password}@127.0.0.1:${port}/${missing}`;
    const cache = { enabled: true, redis: `redis://127.0.0.1:${nobody}/0` };
    const databases = { ...configured, missing: { primary: url } };
    const noted = await startWeir({ ...config, databases, cache, log: { level: 'error' } });
    const notes = async (): Promise<string> => {
      const { status, body } = await noted.http('/readyz');
      const answer = JSON.parse(body) as { ready: boolean; notes: string[] };
      expect([status, answer.ready]).toEqual([200, true]);
      return answer.notes.join('\n');
    };
    const says = (text: string, isThere = true): Promise<boolean> =>
      until(`${isThere ? '' : 'no '}${text}`, async () => (await notes()).includes(text) === isThere);
    try {
      // Nobody has asked for it yet.
      await says(`database "missing": its server has no database "${missing}"`);
      await says('Redis (cache.redis) cannot be used');
      const console = await connectPg(noted.adminUrl());
      const [row] = (await console.query<{ redis_problem: string }>('SHOW CACHE')).rows;
      expect(row?.redis_problem).toContain('ECONNREFUSED');
      const { rows } = await console.query<{ name: string; problem: string }>('SHOW DATABASES');
      expect(rows.find(({ name }) => name === 'missing')?.problem).toContain(missing);
      expect(rows.find(({ name }) => name === database)?.problem).toBeNull();
      await console.query(`PAUSE ${database}`);
      await says(`database "${database}" is paused`);
      await console.query(`RESUME ${database}; DISABLE ${database}`);
      await says(`database "${database}" is paused`, false);
      await says(`database "${database}" is disabled`);
      await console.query(`ENABLE ${database}`);
      await says(`database "${database}"`, false);
    } finally {
      await noted.stop();
    }
  });

  test('not ready without a node, with the reason; alive all the same', async () => {
    const nobody = await freePort();
    const databases = { lost: { primary: `postgres://app:secret@127.0.0.1:${nobody}/lost` } };
    const lost = await startWeir({ databases, log: { level: 'error' } }, { waitUntilReady: false });
    const answer = await until('a reason', async () => {
      const { status, body } = await lost.http('/readyz');
      return status === 503 && body.includes('REFUSED') && body;
    });
    expect(JSON.parse(answer)).toMatchObject({ ready: false });
    expect(answer).toContain('no node can be reached');
    expect(answer).not.toContain('secret');
    expect((await lost.http('/healthz')).status).toBe(200);
    await lost.stop();
  });
});
