/**
 * The alert rules: they ask for metrics and labels that Weir has, each links to a section of docs/operations.md that exists, and
 * each fires on what it is for, by promtool, where that is installed.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { anchorsOf, checkExpression, knownMetrics, read, versionOf, without } from './support.ts';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<'summary' | 'description' | 'runbook_url', string>>;
}

const file = 'config/alerts.yml';
const { groups } = parse(read(file)) as { groups: readonly { readonly rules: readonly Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
const promtool = versionOf('promtool');

/** Series with which each rule fires after an hour; each is one of /metrics, with the labels of its scrape. */
const firing: Readonly<Record<string, readonly string[]>> = {
  WeirDown: ['up{job="weir"} 0x90'],
  WeirNodeDown: ['weir_node_up{database="shop",node="db2"} 0x90'],
  WeirNoPrimary: [
    'weir_node_up{database="shop",node="db1"} 0x90',
    'weir_node_is_primary{database="shop",node="db1"} 1x90',
    'weir_node_up{database="shop",node="db2"} 1x90',
    'weir_node_is_primary{database="shop",node="db2"} 0x90',
  ],
  WeirCircuitOpen: [
    'weir_node_circuit{database="shop",node="db2",state="open"} 1x90',
    'weir_node_up{database="shop",node="db2"} 1x90',
  ],
  WeirNodeEjectedOften: ['weir_node_ejections_total{reason="connect"} 0+1x90'],
  WeirReplicaLag: ['weir_replica_lag_seconds{database="shop",node="db2"} 30x90'],
  WeirPoolOverloaded: ['weir_pool_overloaded{database="shop",user="app",node="db1"} 1x90'],
  WeirPoolWaitTimeouts: ['weir_pool_wait_timeouts_total{database="shop",user="app",node="db1"} 0+1x90'],
  WeirUnserved: [
    'weir_unserved_total{database="shop"} 0+10x90',
    'weir_queries_total{database="shop",route="primary",cache="none",result="ok"} 0+500x90',
  ],
  WeirServerConnectFailures: ['weir_server_connect_failures_total{database="shop",user="app",node="db1"} 0+60x90'],
  WeirSaturated: ['weir_saturation{database="shop",node="db1"} 0.95x90'],
  WeirRecoveryConflicts: ['weir_recovery_conflicts_total{database="shop"} 0+60x90'],
  WeirPoolWaiting: ['weir_pool_waiting{database="shop",user="app",node="db1"} 3x90'],
  WeirPoolWaitLong: [
    'weir_pool_wait_seconds_bucket{database="shop",le="1"} 0x90',
    'weir_pool_wait_seconds_bucket{database="shop",le="5"} 0+10x90',
    'weir_pool_wait_seconds_bucket{database="shop",le="+Inf"} 0+10x90',
  ],
  WeirAuthFailures: ['weir_auth_failures_total{reason="wrong-password"} 0+120x90'],
  WeirCacheRedisDown: ['weir_cache_redis_up 0x90'],
  WeirCacheLeaseLost: ['weir_cache_lease_valid 0x90'],
  WeirCacheGaps: ['weir_cache_invalidations_total{source="gap"} 0+1x90'],
  WeirMisroutes: ['weir_misroutes_total{database="shop"} 0+1x90'],
  WeirEventLoopDelay: ['weir_event_loop_delay_seconds{quantile="0.99"} 0.5x90'],
  WeirMemoryShort: ['weir_memory_state{state="tight"} 1x90', 'weir_memory_state{state="normal"} 0x90'],
  WeirUnexpectedErrors: ['weir_unexpected_errors_total 0+1x90'],
  WeirStuck: ['weir_stuck_total{kind="client"} 0+1x90'],
  WeirWorkerDied: ['weir_worker_deaths_total{worker="1"} 0+1x90'],
  WeirWorkerGone: ['weir_workers{state="gone"} 1x90'],
  WeirWorkerSilent: ['weir_workers_silent 1x90'],
};

