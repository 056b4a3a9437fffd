/**
 * Writes the reference pages that are made from tables: docs/settings.md, docs/errors.md,
 * docs/session-state.md, docs/states.md and man/weir.1. `npm run docs`.
 * `--check` writes nothing and exits 1 if a page is not up to date.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const isCheck = process.argv.includes('--check');

// The tables are TypeScript: what is compiled may be older than they are, so it is always compiled anew.
const compiler = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
const built = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
// A type error somewhere else does not stop the tables from being printed; `npm run types` is the judge of those.
if (built.status !== 0) console.warn('the build reports errors');
const { settingsPage, errorsPage } = await import(new URL('../dist/config/docs.js', import.meta.url).href);

const { sessionStatePage } = await import(new URL('../dist/binding/session-state.js', import.meta.url).href);

const { statesPage } = await import(new URL('../dist/session/states-page.js', import.meta.url).href);

const { manPage } = await import(new URL('../dist/cli/man-page.js', import.meta.url).href);
const { verbsOf } = await import(new URL('../dist/cli/run.js', import.meta.url).href);

const pages = {
  'docs/settings.md': settingsPage(),
  'docs/errors.md': errorsPage(),
  'docs/session-state.md': sessionStatePage(),
  'docs/states.md': statesPage(),
  // Nothing is run: the table only.
  'man/weir.1': manPage(verbsOf([], { loadApp: () => Promise.reject(new Error('not served')), events: process })),
};
for (const folder of ['docs', 'man']) mkdirSync(new URL(`../${folder}/`, import.meta.url), { recursive: true });
let stale = 0;
for (const [name, text] of Object.entries(pages)) {
  const file = new URL(`../${name}`, import.meta.url);
  let old = '';
  try {
    old = readFileSync(file, 'utf8');
  } catch {
    // Not there yet.
  }
  if (old === text) continue;
  stale++;
  if (isCheck) console.error(`${name} is not up to date: run npm run docs`);
  else {
    writeFileSync(file, text);
    console.log(`${name} written`);
  }
}
if (isCheck && stale > 0) process.exitCode = 1;
else if (stale === 0) console.log('docs are up to date');
