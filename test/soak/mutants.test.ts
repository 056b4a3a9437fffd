/**
 * The texts that mutants replace are in the code: when a rule has moved, its mutant has to move with it, also one that
 * the checker does not notice yet.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import ts from 'typescript';
import { checkoutDir } from '../../integration/harness/run-dir.ts';
import { mutants } from '../../soak/mutants.ts';

const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 };

test.each(mutants.map(({ rule, name, changes }) => [`${rule}: ${name}`, changes] as const))('%s', (_name, changes) => {
  for (const { file, from } of changes) {
    const source = readFileSync(join(checkoutDir, 'src', file.replace(/\.js$/, '.ts')), 'utf8');
    expect(ts.transpileModule(source, { compilerOptions: options }).outputText, file).toContain(from);
  }
});
