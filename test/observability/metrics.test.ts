/** The metrics of the contract, by name and label. Fails if one is missing, renamed or counts something else. */
import { afterEach, describe, expect, it } from 'vitest';
import { createMetrics } from '../../src/observability/metrics.ts';
import type { Metrics } from '../../src/observability/metrics.ts';
import type { ServerStats } from '../../src/pool/types.ts';
import type { StatsSources } from '../../src/observability/types.ts';
import { fakeBudget, fakeClient, fakeDatabaseStats, fakePool, fakeServer, fakeSources } from '../console/fakes.ts';

let metrics: Metrics | undefined;
afterEach(() => metrics?.close());

interface Line {
  readonly name: string;
  readonly labels: Record<string, string>;
  readonly value: number;
}

/** Reads the text format back (Prometheus, "Text-based format"); throws where a line is none of it. */
function parseText(text: string): { types: Map<string, string>; lines: Line[] } {
  const types = new Map<string, string>();
  const lines: Line[] = [];
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# HELP ')) continue;
    const type = /^# TYPE ([a-z_]+) (counter|gauge|histogram|summary)$/.exec(line);
    if (type !== null) {
      expect(types.has(type[1] ?? '')).toBe(false);
      types.set(type[1] ?? '', type[2] ?? '');
      continue;
    }
    const sample = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (sample === null) throw new Error(`not a sample: ${line}`);
    const labels: Record<string, string> = {};
    for (const [, key = '', value = ''] of (sample[2] ?? '').matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g))
      labels[key] = value;
    const value = sample[3] === '+Inf' ? Infinity : Number(sample[3]);
    expect(value).not.toBeNaN();
    lines.push({ name: sample[1] ?? '', labels, value });
  }
  return { types, lines };
}

async function scrape(sources: StatsSources = fakeSources()): Promise<ReturnType<typeof parseText>> {
  metrics?.close();
  metrics = createMetrics(sources);
  return parseText(await metrics.text());
}

const find = (lines: readonly Line[], name: string, labels: Record<string, string> = {}): number | undefined =>
  lines.find((line) => line.name === name && Object.entries(labels).every(([key, value]) => line.labels[key] === value))
    ?.value;

/** The names of the interface page, their types and labels. */
const contract: readonly (readonly [string, string, string])[] = [
  ['client_connections', 'gauge', 'database user state'],
  ['server_connections', 'gauge', 'database user node state'],
  ['pool_size_limit', 'gauge', 'database user node'],
  ['pool_waiting', 'gauge', 'database user node'],
  ['pool_wait_seconds', 'histogram', 'database user node'],
  ['pool_resizes_total', 'counter', 'direction reason'],
  ['limit_refusals_total', 'counter', 'limit kind'],
  ['limit_buckets', 'gauge', 'limit kind'],
  ['budget_burn_rate', 'gauge', 'database budget window'],
  ['budget_action', 'gauge', 'action database'],
  ['budget_objective_seconds', 'gauge', 'database budget'],
  ['unserved_total', 'counter', 'database'],
  ['forecast_connections', 'gauge', 'database user node'],
  ['forecast_confidence', 'gauge', 'database user node'],
  ['queries_total', 'counter', 'database route cache result'],
  ['query_duration_seconds', 'histogram', 'database route'],
  ['replica_lag_bytes', 'gauge', 'database node'],
  ['replica_lag_seconds', 'gauge', 'database node'],
  ['node_up', 'gauge', 'database node'],
  ['node_ejections_total', 'counter', 'reason'],
  ['cache_hits_total', 'counter', ''],
  ['cache_misses_total', 'counter', ''],
  ['cache_stores_total', 'counter', ''],
  ['cache_evictions_total', 'counter', ''],
  ['cache_invalidations_total', 'counter', 'source'],
  ['cache_entries', 'gauge', ''],
  ['cache_bytes', 'gauge', ''],
  ['memory_share', 'gauge', ''],
  ['memory_used_bytes', 'gauge', ''],
  ['memory_limit_bytes', 'gauge', ''],
  ['memory_state', 'gauge', 'state'],
  ['memory_cache_share', 'gauge', ''],
  ['memory_waiting_clients', 'gauge', ''],
  ['memory_refused_clients_total', 'counter', ''],
  ['memory_shed_clients_total', 'counter', 'reason'],
  ['misroutes_total', 'counter', 'database'],
  ['auth_failures_total', 'counter', 'reason'],
  ['event_loop_delay_seconds', 'summary', 'quantile'],
];

