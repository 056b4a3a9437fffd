// npm run regress: installs what is missing, builds, and runs PostgreSQL's own regression suite straight and through Weir.
import { installPackages, installProgram } from './lib/install.mjs';
import { build } from './lib/build.mjs';

if ((await installPackages()) && (await build())) {
  await installProgram('psql', 'nothing can be run');
  const { main } = await import('../dist/tools/regress/main.js');
  process.exitCode = await main(process.argv.slice(2));
} else {
  process.exitCode = 1;
}
