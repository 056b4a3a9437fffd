/**
 * `weir pools`: SHOW POOLS has more columns than a terminal; those that tell most are printed if not all fit. Called by run.ts.
 */
import { exitCodes } from './io.ts';
import { command, positionals, print, showOptions, type Verb } from './verbs.ts';

/** Where not all columns of SHOW POOLS fit. */
const tellingOfPools: readonly string[] = [
  ...['database', 'user', 'node', 'cl_active', 'cl_waiting', 'sv_active', 'limit', 'maxwait', 'sv_idle', 'max'],
  ...['pinned', 'avg_wait_us', 'paused', 'overloaded', 'min', 'connect_problem', 'last_resize'],
];

export const poolsVerb: Verb = {
  synopsis: '[--json | --wide | --all]',
  about:
    'Pools: connections by state, clients waiting, limits and the last resize. In a terminal, the most telling columns that fit.',
  options: {
    ...showOptions,
    all: { type: 'boolean', about: 'Every column with something in it, below each other where they do not fit.' },
  },
  async run(args, io) {
    positionals(args, 0, 0, '');
    print(await command('SHOW POOLS', args, io), args, io, '(none)', tellingOfPools);
    return exitCodes.done;
  },
};
