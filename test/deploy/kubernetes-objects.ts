/**
 * Reads manifests of Kubernetes and has them judged: by the schemas of the API (kubernetes-models), and by the compiler with its
 * types, which also finds fields that do not exist. Used by the tests of the manifests and of the chart.
 */
import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import type { IHorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import type { INetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import type { IPodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import type { IConfigMap } from 'kubernetes-models/v1/ConfigMap';
import type { ISecret } from 'kubernetes-models/v1/Secret';
import type { IService } from 'kubernetes-models/v1/Service';
import ts from 'typescript';
import { expect } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { read, root } from './support.ts';

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
}

/** With all its fields, and one item at least in each list: a test that reads what is not there fails. */
type Whole<T> = T extends readonly (infer Item)[]
  ? [Whole<Item>, ...Whole<Item>[]]
  : T extends object
    ? { [Key in keyof T]-?: Whole<NonNullable<T[Key]>> }
    : T;

interface Kinds {
  readonly Deployment: IDeployment;
  readonly Service: IService;
  readonly ConfigMap: IConfigMap;
  readonly Secret: ISecret;
  readonly ServiceMonitor: IServiceMonitor;
  readonly NetworkPolicy: INetworkPolicy;
  readonly HorizontalPodAutoscaler: IHorizontalPodAutoscaler;
  readonly PodDisruptionBudget: IPodDisruptionBudget;
}

/** @throws if it is not YAML */
export function manifestsIn(text: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    const [error] = [...document.errors, ...document.warnings];
    if (error !== undefined) throw error;
    const object = document.toJS() as Manifest | null;
    return object === null ? [] : [object];
  });
}

export function plainManifests(): Manifest[] {
  const names = readdirSync(join(root, 'deploy/kubernetes')).filter((name) => name !== 'kustomization.yaml');
  return names.sort().flatMap((name) => manifestsIn(read(`deploy/kubernetes/${name}`)));
}

export function one<Kind extends keyof Kinds>(
  manifests: readonly Manifest[],
  kind: Kind,
): Manifest & Whole<Kinds[Kind]> {
  const found = manifests.filter((each) => each.kind === kind);
  expect([kind, found.length]).toEqual([kind, 1]);
  return found[0] as Manifest & Whole<Kinds[Kind]>;
}

/** @throws if it is not there */
export function there<T>(value: T | undefined): T {
  expect(value).toBeDefined();
  return value as T;
}

/** The module that has the type of an object. */
function moduleOf({ apiVersion, kind }: Manifest): string {
  const from = apiVersion.startsWith('monitoring.coreos.com/')
    ? '@kubernetes-models/prometheus-operator'
    : 'kubernetes-models';
  return `${from}/${apiVersion}/${kind}`;
}

interface Model {
  validate(): void;
}

/** By the schemas of the API; throws with what is wrong. */
export function checkSchema(manifest: Manifest): void {
  const module = createRequire(import.meta.url)(moduleOf(manifest)) as Record<string, new (data: object) => Model>;
  const Kind = module[manifest.kind];
  if (Kind === undefined) throw new Error(`no schema of ${manifest.apiVersion} ${manifest.kind}`);
  try {
    new Kind(manifest).validate();
  } catch (error) {
    throw new Error(`${manifest.kind} ${manifest.metadata.name}: ${String(error)}`, { cause: error });
  }
}

/** By the types of the API: a field that does not exist is an error, at any depth. One line each. */
export function typeProblems(manifests: readonly Manifest[]): string[] {
  const dir = mkdtempSync(join(tmpdir(), 'weir-manifests-'));
  try {
    symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'), 'dir');
    const lines = manifests.map((manifest, index) => {
      const type = `${manifest.kind}${index}`;
      return `import { type I${manifest.kind} as ${type} } from '${moduleOf(manifest)}';\nexport const object${index}: ${type} = ${JSON.stringify(manifest)};\n`;
    });
    const file = join(dir, 'manifests.ts');
    writeFileSync(file, lines.join(''));
    const program = ts.createProgram([file], {
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      types: [],
      lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
      module: ts.ModuleKind.Preserve,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
    });
    return ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
  } finally {
    rmSync(dir, { recursive: true });
  }
}
