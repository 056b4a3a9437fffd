/**
 * deploy/compose: the compose file names services, files, ports and volumes that are there; Weir takes its configuration,
 * Prometheus and Grafana find Weir, the rules and the dashboard. `docker compose` and promtool judge it, too, where they are
 * installed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadAll } from '../../src/cli/serve.ts';
import { startWeir } from '../../src/index.ts';
import { read, root, versionOf, without } from './support.ts';

interface Service {
  readonly image: string;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly depends_on?: readonly string[] | Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly environment?: Readonly<Record<string, string>>;
  readonly command?: readonly string[];
  readonly [key: string]: unknown;
}

const folder = 'deploy/compose';
const compose = parse(read(`${folder}/compose.yaml`), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly [key: string]: unknown;
};
const services = Object.entries(compose.services);
const weirService = compose.services['weir'] as Service;
const load = (): ReturnType<typeof loadAll> => loadAll({ file: join(root, folder, 'weir.yaml'), env: {} });
const config = (() => {
  const { result } = load();
  if ('problems' in result) throw new Error(result.problems.join('\n'));
  return result.config;
})();

/** Of the specification of compose files, what is used here. */
const keysOfServices = ['build', 'cap_drop', 'command', 'depends_on', 'entrypoint', 'environment', 'healthcheck']
  .concat(['image', 'ports', 'read_only', 'restart', 'security_opt', 'stop_grace_period', 'user', 'volumes'])
  .sort();

const mounts = services.flatMap(([name, { volumes = [] }]) =>
  volumes.map((text) => {
    const [source = '', target = ''] = text.split(':');
    return { name, source, target };
  }),
);

