/**
 * The Helm chart. With helm, where that is installed: what it makes of example-values.yaml are the manifests of
 * deploy/kubernetes, and with every switch turned it is right by the schemas of Kubernetes; wrong values are refused. Without:
 * what its templates name is in values.yaml, and all of that is used.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  checkSchema,
  manifestsIn,
  one,
  plainManifests,
  there,
  typeProblems,
  type Manifest,
} from './kubernetes-objects.ts';
import { read, root, versionOf, without } from './support.ts';

const chart = 'deploy/helm/weir';
const helm = versionOf('helm', 'version');
const values = parse(read(`${chart}/values.yaml`)) as Record<string, unknown>;
/** Without these it does not start. */
const least = { config: { databases: { shop: { primary: 'postgres://db1/shop' } } }, users: { weir: 'secret' } };
const templates = readdirSync(join(root, chart, 'templates')).map((name) => read(`${chart}/templates/${name}`));

const { version } = JSON.parse(read('package.json')) as { version: string };

interface Made {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param given values over those that are needed */
function template(given: object, release = 'weir'): Made {
  const dir = mkdtempSync(join(tmpdir(), 'weir-helm-'));
  const file = join(dir, 'values.json');
  writeFileSync(file, JSON.stringify({ ...least, ...given }));
  const args = ['template', release, chart, '--kube-version', '1.30.0', '--values', file];
  const { status, stdout, stderr } = spawnSync('helm', args, { cwd: root, encoding: 'utf8' });
  rmSync(dir, { recursive: true });
  return { status, stdout, stderr };
}

function made(given: object, release?: string): Manifest[] {
  const { status, stdout, stderr } = template(given, release);
  expect([status, stderr]).toEqual([0, '']);
  return manifestsIn(stdout);
}

/** Without what only a chart adds, and with texts of YAML as what they say. */
function compared(manifests: readonly Manifest[]): unknown[] {
  const ofChart = ['helm.sh/chart', 'app.kubernetes.io/version', 'app.kubernetes.io/managed-by'];
  const all = structuredClone(manifests) as Manifest[];
  for (const manifest of all) {
    for (const label of ofChart) delete (manifest.metadata.labels as Record<string, string>)[label];
  }
  const { template } = one(all, 'Deployment').spec;
  delete (template.metadata as { annotations?: unknown }).annotations;
  const { data } = one(all, 'ConfigMap');
  Object.assign(data, { 'weir.yaml': parse(there(data['weir.yaml'])) as unknown });
  return all.sort((a, b) => (a.kind < b.kind ? -1 : 1));
}

describe('the chart', () => {
  it('is of this version of Weir', () => {
    expect(parse(read(`${chart}/Chart.yaml`))).toMatchObject({
      apiVersion: 'v2',
      name: 'weir',
      version,
      appVersion: version,
    });
  });

  it('its templates name values that there are, and every value is used', () => {
    const used = templates.flatMap((text) => [...text.matchAll(/\.Values((?:\.\w+)+)/g)].map(([, path = '']) => path));
    const at = (path: string): unknown =>
      path
        .split('.')
        .filter(Boolean)
        .reduce<unknown>((node, name) => (node as Record<string, unknown> | undefined)?.[name], values);
    expect(used.length).toBeGreaterThan(30);
    for (const path of used) expect([path, at(path) !== undefined]).toEqual([path, true]);
    const isUsed = (path: string): boolean => used.some((each) => each === path || each.startsWith(`${path}.`));
    for (const [name, value] of Object.entries(values)) {
      expect([name, isUsed(`.${name}`)]).toEqual([name, true]);
      if (used.includes(`.${name}`) || typeof value !== 'object' || value === null) continue;
      for (const key of Object.keys(value))
        expect([`${name}.${key}`, isUsed(`.${name}.${key}`)]).toEqual([`${name}.${key}`, true]);
    }
  });

  it('values.schema.json has the keys of values.yaml', () => {
    interface Schema {
      readonly properties?: Readonly<Record<string, Schema>>;
      readonly additionalProperties?: unknown;
    }
    const { properties = {} } = JSON.parse(read(`${chart}/values.schema.json`)) as Schema;
    // Helm's own.
    expect(
      Object.keys(properties)
        .filter((key) => key !== 'global')
        .sort(),
    ).toEqual(Object.keys(values).sort());
    for (const [key, schema] of Object.entries(properties))
      if (schema.additionalProperties === false)
        expect([key, Object.keys(schema.properties ?? {}).sort()]).toEqual([
          key,
          Object.keys(values[key] as object).sort(),
        ]);
  });
});

describe.skipIf(helm === undefined)(`helm${without('helm', helm)}`, () => {
  it('finds nothing wrong', () => {
    const { status, stdout } = spawnSync(
      'helm',
      ['lint', '--strict', chart, '--values', `${chart}/example-values.yaml`],
      { cwd: root, encoding: 'utf8' },
    );
    expect([status, stdout]).toEqual([0, expect.stringContaining('0 chart(s) failed')]);
  });

  it('makes the manifests of deploy/kubernetes', () => {
    const example = parse(read(`${chart}/example-values.yaml`)) as object;
    expect(compared(made(example))).toEqual(compared(plainManifests()));
    expect(made({}).map(({ kind }) => kind)).not.toContain('ServiceMonitor');
  });

  it('what it makes of other values is right, too', { timeout: 300_000 }, () => {
    const all = made(
      {
        image: { repository: 'registry.example.com/weir', tag: '9' },
        imagePullSecrets: [{ name: 'registry' }],
        autoscaling: { enabled: false },
        replicas: 5,
        podDisruptionBudget: { enabled: false },
        networkPolicy: { enabled: false },
        serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
        users: { weir: 'p"w /+', 'a"b': 'secret' },
        env: [{ name: 'WEIR_LOG_LEVEL', value: 'debug' }],
        service: { type: 'LoadBalancer', annotations: { 'example.com/internal': 'true' } },
        shutdown: { delay: 20, wait: 0, timeout: 10 },
        podAnnotations: { 'example.com/note': 'x' },
        nodeSelector: { 'kubernetes.io/arch': 'amd64' },
        tolerations: [{ key: 'dedicated', operator: 'Exists' }],
        affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
      },
      'other',
    );
    for (const manifest of all) checkSchema(manifest);
    expect(typeProblems(all)).toEqual([]);
    expect(all.map(({ kind }) => kind).sort()).toEqual([
      'ConfigMap',
      'Deployment',
      'Secret',
      'Service',
      'ServiceMonitor',
    ]);
    const { spec } = one(all, 'Deployment');
    expect(spec.replicas).toBe(5);
    expect(spec.template.spec).toMatchObject({
      terminationGracePeriodSeconds: 45,
      nodeSelector: { 'kubernetes.io/arch': 'amd64' },
    });
    expect(spec.template.spec.containers[0]).toMatchObject({ image: 'registry.example.com/weir:9' });
    expect(spec.template.spec.containers[0]).not.toHaveProperty('lifecycle');
    const { stringData } = one(all, 'Secret');
    expect(stringData['users.txt']).toBe('"a""b" "secret"\n"weir" "p""w /+"\n');
    expect(decodeURIComponent(new URL(there(stringData['admin-url'])).password)).toBe('p"w /+');
  });

  it('nobody may log in but those who are named', () => {
    const all = made({});
    expect(one(all, 'Secret').stringData['users.txt']).toBe('"weir" "secret"\n');
    expect(
      Object.keys((parse(there(one(all, 'ConfigMap').data['weir.yaml'])) as { databases: object }).databases),
    ).toEqual(['shop']);
  });

  it('takes a Secret that is there already', () => {
    const all = made({ existingSecret: 'mine', users: {} });
    expect(all.map(({ kind }) => kind)).not.toContain('Secret');
    expect(JSON.stringify(one(all, 'Deployment'))).toContain('"secret":{"name":"mine"');
  });

  it.each([
    ['an unknown key', { replica: 3 }],
    ['an unknown key of a section', { service: { prot: 1 } }],
    ['another port', { config: { ...least.config, listen: '0.0.0.0:5432' } }],
    ['no database', { config: { databases: {} } }],
    ['an admin without a password', { adminUser: 'nobody' }],
  ])('refuses %s', (_what, given) => {
    const { status, stderr } = template(given);
    expect([status, stderr.length > 0]).toEqual([1, true]);
  });
});
