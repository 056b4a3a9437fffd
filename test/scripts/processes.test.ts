/** What npm test takes for left behind: a process counts wherever it went, as long as it was born in the run. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { processesOf } from '../../scripts/lib/processes.mjs';

const dir = mkdtempSync(join(tmpdir(), 'weir-processes-'));
afterAll(() => rmSync(dir, { recursive: true }));

const idle = ['-e', 'console.log("up"); setInterval(() => {}, 1000)'];

test.runIf(process.platform === 'linux').each([
  { how: 'works in the directory', args: idle, options: { cwd: dir } },
  { how: 'names it as an argument', args: [...idle, `${dir}/x`], options: { cwd: '/' } },
  { how: 'has it in its environment', args: idle, options: { cwd: '/', env: { RUN: dir } } },
])('a process that $how', async ({ args, options }) => {
  const child = spawn(process.execPath, args, { ...options, stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  expect(processesOf(dir).map(({ pid }) => pid)).toEqual([child.pid]);
  child.kill('SIGKILL');
  await ended;
  expect(processesOf(dir)).toEqual([]);
});
