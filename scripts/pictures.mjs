// npm run pictures: takes the pictures of the page for docs/, of a demo under load (integration/harness/pictures.ts).
import { build } from './lib/build.mjs';
import { installPackages } from './lib/install.mjs';

if ((await installPackages()) && (await build())) {
  const { main } = await import('../dist/tools/integration/harness/pictures.js');
  process.exitCode = await main(process.argv[2] ?? 'docs');
} else {
  process.exitCode = 1;
}
