/**
 * `weir convert`: prints the configuration of Weir that a pgbouncer.ini is, as YAML with comments. Called by run.ts.
 */
import { readFileSync } from 'node:fs';
import { labelOfFile } from '../config/pgbouncer/ini.ts';
import { toYaml } from '../config/pgbouncer/to-yaml.ts';
import { translateIni } from '../config/pgbouncer/translate.ts';
import { CommandError, exitCodes } from './io.ts';
import { positionals, type Verb } from './arguments.ts';

export const convert: Verb = {
  synopsis: 'PGBOUNCER.INI',
  about:
    'Prints a pgbouncer.ini as YAML with the same settings, and says what has no effect. Passwords of [databases] are in it.',
  options: {},
  run(args, io) {
    const [file = ''] = positionals(args, 1, 1, 'PGBOUNCER.INI');
    const label = labelOfFile(file);
    const draft = translateIni(read(file), label);
    if (draft.problems.length > 0) throw new CommandError(draft.problems);
    io.out(toYaml(draft, label));
    return Promise.resolve(exitCodes.done);
  },
};

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError([`${file}: cannot be read: ${error instanceof Error ? error.message : String(error)}`]);
  }
}
