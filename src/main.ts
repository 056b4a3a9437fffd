/**
 * The entry point, which `bin/weir.js` runs: passes the command line to cli/run.ts and exits with its code.
 */
import { argumentsOf } from './cli/called-as.ts';
import { runCli } from './cli/run.ts';

// `weir pools | head` closes the pipe early, which is not an error; EIO: the terminal of `weir top` was closed.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE' || error.code === 'EIO') process.exit(0);
  throw error;
});

const code = await runCli(
  argumentsOf(process.argv[1] ?? '', process.argv.slice(2)),
  {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    env: process.env,
    columns: process.stdout.isTTY ? process.stdout.columns : undefined,
    terminal:
      process.stdout.isTTY && process.stdin.isTTY ? { input: process.stdin, output: process.stdout } : undefined,
  },
  { loadApp: async () => (await import('./app.ts')).createApp, events: process },
);

// Exit as soon as the output has been written, because output to a pipe is asynchronous; wait for nothing else.
process.exitCode = code;
process.stdout.write('', () => process.exit(code));
// In case the reader of the pipe does not read.
setTimeout(() => process.exit(code), 1_000);
