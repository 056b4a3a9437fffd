// npm run backtest: the load of three weeks with and without the forecast. `-- --traces` writes bench/traces anew.
import { installPackages } from './lib/install.mjs';
import { build } from './lib/build.mjs';

if ((await installPackages()) && (await build())) await import('../dist/tools/bench/forecast/main.js');
else process.exitCode = 1;
