/**
 * `weir demo`: runs scripts/demo.mjs, as `npm run demo` does. Works in a clone of the repository only. Called by run.ts.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CommandError, exitCodes } from './io.ts';
import type { Verb } from './arguments.ts';

const script = fileURLToPath(new URL('../../scripts/demo.mjs', import.meta.url));

export const demo: Verb = {
  synopsis: '[--once]',
  about: 'Starts a PostgreSQL primary, two replicas and Weir on this machine, to try it out. Ctrl-C stops all of it.',
  options: { once: { type: 'boolean', about: 'A short scripted tour, then the end.' } },
  async run(args) {
    if (!existsSync(script)) {
      throw new CommandError([
        'the demo is not part of the installed package: clone the repository and run npm run demo',
      ]);
    }
    const child = spawn(process.execPath, [script, ...(args.values['once'] === true ? ['--once'] : [])], {
      stdio: 'inherit',
    });
    // The terminal sends Ctrl-C to all processes of the group: the script cleans up, and this process waits for it.
    const wait = (): void => undefined;
    const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on('SIGINT', wait);
    process.on('SIGTERM', pass);
    const code = await new Promise<number | null>((resolve) => {
      child.once('error', () => resolve(null));
      child.once('exit', (status) => resolve(status));
    });
    process.off('SIGINT', wait);
    process.off('SIGTERM', pass);
    return code === 0 ? exitCodes.done : exitCodes.refused;
  },
};
