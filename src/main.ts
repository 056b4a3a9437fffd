/**
 * The process: command line in, exit code out. What `bin/weir.js` runs. Everything else is in cli/ and app.ts.
 */
import { runCli } from './cli/run.ts';

// `weir pools | head` closes the pipe early: that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const code = await runCli(
  process.argv.slice(2),
  {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    env: process.env,
    columns: process.stdout.isTTY ? process.stdout.columns : undefined,
  },
  { loadApp: async () => (await import('./app.ts')).createApp, events: process },
);

// Output to a pipe may still be on its way: leave when it is gone, and do not wait for anything else.
process.exitCode = code;
process.stdout.write('', () => process.exit(code));
// Nobody may read it.
setTimeout(() => process.exit(code), 1_000);
