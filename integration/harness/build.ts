/**
 * Builds dist when a source is newer than what is there, so that a test of the real process never tests yesterday's.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { checkoutDir } from './run-dir.ts';

function newest(dir: string): number {
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return Math.max(0, ...files.map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs));
}

/** True when it built something. A type error does not stop it: `npm run types` is the judge of those. */
export function buildIfStale(): boolean {
  const built = join(checkoutDir, 'dist/main.js');
  if (existsSync(built) && statSync(built).mtimeMs > newest(join(checkoutDir, 'src'))) return false;
  const tsc = join(checkoutDir, 'node_modules/typescript/bin/tsc');
  const done = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: checkoutDir, encoding: 'utf8' });
  if (done.status !== 0) console.warn(`the build reports errors:\n${done.stdout.slice(0, 4000)}`);
  const bundled = spawnSync(process.execPath, ['scripts/bundle.mjs'], { cwd: checkoutDir, encoding: 'utf8' });
  if (bundled.status !== 0) console.warn(`without a bundle:\n${bundled.stderr.slice(0, 4000)}`);
  return true;
}
