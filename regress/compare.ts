/**
 * The output of each file through Weir against that of the straight runs.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';

export interface Outcome {
  readonly mode: string;
  readonly files: number;
  /** Differ from a straight run that its repetition did not differ from. */
  readonly differing: readonly string[];
  /** Differ, as the two straight runs do from each other. */
  readonly unsteady: readonly string[];
  readonly hung: readonly string[];
}

function output(out: string, way: string, name: string): string {
  return readFileSync(join(out, way, 'results', `${name}.out`), 'utf8');
}

export function compare(out: string, mode: string, names: readonly string[], hung: readonly string[]): Outcome {
  const differing: string[] = [];
  const unsteady: string[] = [];
  let diffs = '';
  for (const name of names) {
    const straight = output(out, 'straight', name);
    const again = output(out, 'straight-again', name);
    const through = output(out, mode, name);
    if (through === straight || through === again) continue;
    (straight === again ? differing : unsteady).push(name);
    const files = ['straight', mode].map((way) => join(out, way, 'results', `${name}.out`));
    diffs += spawnSync('diff', ['-U2', ...files], { encoding: 'utf8', maxBuffer: 1 << 28 }).stdout;
  }
  writeFileSync(join(out, `${mode}.diffs`), diffs);
  return { mode, files: names.length, differing, unsteady, hung };
}

export function report(outcomes: readonly Outcome[], out: string): string {
  const lines = outcomes.flatMap(({ mode, files, differing, unsteady, hung }) => [
    `${mode} mode: ${differing.length} of ${files} files differ${list(differing)}`,
    ...(unsteady.length > 0
      ? [`  and ${unsteady.length} that differ between straight runs, too${list(unsteady)}`]
      : []),
    ...(hung.length > 0 ? [`  did not end${list(hung)}`] : []),
  ]);
  return [...lines, `What differs: ${outcomes.map(({ mode }) => join(out, `${mode}.diffs`)).join(', ')}`].join('\n');
}

function list(names: readonly string[]): string {
  return names.length === 0 ? '' : `: ${names.join(' ')}`;
}
