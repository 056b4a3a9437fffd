/**
 * What the tests of the files for operators have in common: the metrics that Weir really has, from its own registry, and the
 * programs that judge those files, where they are installed.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { createMetrics } from '../../src/observability/metrics.ts';
import { fakePool, fakeSources } from '../console/fakes.ts';

export const root = join(import.meta.dirname, '../..');
export const read = (name: string): string => readFileSync(join(root, name), 'utf8');

/** undefined: it is not installed. */
export function versionOf(program: string, argument = '--version'): string | undefined {
  const { status, stdout, stderr } = spawnSync(program, [argument], { encoding: 'utf8' });
  return status === 0 ? `${stdout}${stderr}` : undefined;
}

/** For the name of a test that is skipped without it. */
export const without = (program: string, version: string | undefined): string =>
  version === undefined ? ` (skipped: ${program} is not installed)` : '';

export interface KnownMetrics {
  readonly types: ReadonlyMap<string, string>;
  /** Of metrics that have a sample with the figures of the tests. */
  readonly labels: ReadonlyMap<string, ReadonlySet<string>>;
}

/** From /metrics itself. */
export async function knownMetrics(): Promise<KnownMetrics> {
  const pool = fakePool();
  pool.setLimit(28, 'pressure', 'why');
  const metrics = createMetrics(fakeSources({ pools: () => [pool] }));
  metrics.authFailed('wrong-password');
  metrics.nodeEjected('connect');
  const text = await metrics.text();
  metrics.close();
  const types = new Map([...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name = '', type = '']) => [name, type]));
  const labels = new Map<string, Set<string>>();
  for (const [, sample = '', pairs = ''] of text.matchAll(/^(weir_\w+)\{(.*)\} \S+$/gm)) {
    const name = familyOf(sample, types);
    const known = labels.get(name) ?? new Set();
    for (const [, label = ''] of pairs.matchAll(/(\w+)="/g)) known.add(label);
    labels.set(name, known);
  }
  return { types, labels };
}

/** The metric of a sample: a histogram has several. */
function familyOf(sample: string, types: ReadonlyMap<string, string>): string {
  const family = sample.replace(/_(bucket|sum|count)$/, '');
  return types.has(sample) ? sample : family;
}

/** What Prometheus adds when it scrapes. */
const added = ['job', 'instance'];

/**
 * Every metric of an expression is there, with the labels that it is asked for, and a counter is asked for its rate.
 * @returns how many metrics it names
 */
export function checkExpression(expr: string, { types, labels }: KnownMetrics): number {
  const selectors = [...expr.matchAll(/\b(weir_\w+)(?:\{([^}]*)\})?(\[)?/g)];
  for (const [, sample = '', matchers = '', range] of selectors) {
    const family = familyOf(sample, types);
    expect([expr, family, types.has(family)]).toEqual([expr, family, true]);
    const isCounter = types.get(family) === 'counter' || sample !== family;
    if (isCounter) expect([expr, sample, range]).toEqual([expr, sample, '[']);
    const known = labels.get(family);
    if (known === undefined) continue;
    for (const [, label = ''] of matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g))
      expect([expr, label, known.has(label) || added.includes(label)]).toEqual([expr, label, true]);
  }
  // Of an expression with one metric it is clear whose labels it groups by.
  const only = [...new Set(selectors.map(([, sample = '']) => familyOf(sample, types)))];
  const known = only.length === 1 ? labels.get(only[0] ?? '') : undefined;
  for (const [, names = ''] of expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g))
    for (const label of names.split(',').map((name) => name.trim()))
      if (known !== undefined)
        expect([expr, label, known.has(label) || added.includes(label)]).toEqual([expr, label, true]);
  return selectors.length;
}

/** The headings of a page, as GitHub makes anchors of them. */
export function anchorsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}