describe('compose.yaml', () => {
  it('has keys that compose knows, and every one of them is used', () => {
    const used = services.flatMap(([, service]) => Object.keys(service));
    expect([...new Set(used)].sort()).toEqual(keysOfServices);
    expect(Object.keys(compose).filter((key) => !key.startsWith('x-'))).toEqual(['name', 'services', 'volumes']);
    expect(services.map(([name]) => name).sort()).toEqual(
      ['grafana', 'primary', 'prometheus', 'redis', 'replica1', 'replica2', 'weir'].sort(),
    );
  });

  it('mounts files and volumes that are there', () => {
    expect(mounts.length).toBeGreaterThan(10);
    for (const { source, target } of mounts) {
      expect(target).toMatch(/^\//);
      if (source.startsWith('.')) expect([source, existsSync(join(root, folder, source))]).toEqual([source, true]);
      else expect([source, source in compose.volumes]).toEqual([source, true]);
    }
    for (const volume of Object.keys(compose.volumes)) expect(mounts.map(({ source }) => source)).toContain(volume);
  });

  it('waits for services that are there, and that can say that they are healthy', () => {
    for (const [name, { depends_on = [] }] of services) {
      const conditions = Array.isArray(depends_on) ? [] : Object.entries(depends_on as object);
      const others = Array.isArray(depends_on) ? (depends_on as string[]) : Object.keys(depends_on);
      for (const other of others) expect([name, other in compose.services]).toEqual([name, true]);
      for (const [other, { condition }] of conditions as [string, { condition: string }][]) {
        expect(condition).toBe('service_healthy');
        expect([other, compose.services[other]?.healthcheck !== undefined]).toEqual([other, true]);
      }
    }
  });

  it('opens ports to this machine only, each once, and images have a version', () => {
    const ports = services.flatMap(([, service]) => service.ports ?? []);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:(\d+):\1$/);
    expect(new Set(ports).size).toBe(ports.length);
    for (const [name, { image }] of services) expect([name, image]).toEqual([name, expect.stringMatching(/:v?\d/)]);
  });

  it('Weir may do little, and has time to end', () => {
    expect(weirService).toMatchObject({ read_only: true, cap_drop: ['ALL'], build: '../..' });
    const { version } = JSON.parse(read('package.json')) as { version: string };
    expect(weirService.image).toBe(`weir:${version}`);
    const graceMs = Number(/^(\d+)s$/.exec(String(weirService['stop_grace_period']))?.[1]) * 1000;
    expect(graceMs).toBeGreaterThanOrEqual(config.shutdownDelayMs + config.shutdownTimeoutMs + 5_000);
  });

  const docker = spawnSync('docker', ['compose', 'version']).status === 0 ? 'there' : undefined;
  it.skipIf(docker === undefined)(`docker compose finds nothing wrong${without('docker compose', docker)}`, () => {
    const { status, stderr } = spawnSync('docker', ['compose', '-f', `${folder}/compose.yaml`, 'config', '--quiet'], {
      cwd: root,
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([0, '']);
  });
});

describe('what the services are given', () => {
  it('Weir takes its configuration; the servers, Redis and ports in it are those of the compose file', () => {
    const { result, users } = load();
    // Git keeps no modes that only the owner may read, and what stands in these files is for everybody's trial.
    expect(result.warnings.filter((each) => !each.includes('every user of this machine can read'))).toEqual([]);
    expect([...users.keys()].sort()).toEqual(['app', 'weir']);
    const shop = config.databases.get('shop');
    const nodes = [shop?.primary, ...(shop?.replicas ?? [])];
    expect(nodes.map((node) => [node?.name, node?.host, node?.port])).toEqual(
      ['primary', 'replica1', 'replica2'].map((name) => [name, name, 5432]),
    );
    for (const node of nodes) expect(Object.keys(compose.services)).toContain(node?.host);
    expect(config.cache).toMatchObject({ enabled: true, redis: 'redis://redis:6379/0' });
    expect(weirService.ports).toEqual(
      [config.listen.port, config.http?.port].map((port) => `127.0.0.1:${port}:${port}`),
    );
    expect(compose.services['redis']?.command).toContain('noeviction');
  });

  it('passwords are the same everywhere', () => {
    const { APP_PASSWORD = '', REPLICATOR_PASSWORD = '' } = compose.services['primary']?.environment ?? {};
    const { users } = load();
    expect(users.get('app')).toBe(APP_PASSWORD);
    expect(read(`${folder}/weir.yaml`)).toContain(`postgres://app:${APP_PASSWORD}@primary:5432/shop`);
    const admin = new URL(weirService.environment?.['WEIR_ADMIN_URL'] ?? '');
    expect([admin.username, users.get('weir')]).toEqual(['weir', admin.password]);
    expect(config.auth.adminUsers).toContain('weir');
    expect(compose.services['replica1']?.environment?.['REPLICATOR_PASSWORD']).toBe(REPLICATOR_PASSWORD);
  });

  it('the scripts are right for a POSIX shell, and name what the compose file gives them', () => {
    for (const name of ['primary.sh', 'replica.sh']) {
      const { status, stderr } = spawnSync('sh', ['-n', join(root, folder, name)], { encoding: 'utf8' });
      expect([name, status, stderr]).toEqual([name, 0, '']);
      const given = [...Object.keys(compose.services['primary']?.environment ?? {}), 'PGDATA', 'PGPASSWORD'];
      // Those with a default need not be given.
      for (const [, variable = '', rest] of read(`${folder}/${name}`).matchAll(/\$\{?([A-Z_]+)(:-)?/g))
        if (rest === undefined) expect([name, variable, given.includes(variable)]).toEqual([name, variable, true]);
    }
    expect(mounts).toContainEqual({
      name: 'primary',
      source: './primary.sh',
      target: expect.stringMatching(/^\/docker-entrypoint-initdb\.d\/.*\.sh$/) as string,
    });
  });

  it('Prometheus asks Weir, which answers to that name, and has the rules', async () => {
    interface Scrape {
      readonly job_name: string;
      readonly metrics_path: string;
      readonly static_configs: readonly { readonly targets: readonly string[] }[];
    }
    const { rule_files, scrape_configs } = parse(read(`${folder}/prometheus.yml`)) as {
      rule_files: string[];
      scrape_configs: Scrape[];
    };
    const [{ job_name, metrics_path, static_configs } = {} as Scrape] = scrape_configs;
    expect([job_name, metrics_path, static_configs[0]?.targets]).toEqual([
      'weir',
      '/metrics',
      [`weir:${config.http?.port}`],
    ]);
    const target = (name: string): unknown => mounts.find(({ source }) => source === name)?.target;
    expect(target('./prometheus.yml')).toBe('/etc/prometheus/prometheus.yml');
    expect(rule_files.map((name) => `/etc/prometheus/${name}`)).toEqual([target('../../config/alerts.yml')]);
    const weir = await startWeir(
      { listen: '127.0.0.1:0', http: '127.0.0.1:0', databases: { shop: { primary: 'postgres://127.0.0.1:1/shop' } } },
      { log: () => undefined },
    );
    const status = await new Promise((resolve, reject) => {
      const headers = { host: static_configs[0]?.targets[0] ?? '' };
      const { host, port } = weir.http ?? {};
      request({ host, port, path: metrics_path, headers }, (answer) => resolve(answer.resume().statusCode))
        .on('error', reject)
        .end();
    });
    await weir.stop();
    expect(status).toBe(200);
  });

  const promtool = versionOf('promtool');
  it.skipIf(promtool === undefined)(`promtool finds nothing wrong${without('promtool', promtool)}`, () => {
    const dir = mkdtempSync(join(tmpdir(), 'weir-compose-'));
    writeFileSync(join(dir, 'prometheus.yml'), read(`${folder}/prometheus.yml`));
    writeFileSync(join(dir, 'alerts.yml'), read('config/alerts.yml'));
    const { status, stderr } = spawnSync('promtool', ['check', 'config', 'prometheus.yml'], {
      cwd: dir,
      encoding: 'utf8',
    });
    rmSync(dir, { recursive: true });
    expect([status, stderr]).toEqual([0, '']);
  });

  it('Grafana has Prometheus as its source, and the dashboard where it looks for it', () => {
    const { datasources } = parse(read(`${folder}/grafana/datasource.yml`)) as {
      datasources: { type: string; url: string; isDefault: boolean }[];
    };
    expect(datasources).toMatchObject([{ type: 'prometheus', url: 'http://prometheus:9090', isDefault: true }]);
    const { providers } = parse(read(`${folder}/grafana/dashboards.yml`)) as {
      providers: { options: { path: string } }[];
    };
    const dashboard = mounts.find(({ source }) => source === '../grafana/weir.json');
    expect(dashboard?.target.startsWith(`${providers[0]?.options.path}/`)).toBe(true);
    const grafana = compose.services['grafana'] as Service;
    expect(grafana.environment?.['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH']).toBe(dashboard?.target);
    const provisioned = mounts.filter(({ target }) => target.startsWith('/etc/grafana/provisioning/'));
    expect(provisioned.map(({ target }) => target.split('/')[4]).sort()).toEqual(['dashboards', 'datasources']);
  });
});
