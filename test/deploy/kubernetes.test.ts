/**
 * The manifests of deploy/kubernetes: right by the schemas of the API, and what they name is there: ports, paths, settings,
 * metrics, keys of the Secret. The times in which a Weir ends fit together, and the Pod may do no more than it needs.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadAll } from '../../src/cli/serve.ts';
import { verbsOf } from '../../src/cli/run.ts';
import type { Config } from '../../src/config/config.ts';
import { startWeir, type Weir, type WeirSettings } from '../../src/index.ts';
import { fakeProcess } from '../cli/run-in-memory.ts';
import { checkSchema, one, plainManifests, there, typeProblems, type Manifest } from './kubernetes-objects.ts';
import { knownMetrics, read } from './support.ts';

const manifests = plainManifests();
const spec = one(manifests, 'Deployment').spec.template.spec;
const [container] = spec.containers;
const { stringData } = one(manifests, 'Secret');
const usersText = there(stringData['users.txt']);
const adminUrl = new URL(there(stringData['admin-url']));
const configText = there(one(manifests, 'ConfigMap').data['weir.yaml']);
const labels = { 'app.kubernetes.io/name': 'weir', 'app.kubernetes.io/instance': 'weir' };

describe('the schemas of Kubernetes', () => {
  it.each(manifests.map((each) => [each.kind, each] as const))('accept the %s', (_kind, manifest) => {
    checkSchema(manifest);
  });

  it('know every field', { timeout: 300_000 }, () => {
    expect(typeProblems(manifests)).toEqual([]);
    const deployment = structuredClone(one(manifests, 'Deployment'));
    Object.assign(deployment.spec.template.spec, { terminationGracePeriodSecond: 1 });
    expect(typeProblems([deployment])).toEqual([expect.stringContaining('terminationGracePeriodSecond')]);
  });

  it('all kinds are there, and kustomization.yaml has those that every cluster takes', () => {
    expect(manifests.map(({ kind }) => kind).sort()).toEqual(
      ['ConfigMap', 'Deployment', 'HorizontalPodAutoscaler', 'NetworkPolicy'].concat([
        'PodDisruptionBudget',
        'Secret',
        'Service',
        'ServiceMonitor',
      ]),
    );
    const { resources } = parse(read('deploy/kubernetes/kustomization.yaml')) as { resources: string[] };
    const kinds = resources.flatMap((name) => (parse(read(`deploy/kubernetes/${name}`)) as Manifest).kind);
    expect([...kinds, 'ServiceMonitor'].sort()).toEqual(manifests.map(({ kind }) => kind).sort());
  });
});

describe('what they name', () => {
  let dir: string;
  let config: Config;
  let weir: Weir;

  beforeAll(async () => {
    // As the projected volume lays them.
    dir = mkdtempSync(join(tmpdir(), 'weir-kubernetes-'));
    writeFileSync(join(dir, 'weir.yaml'), configText);
    writeFileSync(join(dir, 'users.txt'), usersText);
    const env = Object.fromEntries(container.env.map(({ name, value }) => [name, value]));
    const { result, users } = loadAll({ file: join(dir, 'weir.yaml'), env });
    if ('problems' in result) throw new Error(result.problems.join('\n'));
    expect(result.warnings).toEqual([]);
    expect([...users.keys()].sort()).toEqual(['app', 'weir']);
    ({ config } = result);
    const settings: WeirSettings = {
      ...(parse(configText) as WeirSettings),
      listen: '127.0.0.1:0',
      http: '127.0.0.1:0',
      auth: {},
    };
    weir = await startWeir(settings, { log: () => undefined });
  });
  afterAll(async () => {
    await weir.stop();
    rmSync(dir, { recursive: true });
  });

  it('the volume puts weir.yaml and users.txt where the image looks for them', () => {
    expect(read('Dockerfile')).toContain(`"--config", "${container.volumeMounts[0].mountPath}/weir.yaml"`);
    const [configMap, secret] = spec.volumes[0].projected.sources;
    expect(configMap.configMap.name).toBe(one(manifests, 'ConfigMap').metadata.name);
    const { secret: ofUsers } = there(secret);
    expect(ofUsers.name).toBe(one(manifests, 'Secret').metadata.name);
    for (const { key } of ofUsers.items) expect(Object.keys(stringData)).toContain(key);
    const admin = there(container.env.find(({ name }) => name === 'WEIR_ADMIN_URL'));
    expect(Object.keys(stringData)).toContain(admin.valueFrom.secretKeyRef.key);
  });

  it('ports of the configuration, the image, the container, the Service and the policies', () => {
    const ports = new Map<unknown, number>(container.ports.map((port) => [port.name, port.containerPort] as const));
    expect(ports).toEqual(
      new Map([
        ['postgres', config.listen.port],
        ['http', config.http?.port],
      ]),
    );
    expect([config.listen.host, config.http?.host]).toEqual(['0.0.0.0', '0.0.0.0']);
    expect(read('Dockerfile')).toContain(`EXPOSE ${[...ports.values()].join(' ')}`);
    const service = one(manifests, 'Service').spec.ports;
    for (const { targetPort } of service) expect(ports.has(targetPort)).toBe(true);
    for (const { port } of one(manifests, 'ServiceMonitor').spec.endpoints)
      expect(service.map(({ name }) => name)).toContain(port);
    for (const rule of one(manifests, 'NetworkPolicy').spec.ingress)
      for (const { port } of rule.ports) expect(ports.has(port)).toBe(true);
    expect(adminUrl.port).toBe(String(ports.get('postgres')));
  });

  it('the admin of the Secret is one, with the password of users.txt', () => {
    const { username, password, pathname } = adminUrl;
    expect(config.auth.adminUsers).toContain(username);
    expect(usersText).toContain(`"${username}" "${password}"`);
    expect(pathname).toBe('/weir');
  });

  it('paths of probes and of Prometheus are answered', async () => {
    const paths = (['startupProbe', 'readinessProbe', 'livenessProbe'] as const).map(
      (probe) => container[probe].httpGet.path,
    );
    for (const path of [...paths, one(manifests, 'ServiceMonitor').spec.endpoints[0].path]) {
      const { status } = await fetch(`http://127.0.0.1:${weir.http?.port}${path}`);
      // The servers of the example are not there.
      expect([path, status]).toEqual([path, path === '/readyz' ? 503 : 200]);
    }
    expect(paths).toEqual(['/healthz', '/readyz', '/healthz']);
  });

  it('metrics of the HorizontalPodAutoscaler, its target, and who is selected', async () => {
    const { types } = await knownMetrics();
    const hpa = one(manifests, 'HorizontalPodAutoscaler').spec;
    const pods = hpa.metrics.filter(({ type }) => type === 'Pods');
    expect(pods).toHaveLength(1);
    const { name } = there(pods[0]).pods.metric;
    expect(types.get(name)).toBe('gauge');
    expect(read('deploy/kubernetes/horizontalpodautoscaler.yaml')).toContain(`${name}{node="weir"`);
    expect(hpa.scaleTargetRef).toEqual({ apiVersion: 'apps/v1', kind: 'Deployment', name: 'weir' });
    const text = await (await fetch(`http://127.0.0.1:${weir.http?.port}/metrics`)).text();
    expect(text).toContain('weir_saturation{database="",node="weir"}');
    expect(one(manifests, 'Deployment').spec.template.metadata.labels).toEqual(labels);
    expect(one(manifests, 'Service').spec.selector).toEqual(labels);
    for (const kind of ['Deployment', 'PodDisruptionBudget', 'ServiceMonitor'] as const)
      expect(one(manifests, kind).spec.selector.matchLabels).toEqual(labels);
    expect(one(manifests, 'NetworkPolicy').spec.podSelector.matchLabels).toEqual(labels);
    for (const { metadata } of manifests) expect(metadata).toMatchObject({ name: 'weir', labels });
  });

  it('the preStop command exists, and there is time for all of the end', () => {
    const [program, verb, ...args] = container.lifecycle.preStop.exec.command as string[];
    expect([program, verb, args[0], args[1]]).toEqual(['weir', 'drain', '--wait', '--timeout']);
    const table = verbsOf([], { loadApp: () => Promise.reject(new Error('none')), events: fakeProcess() });
    expect(Object.keys(table.get('drain')?.options ?? {})).toEqual(expect.arrayContaining(['wait', 'timeout']));
    const waitMs = Number(/^(\d+)s$/.exec(args[2] ?? '')?.[1]) * 1000;
    const { shutdownDelayMs, shutdownTimeoutMs } = config;
    expect(waitMs).toBeGreaterThan(shutdownDelayMs);
    expect(spec.terminationGracePeriodSeconds * 1000).toBeGreaterThanOrEqual(waitMs + shutdownTimeoutMs + 5_000);
    const { periodSeconds, failureThreshold } = container.readinessProbe;
    expect(shutdownDelayMs).toBeGreaterThan(periodSeconds * failureThreshold * 1000);
  });

  it('the image is this version, and its user is the one of the Dockerfile', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    expect(container.image).toBe(`weir:${version}`);
    // "node" of the base image has this number; Kubernetes cannot see that a name is not root.
    expect(read('Dockerfile')).toMatch(/^USER node$/m);
    expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
  });
});

it('the Pod may do no more than it needs', () => {
  expect(spec).toMatchObject({
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  });
  expect(container.securityContext).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  expect(container.resources).toMatchObject({ requests: { cpu: expect.any(String), memory: expect.any(String) } });
  expect(container.resources.limits.memory).toMatch(/^\d+Mi$/);
  expect(one(manifests, 'NetworkPolicy').spec.policyTypes).toEqual(['Ingress', 'Egress']);
});
