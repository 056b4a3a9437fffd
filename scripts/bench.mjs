// npm run bench: installs what is missing, builds, and measures. `npm run bench -- --help` says what can be chosen.
import { installPackages, installProgram } from './lib/install.mjs';
import { build } from './lib/build.mjs';
import { findProgram } from './lib/shell.mjs';

// pgbench speaks to the server of its own distribution where there is one: that is what people run.
function choosePostgres() {
  const pgCtl = findProgram('pg_ctl');
  if (process.env.WEIR_TEST_PG_BIN === undefined && pgCtl !== undefined) {
    process.env.WEIR_TEST_PG_BIN = pgCtl.replace(/\/pg_ctl$/, '');
  }
}

if ((await installPackages()) && (await build())) {
  await installProgram('psql', 'COPY is not measured');
  choosePostgres();
  const { main } = await import('../dist/tools/bench/main.js');
  process.exitCode = await main(process.argv.slice(2));
} else {
  process.exitCode = 1;
}
