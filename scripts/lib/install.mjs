// Installs what is missing: the npm packages of the lock file, and through the system's package manager, where it may,
// a Redis, psql, an exporter for PgBouncer, and on demand the small drivers of other languages. What cannot be installed is said, never fatal here:
// the caller decides what it can do without.
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, root, run, say, succeeds } from './shell.mjs';

/** Debian's package for a program. */
const packages = {
  'redis-server': 'redis-server',
  psql: 'postgresql-client',
  'prometheus-pgbouncer-exporter': 'prometheus-pgbouncer-exporter',
};

/** Debian's packages for drivers, shells and validators that are small, and how to see that one is there. A JDK or a Go compiler is not. */
const python = '/usr/bin/python3';
const drivers = {
  'python3-psycopg': [python, ['-c', 'import psycopg']],
  'python3-psycopg2': [python, ['-c', 'import psycopg2']],
  'python3-asyncpg': [python, ['-c', 'import asyncpg']],
  zsh: ['zsh', ['--version']],
  fish: ['fish', ['--version']],
  // For the test of the page.
  chromium: ['chromium', ['--version']],
  // For promtool.
  prometheus: ['promtool', ['--version']],
  'php-cli php-pgsql': ['php', ['-r', 'exit(extension_loaded("pdo_pgsql") ? 0 : 1);']],
};

const installTimeoutMs = 180_000;

/** Runs `npm ci` when node_modules is missing or older than package-lock.json. @returns {Promise<boolean>} */
export async function installPackages() {
  if (isFresh()) return true;
  say('Installing the npm packages of package-lock.json ...');
  // No install script is needed by any package; dev and optional ones are, whatever NODE_ENV or .npmrc say.
  const args = ['ci', '--ignore-scripts', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
  const npm = process.env.npm_execpath;
  const isScript = npm !== undefined && /\.[cm]?js$/.test(npm);
  const code = isScript ? await run(process.execPath, [npm, ...args]) : await run('npm', args);
  if (code === 0) return true;
  console.error(
    `"npm ci" failed (exit code ${code}). Without a network, run it once where there is one and bring node_modules along.`,
  );
  return false;
}

function isFresh() {
  const installed = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installed)) return false;
  return statSync(installed).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs;
}

/**
 * Makes sure that a program is there, by apt-get if need be. Says so when it cannot.
 * @param {keyof typeof packages} program
 * @param {string} without what is left out when it stays missing
 * @returns {Promise<boolean>}
 */
export async function installProgram(program, without) {
  if (findProgram(program) !== undefined) return true;
  const name = packages[program];
  if (await aptInstall([name], () => findProgram(program) !== undefined)) return true;
  say(`${program} is not installed (Debian: apt-get install ${name}): ${without}.`);
  return false;
}

/**
 * Makes sure that the small drivers and tools are there, where that is asked for: CI, or WEIR_TEST_DRIVERS=install.
 * @returns {Promise<string[]>} Debian's packages that could not be installed
 */
export async function installDrivers() {
  const isAsked = (process.env.CI ?? '') !== '' || process.env.WEIR_TEST_DRIVERS === 'install';
  const missing = [];
  if (!isAsked) return missing;
  for (const [names, [program, args]] of Object.entries(drivers)) {
    const isThere = () => succeeds(program, args);
    if (!isThere() && !(await aptInstall(names.split(' '), isThere))) missing.push(names);
  }
  return missing;
}

/** @param {readonly string[]} names @param {() => boolean} isThere @returns {Promise<boolean>} */
async function aptInstall(names, isThere) {
  const apt = aptGet();
  if (apt === undefined) return false;
  say(`Installing ${names.join(', ')} with apt-get ...`);
  // RUNLEVEL=1 keeps the package from starting a service: only the program is wanted.
  const env = { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const options = ['-o', 'Acquire::http::Timeout=30', '-o', 'DPkg::Lock::Timeout=60'];
  const install = [...apt, ...options, 'install', '-y', '-qq', '--no-install-recommends', ...names];
  const attempt = ([command, ...args]) => run(command, args, { env, quiet: true, timeoutMs: installTimeoutMs });
  if ((await attempt(install)) !== 0 && (await attempt([...apt, ...options, 'update', '-qq'])) === 0) {
    await attempt(install);
  }
  return isThere();
}

/** The command that may install packages here without asking anybody: as root, or by sudo without a password. */
function aptGet() {
  const apt = findProgram('apt-get');
  if (apt === undefined) return undefined;
  if (process.getuid?.() === 0) return [apt];
  const sudo = findProgram('sudo');
  const keep = '--preserve-env=DEBIAN_FRONTEND,RUNLEVEL';
  return sudo !== undefined && succeeds(sudo, ['-n', 'true']) ? [sudo, '-n', keep, apt] : undefined;
}
