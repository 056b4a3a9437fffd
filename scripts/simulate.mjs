// npm run simulate: pools of fixed sizes and Weir's under simulated loads. `-- NAME...` plays only those.
import { installPackages } from './lib/install.mjs';
import { build } from './lib/build.mjs';

if ((await installPackages()) && (await build())) await import('../dist/tools/bench/simulator/main.js');
else process.exitCode = 1;
