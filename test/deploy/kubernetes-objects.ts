/**
 * Reads manifests of Kubernetes and has them judged: by the schemas of the API (kubernetes-models), and by the compiler with its
 * types, which also finds fields that do not exist. Used by the tests of the manifests and of the chart.
 */
import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ts from 'typescript';
import { expect } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { read, root } from './support.ts';

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- of all kinds
  readonly [field: string]: any;
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

export function one(manifests: readonly Manifest[], kind: string): Manifest {
  const found = manifests.filter((each) => each.kind === kind);
  expect([kind, found.length]).toEqual([kind, 1]);
  return found[0] as Manifest;
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
