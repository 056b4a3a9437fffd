// The checks that `npm test` and `npm run check` share: types, lint (ESLint and Prettier), and vitest projects.
import { join } from 'node:path';
import { node, say, tool } from './shell.mjs';

/** @param {import('./tally.mjs').Tally} tally */
export async function checkTypes(tally) {
  say('\n== types');
  const code = await node(tool.tsc, ['--noEmit', '-p', 'tsconfig.json']);
  tally.check('types', code === 0, `tsc ended with ${code}`);
}

/** @param {import('./tally.mjs').Tally} tally */
export async function checkLint(tally) {
  say('\n== lint');
  const eslint = await node(tool.eslint, ['.']);
  const prettier = await node(tool.prettier, ['--check', '--log-level', 'warn', '.']);
  tally.check('lint', eslint === 0 && prettier === 0, `eslint ended with ${eslint}, prettier with ${prettier}`);
}

/**
 * @param {import('./tally.mjs').Tally} tally
 * @param {'unit' | 'integration'} project
 * @param {string} dir where the report goes
 */
export async function runTests(tally, project, dir) {
  say(`\n== ${project} tests`);
  const report = join(dir, `${project}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const code = await node(tool.vitest, ['run', '--project', project, '--allowOnly=false', ...reporters]);
  tally.vitest(`${project} tests`, report, code);
}
