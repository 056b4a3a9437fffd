// Puts the modules of dist that `weir` loads into a few files in dist/bundle, because to find, read and link hundreds of files takes
// half of the CPU time until Weir listens. Packages stay where they are. bin/weir.js takes the bundle unless it is out of date.
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
rmSync(`${dist}bundle`, { recursive: true, force: true });
const bundle = await rolldown({
  input: `${dist}main.js`,
  platform: 'node',
  // Everything that is not a file of Weir.
  external: /^(?![./])/,
  onLog: (level, log) => {
    throw new Error(`${level}: ${log.message}`);
  },
});
// Files are at the same depth as dist/cli/*.js: from there, ../../package.json is Weir's.
await bundle.write({
  dir: `${dist}bundle`,
  format: 'esm',
  sourcemap: true,
  entryFileNames: '[name].mjs',
  chunkFileNames: '[name].mjs',
});
await bundle.close();
