/**
 * A Prometheus that scrapes a Weir with traffic on it, with the alert rules of config/alerts.yml: it takes the rules, and every
 * expression of the dashboard for Grafana is answered, those about traffic with figures. Needs the program prometheus (Debian's
 * package prometheus); skipped without.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkoutDir, currentRun } from './harness/run-dir.ts';
import {
  Child,
  closeClients,
  connectPg,
  findProgram,
  freePort,
  startTestWeir,
  until,
  useCluster,
  weirConfig,
  type TestWeir,
} from './harness/index.ts';

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[];
  readonly annotations: { readonly list: readonly { readonly expr?: string }[] };
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data: { readonly result: readonly { readonly metric: Readonly<Record<string, string>> }[] };
}

const program = findProgram('prometheus');
const read = (name: string): string => readFileSync(join(checkoutDir, name), 'utf8');
const dashboard = JSON.parse(read('deploy/grafana/weir.json')) as Dashboard;

/** Panels that have nothing to show in this test: nothing has gone wrong, and nothing of it is configured. */
const empty = ['Rate limits', 'Budgets: burn rate over an hour', 'Connection budget of several Weirs'].concat([
  'Forecast of connections',
  'Redis',
  'Refused log-ins',
  'Ejections by reason',
  'Resizes by reason',
]);

describe.skipIf(program === undefined)(
  `Prometheus${program === undefined ? ' (skipped: it is not installed)' : ''}`,
  () => {
    const cluster = useCluster();
    let database: string;
    let weir: TestWeir;
    let prometheus: Child;
    let url: string;

    async function ask(path: string): Promise<Answer> {
      return (await (await fetch(`${url}${path}`)).json()) as Answer;
    }
    const query = (expr: string): Promise<Answer> => ask(`/api/v1/query?query=${encodeURIComponent(expr)}`);

    /** As Grafana sends it for the dashboard's first look. */
    const filled = (expr: string): string => expr.replaceAll('$__rate_interval', '1m').replace(/\$\w+/g, '.*');

    beforeAll(async () => {
      database = await cluster.createDatabase();
      weir = await startTestWeir(
        weirConfig(cluster, { database }, { cache: { enabled: true }, log: { level: 'error' } }),
      );
      const dir = mkdtempSync(join(currentRun().dir, 'prometheus-'));
      mkdirSync(join(dir, 'data'));
      copyFileSync(join(checkoutDir, 'config/alerts.yml'), join(dir, 'alerts.yml'));
      // As config/prometheus.yml, but more often.
      const config = read('config/prometheus.yml')
        .replaceAll('15s', '1s')
        .replace('127.0.0.1:9432', `127.0.0.1:${weir.httpPort}`);
      writeFileSync(join(dir, 'prometheus.yml'), config);
      const port = await freePort();
      url = `http://127.0.0.1:${port}`;
      const args = [
        '--config.file=prometheus.yml',
        '--storage.tsdb.path=data',
        `--web.listen-address=127.0.0.1:${port}`,
      ];
      prometheus = new Child(currentRun(), program ?? '', args, { cwd: dir });
      const isUp = async (): Promise<boolean> => (await query('up{job="weir"} == 1')).data.result.length === 1;
      await until('a scrape', () => isUp().catch(() => false));
      const client = await connectPg(weir.url({ database }));
      await client.query('CREATE TABLE seen (n int)');
      // Counters need two scrapes with statements in between.
      await until('traffic in Prometheus', async () => {
        await client.query('INSERT INTO seen VALUES (1)');
        await client.query('SELECT count(*) FROM seen');
        const { data } = await query('rate(weir_queries_total{route="primary",result="ok"}[1m]) > 0');
        return data.result.length > 0;
      });
    });
    afterAll(async () => {
      await closeClients();
      prometheus.signal('SIGTERM');
      await prometheus.exited;
      await weir.stop();
      await cluster.dropDatabase(database);
    });

    test('takes the alert rules; none of them fires at a Weir that is well', async () => {
      interface Rules {
        readonly data: {
          readonly groups: readonly { readonly rules: readonly { name: string; health: string; state: string }[] }[];
        };
      }
      const rules = async (): Promise<Rules['data']['groups'][number]['rules']> =>
        ((await ask('/api/v1/rules')) as unknown as Rules).data.groups.flatMap((group) => group.rules);
      await until('an evaluation', async () => (await rules()).every(({ health }) => health !== 'unknown'));
      const all = await rules();
      expect(all.length).toBe([...read('config/alerts.yml').matchAll(/- alert:/g)].length);
      for (const { name, health, state } of all)
        expect([name, health, state]).toEqual([name, 'ok', expect.not.stringMatching('firing')]);
    });

    test('answers every expression of the dashboard, and what there is traffic for with figures', async () => {
      const nothing: string[] = [];
      for (const { title, targets = [] } of dashboard.panels) {
        let series = 0;
        for (const { expr } of targets) {
          const { status, error, data } = await query(filled(expr));
          expect([expr, status, error]).toEqual([expr, 'success', undefined]);
          series += data.result.length;
        }
        if (targets.length > 0 && series === 0) nothing.push(title);
      }
      expect(nothing.filter((title) => !empty.includes(title))).toEqual([]);
      for (const { expr } of dashboard.annotations.list)
        if (expr !== undefined) expect(await query(filled(expr))).toMatchObject({ status: 'success' });
    });
  },
);
