/**
 * Weir that is called by the name of PgBouncer, through a link or a script of that name, takes PgBouncer's command line:
 * `pgbouncer -d pgbouncer.ini`. Called by main.ts.
 */
import { basename } from 'node:path';

/** @param program as it was called; @param argv what follows it */
export function argumentsOf(program: string, argv: readonly string[]): readonly string[] {
  if (basename(program) !== 'pgbouncer') return argv;
  if (argv.length === 1 && (argv[0] === '-V' || argv[0] === '--version')) return ['version'];
  return ['serve', ...argv];
}
