// npm run demo: installs what is missing, builds, and shows Weir at work (integration/harness/demo.ts).
// `npm run demo -- --once` is a short scripted tour that ends by itself; `-- --workers 2` runs a Weir of two processes.
import { installPackages, installProgram } from './lib/install.mjs';
import { build } from './lib/build.mjs';

if ((await installPackages()) && (await build())) {
  await installProgram('redis-server', 'the cache and its invalidation bus stay inside of Weir');
  const { main } = await import('../dist/tools/integration/harness/demo.js');
  process.exitCode = await main(process.argv.slice(2));
} else {
  process.exitCode = 1;
}
