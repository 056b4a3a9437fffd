/**
 * The dashboard for Grafana: its expressions ask for metrics and labels that Weir has and are PromQL (by promtool, where that is
 * installed); its form is what Grafana reads: panels with places, data sources and variables that are there.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkExpression, knownMetrics, read, versionOf, without } from './support.ts';

interface DataSource {
  readonly type: string;
  readonly uid: string;
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly datasource?: DataSource;
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>;
  readonly fieldConfig?: { readonly defaults: { readonly unit: string } };
  readonly targets?: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly legendFormat: string;
    readonly datasource: DataSource;
  }[];
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[];
  };
  readonly annotations: {
    readonly list: readonly { readonly name: string; readonly expr?: string; readonly titleFormat?: string }[];
  };
}

const text = read('deploy/grafana/weir.json');
const dashboard = JSON.parse(text) as Dashboard;
const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const expressions = [
  ...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  ...dashboard.annotations.list.flatMap(({ expr }) => (expr === undefined ? [] : [expr])),
];
const promtool = versionOf('promtool');

/** As Grafana sends it. */
const filled = (expr: string): string => expr.replaceAll('$__rate_interval', '1m').replace(/\$\w+/g, '.*');

describe('deploy/grafana/weir.json', () => {
  it('asks for metrics and labels that exist', async () => {
    const known = await knownMetrics();
    expect(expressions.length).toBeGreaterThan(50);
    for (const expr of expressions) expect([expr, checkExpression(expr, known) > 0]).toEqual([expr, true]);
    const defined = dashboard.templating.list.flatMap(({ definition }) =>
      definition === undefined ? [] : [definition],
    );
    for (const definition of defined) {
      const [, metric = '', label = ''] = /^label_values\((weir_\w+)(?:\{.*\})?, (\w+)\)$/.exec(definition) ?? [];
      expect([definition, known.types.has(metric)]).toEqual([definition, true]);
      if (!['job', 'instance'].includes(label)) expect(known.labels.get(metric)).toContain(label);
    }
  });

  it('shows what it is for', () => {
    const all = expressions.join('\n');
    for (const name of [
      'weir_queries_total',
      'weir_query_duration_seconds_bucket',
      'weir_pool_waiting',
      'weir_pool_size_limit',
      'weir_server_connections',
      'weir_replica_lag_seconds',
      'weir_cache_hits_total',
      'weir_cache_bytes',
      'weir_unserved_total',
      'weir_budget_burn_rate',
      'weir_saturation',
    ])
      expect(all).toContain(name);
    const resizes = dashboard.annotations.list.find(({ expr }) => expr?.includes('weir_pool_resizes_total'));
    expect(resizes?.titleFormat).toContain('{{reason}}');
  });

  it('has the form that Grafana reads', () => {
    expect(dashboard).toMatchObject({ uid: 'weir', title: 'Weir', schemaVersion: expect.any(Number) as number });
    expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(36);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    for (const { title, type, datasource, targets = [], fieldConfig } of panels) {
      expect([title, type]).toEqual([title, expect.stringMatching(/^(timeseries|stat)$/)]);
      expect([title, datasource]).toEqual([title, { type: 'prometheus', uid: '${datasource}' }]);
      expect([title, targets.length > 0, fieldConfig?.defaults.unit !== undefined]).toEqual([title, true, true]);
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
      for (const target of targets) expect([title, target.datasource]).toEqual([title, datasource]);
    }
    const variables = dashboard.templating.list.map(({ name }) => name);
    const used = [...text.matchAll(/\$\{?([a-z]\w*)/g)].map(([, name]) => name);
    expect([...new Set(used)].sort()).toEqual([...variables].sort());
  });

  it('legends name labels that their expressions keep', () => {
    for (const { title, targets = [] } of panels)
      for (const { expr, legendFormat } of targets) {
        const kept = /\bby \(([^)]*)\)/
          .exec(expr)?.[1]
          ?.split(',')
          .map((label) => label.trim());
        for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
          if (kept !== undefined) expect([title, kept.includes(label), label]).toEqual([title, true, label]);
          else expect([title, /^\w+\{/.test(expr)]).toEqual([title, true]);
      }
  });

  it('no panel lies over another', () => {
    const cells = new Set<string>();
    for (const { title, gridPos } of dashboard.panels) {
      expect([title, gridPos.x + gridPos.w <= 24]).toEqual([title, true]);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect([title, cells.has(`${x},${y}`)]).toEqual([title, false]);
          cells.add(`${x},${y}`);
        }
    }
  });

  it.skipIf(promtool === undefined)(`its expressions are PromQL${without('promtool', promtool)}`, () => {
    const dir = mkdtempSync(join(tmpdir(), 'weir-grafana-'));
    const rules = expressions.map((expr, index) => ({ record: `weir:expression:${index}`, expr: filled(expr) }));
    writeFileSync(join(dir, 'rules.yml'), JSON.stringify({ groups: [{ name: 'weir', rules }] }));
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', 'rules.yml'], {
      cwd: dir,
      encoding: 'utf8',
    });
    rmSync(dir, { recursive: true });
    expect([status, `${stdout}${stderr}`]).toEqual([0, expect.stringContaining(`${rules.length} rules found`)]);
  });
});