/** The same figures when all is well. */
const well = [
  'up{job="weir"} 1x90',
  'weir_node_up{database="shop",node="db1"} 1x90',
  'weir_node_is_primary{database="shop",node="db1"} 1x90',
  'weir_node_circuit{database="shop",node="db1",state="open"} 0x90',
  'weir_replica_lag_seconds{database="shop",node="db2"} 0.1x90',
  'weir_pool_overloaded{database="shop",user="app",node="db1"} 0x90',
  'weir_unserved_total{database="shop"} 0x90',
  'weir_queries_total{database="shop",route="primary",cache="none",result="ok"} 0+500x90',
  'weir_saturation{database="shop",node="db1"} 0.5x90',
  'weir_pool_waiting{database="shop",user="app",node="db1"} 0x90',
  'weir_cache_redis_up 1x90',
  'weir_cache_lease_valid 1x90',
  'weir_event_loop_delay_seconds{quantile="0.99"} 0.01x90',
  'weir_memory_state{state="normal"} 1x90',
  'weir_memory_state{state="tight"} 0x90',
  'weir_workers{state="gone"} 0x90',
  'weir_workers_silent 0x90',
];

describe(file, () => {
  it('asks for metrics and labels that exist', async () => {
    const known = await knownMetrics();
    expect(rules.length).toBeGreaterThan(20);
    for (const { alert, expr } of rules)
      if (alert !== 'WeirDown') expect([alert, checkExpression(expr, known) > 0]).toEqual([alert, true]);
  });

  it('each rule has words, a severity, and a section of the runbook', () => {
    const sections = anchorsOf('docs/operations.md');
    for (const { alert, labels, annotations } of rules) {
      expect([alert, labels.severity]).toEqual([alert, expect.stringMatching(/^(critical|warning)$/)]);
      expect([alert, annotations.summary.length > 0, annotations.description.length > 0]).toEqual([alert, true, true]);
      const [page, anchor] = annotations.runbook_url.split('#');
      expect([alert, page]).toEqual([alert, 'docs/operations.md']);
      expect([alert, anchor, sections.includes(anchor ?? '')]).toEqual([alert, anchor, true]);
    }
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  });

  it('the metrics with which each fires are those of Weir', async () => {
    const { types, labels } = await knownMetrics();
    expect(Object.keys(firing).sort()).toEqual(rules.map(({ alert }) => alert).sort());
    for (const series of [...Object.values(firing).flat(), ...well]) {
      const [, sample = '', pairs = ''] = /^(\w+)(?:\{(.*)\})? /.exec(series) ?? [];
      if (sample === 'up') continue;
      const name = sample.replace(/_bucket$/, '');
      expect([series, types.has(name)]).toEqual([series, true]);
      const known = labels.get(name);
      for (const [, label = ''] of pairs.matchAll(/(\w+)="/g))
        if (known !== undefined) expect([series, label, known.has(label)]).toEqual([series, label, true]);
    }
  });
});

describe.skipIf(promtool === undefined)(`promtool${without('promtool', promtool)}`, () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'weir-alerts-'));
    writeFileSync(join(dir, 'alerts.yml'), read(file));
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  function run(...args: string[]): { status: number | null; output: string } {
    const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: dir, encoding: 'utf8' });
    return { status, output: `${stdout}${stderr}` };
  }

  it('finds nothing wrong with the rules', () => {
    const { status, output } = run('check', 'rules', 'alerts.yml');
    expect([status, output]).toEqual([0, expect.stringContaining(`${rules.length} rules found`)]);
  });

  it('finds nothing wrong with config/prometheus.yml', () => {
    writeFileSync(join(dir, 'prometheus.yml'), read('config/prometheus.yml'));
    const { status, output } = run('check', 'config', 'prometheus.yml');
    expect([status, output]).toEqual([0, expect.stringContaining('is valid prometheus config file syntax')]);
  });

  it('each rule fires on what it is for, and none when all is well', () => {
    const series = (list: readonly string[]): object[] =>
      list.map((text) => {
        const at = text.lastIndexOf(' ');
        return { series: text.slice(0, at), values: text.slice(at + 1) };
      });
    const count = (name: string): string => `count(ALERTS{alertname="${name}",alertstate="firing"})`;
    const tests = [
      ...rules.map(({ alert }) => ({
        interval: '1m',
        input_series: series(firing[alert] ?? []),
        promql_expr_test: [
          { expr: `${count(alert)} > bool 0`, eval_time: '60m', exp_samples: [{ labels: '{}', value: 1 }] },
        ],
      })),
      {
        interval: '1m',
        input_series: series(well),
        promql_expr_test: [{ expr: 'ALERTS', eval_time: '60m', exp_samples: [] }],
      },
    ];
    const text = JSON.stringify({ rule_files: ['alerts.yml'], evaluation_interval: '1m', tests });
    writeFileSync(join(dir, 'test.yml'), text);
    const { status, output } = run('test', 'rules', 'test.yml');
    expect([status, output]).toEqual([0, expect.stringContaining('SUCCESS')]);
  });
});