describe('/metrics', () => {
  it.each(contract)('has weir_%s, a %s with its labels', async (short, type, labels) => {
    const pool = fakePool();
    pool.setLimit(28, 'pressure', 'why');
    const base = fakeSources({ pools: () => [pool] });
    const lagging = [...base.topologies()].map(({ database, snapshot }) => ({
      database,
      snapshot: () => ({
        ...snapshot(),
        nodes: snapshot().nodes.map((node) => ({ ...node, lagMs: node.role === 'replica' ? 250 : 0 })),
      }),
    }));
    metrics = createMetrics({ ...base, topologies: () => lagging });
    metrics.authFailed('wrong-password');
    metrics.nodeEjected('connect');
    const { types, lines } = parseText(await metrics.text());
    const name = `weir_${short}`;
    expect(types.get(name)).toBe(type);
    const sampleName = type === 'histogram' ? `${name}_count` : name;
    const sample = lines.find((line) => line.name === sampleName);
    expect(Object.keys(sample?.labels ?? { missing: '' }).sort()).toEqual(labels.split(' ').filter(Boolean).sort());
  });

  it('counts servers of replication, which are in no pool', async () => {
    const one = fakeServer({ replication: 'physical' });
    const replicationServers = (): ServerStats[] => [one, one, fakeServer({ replication: 'logical', user: 'walker' })];
    const { lines } = await scrape(fakeSources({ replicationServers }));
    expect(find(lines, 'weir_server_connections', { user: 'app', node: 'db1', state: 'replication' })).toBe(2);
    expect(find(lines, 'weir_server_connections', { user: 'app', node: 'db1', state: 'active' })).toBe(3);
    expect(find(lines, 'weir_server_connections', { user: 'walker', state: 'replication' })).toBe(1);
  });

  it('counts what there is', async () => {
    const { lines } = await scrape();
    expect(find(lines, 'weir_client_connections', { state: 'active' })).toBe(1);
    expect(find(lines, 'weir_client_connections', { state: 'waiting' })).toBe(0);
    expect(find(lines, 'weir_server_connections', { node: 'db1', state: 'active' })).toBe(3);
    expect(find(lines, 'weir_server_connections', { node: 'db1', state: 'replication' })).toBe(0);
    expect(find(lines, 'weir_queries_total', { route: 'replica', cache: 'miss', result: 'ok' })).toBe(40);
    expect(find(lines, 'weir_queries_total', { route: 'primary', cache: 'hit', result: 'error' })).toBe(1);
    expect(find(lines, 'weir_cache_invalidations_total', { source: 'peer' })).toBe(2);
    expect(find(lines, 'weir_node_up', { node: 'db2' })).toBe(0);
    expect(find(lines, 'weir_build_info', { version: '0.1.0' })).toBe(1);
    expect(find(lines, 'weir_memory_shed_clients_total', { reason: 'unread' })).toBe(3);
    expect(find(lines, 'weir_memory_state', { state: 'normal' })).toBe(1);
    expect(find(lines, 'weir_memory_state', { state: 'critical' })).toBe(0);
  });

  it('has burn rates over both windows, and leaves out what is not known: 0 would look healthy', async () => {
    const none = { burn5m: null, burn1h: null };
    const budgets = [
      fakeBudget(),
      fakeBudget({ budget: 'errors', unit: 'ratio', limit: 0.001, burn5m: null, burn1h: 3 }),
      fakeBudget({ budget: 'replica_lag', observedMs: 0, ...none }),
    ];
    const { lines } = await scrape(fakeSources({ budgets: () => budgets }));
    expect(find(lines, 'weir_budget_burn_rate', { budget: 'reads_p95', window: '5m' })).toBe(2.5);
    expect(find(lines, 'weir_budget_burn_rate', { budget: 'reads_p95', window: '1h' })).toBe(0.4);
    expect(find(lines, 'weir_budget_burn_rate', { budget: 'errors', window: '1h' })).toBe(3);
    expect(lines.filter(({ name }) => name === 'weir_budget_burn_rate')).toHaveLength(3);
    expect(find(lines, 'weir_budget_objective_seconds', { budget: 'reads_p95' })).toBe(0.05);
    expect(find(lines, 'weir_budget_objective_ratio', { budget: 'errors' })).toBe(0.001);
    expect(lines.filter(({ name }) => name.startsWith('weir_budget_objective'))).toHaveLength(2);
  });

  it('durations on the primary are one series, whether they are of reads or not', async () => {
    const stats = fakeDatabaseStats();
    stats.durations[4]?.set([7]);
    const { lines } = await scrape(fakeSources({ databaseStats: () => [stats] }));
    expect(find(lines, 'weir_query_duration_seconds_count', { route: 'primary' })).toBe(17);
    expect(
      lines.filter(({ name, labels }) => name.endsWith('duration_seconds_count') && labels['route'] === 'primary'),
    ).toHaveLength(1);
  });

  it('leaves out a lag that is not known: 0 would look healthy', async () => {
    const { lines } = await scrape();
    expect(find(lines, 'weir_replica_lag_seconds', { node: 'db2' })).toBeUndefined();
  });

  it('prints histograms that are cumulative and end in +Inf = count', async () => {
    const { lines } = await scrape();
    for (const name of ['weir_pool_wait_seconds', 'weir_query_duration_seconds']) {
      const counts = lines.filter((line) => line.name === `${name}_count`);
      expect(counts.length).toBeGreaterThan(0);
      for (const count of counts) {
        const same = (line: Line): boolean =>
          Object.entries(count.labels).every(([key, value]) => line.labels[key] === value);
        const buckets = lines.filter((line) => line.name === `${name}_bucket` && same(line));
        const values = buckets.map((line) => line.value);
        expect(values).toEqual([...values].sort((a, b) => a - b));
        expect(buckets.at(-1)?.labels['le']).toBe('+Inf');
        expect(buckets.at(-1)?.value).toBe(count.value);
        expect(lines.filter((line) => line.name === `${name}_sum` && same(line))).toHaveLength(1);
      }
    }
    expect(find(lines, 'weir_query_duration_seconds_count', { route: 'primary' })).toBe(10);
    expect(find(lines, 'weir_query_duration_seconds_bucket', { route: 'replica', le: '10' })).toBe(0);
    expect(find(lines, 'weir_query_duration_seconds_count', { route: 'replica' })).toBe(1);
  });

  it('keeps counting resizes of pools that are gone', async () => {
    const gone = fakePool();
    gone.setLimit(28, 'pressure', 'why');
    gone.setLimit(27, 'surplus', 'why');
    const pools = [gone];
    metrics = createMetrics(fakeSources({ pools: () => pools }));
    await metrics.text();
    const next = fakePool();
    next.setLimit(30, 'pressure', 'why');
    pools.splice(0, 1, next);
    const { lines } = parseText(await metrics.text());
    expect(find(lines, 'weir_pool_resizes_total', { direction: 'up', reason: 'pressure' })).toBe(2);
    expect(find(lines, 'weir_pool_resizes_total', { direction: 'down', reason: 'surplus' })).toBe(1);
  });

  it('stays bounded when clients make up names, and loses none of the sum', async () => {
    const clients = Array.from({ length: 5_000 }, (_, i) =>
      fakeClient({ id: i, user: `user ${i}`, database: `db ${i % 400}` }),
    );
    const stats = Array.from({ length: 400 }, (_, i) => fakeDatabaseStats({ database: `db ${i}` }));
    const pools = Array.from({ length: 3_000 }, (_, i) => fakePool({ user: `user ${i}` }));
    const { lines } = await scrape(
      fakeSources({ clients: () => clients, databaseStats: () => stats, pools: () => pools }),
    );
    const series = lines.filter((line) => line.name === 'weir_client_connections');
    expect(series.length).toBeLessThanOrEqual(1_300 * 5);
    expect(series.reduce((sum, line) => sum + line.value, 0)).toBe(5_000);
    const limits = lines.filter((line) => line.name === 'weir_pool_size_limit');
    expect(limits.length).toBeLessThanOrEqual(1_001);
    expect(limits.reduce((sum, line) => sum + line.value, 0)).toBe(60_000);
    const keys = lines.map((line) => `${line.name}${JSON.stringify(line.labels)}`);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('escapes what clients chose as names', async () => {
    const { lines } = await scrape(fakeSources({ clients: () => [fakeClient({ user: 'a"b\\c\nd' })] }));
    expect(find(lines, 'weir_client_connections', { user: 'a\\"b\\\\c\\nd', state: 'active' })).toBe(1);
  });

  it('counts reasons of its own, within bounds, and survives a broken source', async () => {
    const sources = fakeSources({
      cacheStats: () => {
        throw new Error('broken');
      },
    });
    metrics = createMetrics(sources);
    for (let i = 0; i < 100; i++) metrics.authFailed(`reason ${i}`);
    metrics.unexpectedError();
    const { lines } = parseText(await metrics.text());
    const reasons = lines.filter((line) => line.name === 'weir_auth_failures_total');
    expect(reasons).toHaveLength(31);
    expect(reasons.reduce((sum, line) => sum + line.value, 0)).toBe(100);
    expect(find(lines, 'weir_unexpected_errors_total')).toBe(1);
    expect(find(lines, 'weir_pool_waiting')).toBe(4);
    expect(metrics.eventLoopDelayMs()).toBeGreaterThanOrEqual(0);
  });
});
