// The checks that `npm test` and `npm run check` share: types, lint (ESLint and Prettier), and vitest projects. Types and
// lint run beside the unit tests, which do not keep every core busy all the time.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { node, root, say, tool } from './shell.mjs';

/** Ignored by git, and gone with the packages whose versions it depends on. */
const cacheDir = join(root, 'node_modules/.cache');

/**
 * @typedef {object} Depth
 * @property {boolean} isQuick a part of the fuzzing, and nothing is looked at again that did not change: not for CI
 */

/**
 * Types and lint, beside the unit tests.
 * @param {import('./tally.mjs').Tally} tally
 * @param {string} dir where the report goes
 * @param {Depth} depth
 */
export async function checkAndRunUnitTests(tally, dir, { isQuick }) {
  const env = { WEIR_FUZZ_DEPTH: process.env.WEIR_FUZZ_DEPTH ?? (isQuick ? 'quick' : 'full') };
  const checks = checkTypesAndLint(isQuick);
  await runTests(tally, 'unit', dir, env);
  const { types, eslint, prettier } = await checks;
  for (const [name, { output }] of Object.entries({ types, eslint, prettier })) {
    if (output !== '') say(`\n== ${name}\n${output}`);
  }
  tally.check('types', types.code === 0, `tsc ended with ${types.code}`);
  const why = `eslint ended with ${eslint.code}, prettier with ${prettier.code}`;
  tally.check('lint', eslint.code === 0 && prettier.code === 0, why);
  tally.note(depthNote(env.WEIR_FUZZ_DEPTH, isQuick));
}

function depthNote(fuzzDepth, isQuick) {
  const fuzz = fuzzDepth === 'quick' ? 'quick: npm test does more' : 'full';
  return `fuzz depth ${fuzz}${isQuick ? '; ESLint and Prettier look only at what has changed since the last check' : ''}`;
}

/** One after the other: each keeps a core busy. What they say comes behind what the tests say. */
async function checkTypesAndLint(isQuick) {
  const cached = (...args) => (isQuick ? args : []);
  const buildInfo = cached('--incremental', '--tsBuildInfoFile', join(cacheDir, 'types.tsbuildinfo'));
  const ofNode = await capture(tool.tsc, ['--noEmit', '-p', 'tsconfig.json', ...buildInfo]);
  // The page, which runs in browsers.
  const types = ofNode.code === 0 ? await capture(tool.tsc, ['--noEmit', '-p', 'tsconfig.web.json']) : ofNode;
  const byContent = ['--cache', '--cache-strategy', 'content', '--cache-location'];
  const eslint = await capture(tool.eslint, [...cached(...byContent, join(cacheDir, 'eslint.json')), '.']);
  const style = ['--check', '--log-level', 'warn'];
  const prettier = await capture(tool.prettier, [
    ...style,
    ...cached(...byContent, join(cacheDir, 'prettier.json')),
    '.',
  ]);
  return { types, eslint, prettier };
}

/** @returns {Promise<{ code: number, output: string }>} */
function capture(script, args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script, ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    child.once('error', (error) => resolve({ code: 127, output: error.message }));
    child.once('close', (code) => resolve({ code: code ?? 143, output: output.trim() }));
  });
}

/**
 * @param {import('./tally.mjs').Tally} tally
 * @param {'unit' | 'integration' | 'workers'} project workers: integration tests of a Weir with several
 * @param {string} dir where the report goes
 * @param {Record<string, string>} [env]
 */
export async function runTests(tally, project, dir, env = {}) {
  say(`\n== ${project} tests${env.WEIR_FUZZ_DEPTH === undefined ? '' : ` (fuzz depth: ${env.WEIR_FUZZ_DEPTH})`}`);
  const report = join(dir, `${project}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const code = await node(tool.vitest, ['run', '--project', project, '--allowOnly=false', ...reporters], { env });
  tally.vitest(`${project} tests`, report, code);
}
