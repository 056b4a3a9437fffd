// Builds what the other scripts run: Weir itself into dist, and the harness and the benchmarks, which are TypeScript and
// nothing that Node 20 could run as it is, into dist/tools.
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { node, root, say, tool } from './shell.mjs';

/** @returns {Promise<boolean>} whether it could be built */
export async function build() {
  say('Building ...');
  if ((await node(tool.tsc, ['-p', 'tsconfig.build.json'])) !== 0) return false;
  if ((await node(join(root, 'scripts/bundle.mjs'), [])) !== 0) return false;
  if ((await node(tool.tsc, ['-p', 'tsconfig.tools.json'])) !== 0) return false;
  // What the harness shares with these scripts; tsc leaves plain JavaScript where it is.
  const lib = join(root, 'dist/tools/scripts/lib');
  mkdirSync(lib, { recursive: true });
  cpSync(join(root, 'scripts/lib/processes.mjs'), join(lib, 'processes.mjs'));
  return true;
}
