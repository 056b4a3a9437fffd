// npm run soak: installs what is missing, builds, and checks histories for as long as one likes. `-- --help` says what can be chosen.
import { installPackages, installProgram } from './lib/install.mjs';
import { build } from './lib/build.mjs';

if ((await installPackages()) && (await build())) {
  await installProgram('redis-server', 'nothing can be run');
  const { main } = await import('../dist/tools/soak/main.js');
  process.exitCode = await main(process.argv.slice(2));
} else {
  process.exitCode = 1;
}
