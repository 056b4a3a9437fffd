/**
 * The texts that mutants replace are in the code: when a rule has moved, its mutant has to move with it, also one that
 * the checker does not notice yet. Writes and faults that they name are there, too.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import ts from 'typescript';
import { checkoutDir } from '../../integration/harness/run-dir.ts';
import { faults } from '../../soak/faults.ts';
import { kinds } from '../../soak/kinds.ts';
import { mutants } from '../../soak/mutants.ts';

const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 };

test.each(mutants.map(({ rule, name, changes }) => [`${rule}: ${name}`, changes] as const))('%s', (_name, changes) => {
  for (const { file, from } of changes) {
    const source = readFileSync(join(checkoutDir, 'src', file.replace(/\.js$/, '.ts')), 'utf8');
    expect(ts.transpileModule(source, { compilerOptions: options }).outputText, file).toContain(from);
  }
});

test('mutants name writes and faults that there are', () => {
  const known = new Set([...kinds, ...faults].map(({ name }) => name));
  const named = mutants.flatMap((mutant) => [...mutant.kinds, ...mutant.faults]);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});
