// npm test: installs what is missing, then runs everything (types, lint, unit tests, integration tests), and last looks
// whether anything was left behind. Closes with "N passed, N failed"; exit code 0 only when nothing failed.
import { chmodSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkAndRunUnitTests, runTests } from './lib/checks.mjs';
import { installDrivers, installPackages, installProgram } from './lib/install.mjs';
import { processesOf } from './lib/processes.mjs';
import { findProgram } from './lib/shell.mjs';
import { Tally } from './lib/tally.mjs';

const tally = new Tally();

async function installOrNote(program, without) {
  const isThere = await installProgram(program, without);
  if (!isThere) tally.note(`${program} is not installed: ${without}`);
  return isThere;
}

/** Everything that the run makes outside of the checkout is in here. */
function makeRunDir() {
  const dir = mkdtempSync(join(realpathSync(tmpdir()), 'weir-run-'));
  chmodSync(dir, 0o755);
  writeFileSync(join(dir, 'owner.pid'), String(process.pid));
  return dir;
}

/** What tests have made beside it and forgot; other runs on this machine have a directory of their own. */
function strays() {
  return readdirSync(tmpdir()).filter((name) => name.startsWith('weir-') && !name.startsWith('weir-run-'));
}

/** Watchdogs get a moment to finish; after that, what is there is a leftover. */
async function checkLeftovers(dir, reports, before) {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const alive = processesOf(dir);
    const running = alive.map(({ pid, command }) => `process ${pid} (${command.slice(0, 80)})`);
    const files = readdirSync(dir).filter((name) => name !== 'owner.pid' && name !== reports);
    const stray = strays().filter((name) => !before.has(name));
    const left = [...running, ...[...files, ...stray].map((name) => `directory ${name}`)];
    if (left.length === 0 || Date.now() > deadline) {
      tally.check('nothing is left', left.length === 0, left.join(', '));
      return alive.forEach(({ pid }) => tryKill(pid));
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function tryKill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone by now, or another user's.
  }
}

async function main() {
  if (!(await installPackages())) {
    tally.check('npm packages', false, 'could not be installed, so nothing could be tested');
    return;
  }
  const hasRedis = await installOrNote('redis-server', 'the tests that need a Redis are skipped');
  await installOrNote('psql', 'the tests that speak through psql are skipped');
  await installOrNote('prometheus-pgbouncer-exporter', 'the test that runs it is skipped');
  // Debian has it in the package of the server, which nobody wants to be installed in passing.
  if (findProgram('pgbench') === undefined) tally.note('pgbench is not installed: the tests that run it are skipped');
  const tools = {
    zsh: 'its completion',
    fish: 'its completion',
    chromium: 'the page in a browser',
    promtool: 'what it says of rules',
    helm: 'what it makes of the chart',
  };
  for (const names of await installDrivers()) tally.note(`${names} could not be installed: what needs it is skipped`);
  for (const [tool, what] of Object.entries(tools))
    if (findProgram(tool) === undefined) tally.note(`${tool} is not installed: ${what} is not tested`);
  if (!hasRedis && process.env.CI === 'true') tally.check('Redis', false, 'CI must not go without');
  const before = new Set(strays());
  const dir = makeRunDir();
  process.env.WEIR_TEST_RUN_DIR = dir;
  const reports = 'reports';
  try {
    await checkAndRunUnitTests(tally, join(dir, reports), { isQuick: false });
    await runTests(tally, 'integration', join(dir, reports));
    await runTests(tally, 'workers', join(dir, reports));
    await checkLeftovers(dir, reports, before);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

await main();
process.exitCode = tally.finish();
