// Running programs from the scripts, and saying what happens. No dependencies: this runs before `npm ci`.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the checkout. */
export const root = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '');

/** A program of an installed npm package, to be run with node. */
export const tool = {
  tsc: join(root, 'node_modules/typescript/bin/tsc'),
  eslint: join(root, 'node_modules/eslint/bin/eslint.js'),
  prettier: join(root, 'node_modules/prettier/bin/prettier.cjs'),
  vitest: join(root, 'node_modules/vitest/vitest.mjs'),
};

export function say(text) {
  console.log(text);
}

/**
 * Runs a program with this terminal and waits for it, also through Ctrl-C (the child gets that, too, and cleans up).
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ env?: Record<string, string>, quiet?: boolean, timeoutMs?: number }} [options]
 * @returns {Promise<number>} its exit code; 128 and more for a signal
 */
export function run(program, args, { env = {}, quiet = false, timeoutMs } = {}) {
  const child = spawn(program, args, {
    cwd: root,
    stdio: quiet ? ['ignore', 'ignore', 'inherit'] : ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
    timeout: timeoutMs,
  });
  const wait = () => {};
  process.on('SIGINT', wait);
  return new Promise((resolve) => {
    const end = (code) => {
      process.off('SIGINT', wait);
      resolve(code);
    };
    child.once('error', (error) => {
      console.error(`${program}: ${error.message}`);
      end(127);
    });
    child.once('exit', (code, signal) => end(code ?? (signal === 'SIGINT' ? 130 : 143)));
  });
}

/** Runs one of the npm tools. @param {string} script @param {readonly string[]} args @param {object} [options] */
export const node = (script, args, options) => run(process.execPath, [script, ...args], options);

/** Where a program is, or undefined. Looks where Debian keeps PostgreSQL's own, too. @param {string} name */
export function findProgram(name) {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const dirs = [
    ...(process.env.PATH ?? '').split(delimiter),
    ...versions.map((version) => join(debian, version, 'bin')),
    ...['/usr/sbin', '/usr/local/bin', '/usr/local/sbin', '/opt/homebrew/bin'],
  ];
  return dirs.map((dir) => join(dir, name)).find(isProgram);
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether a command ends with 0, without showing what it says. @param {string} program @param {readonly string[]} args */
export function succeeds(program, args) {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}
