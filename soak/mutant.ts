/**
 * What a mutant is: a change of text in the build of Weir that takes out a rule, and the run that has to notice. The mutants are in
 * mutants.ts.
 */
import { join } from 'node:path';
import { checkoutDir } from '../integration/harness/run-dir.ts';
import { faults } from './faults.ts';
import { kinds } from './kinds.ts';
import type { FormKind } from './model.ts';
import type { RunOptions } from './run.ts';
import type { Measures } from './world.ts';

export interface Change {
  /** Below dist. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

type Choices = Pick<RunOptions, 'heavyRows' | 'tables' | 'readers' | 'isPrimaryOnly' | 'config'> & Partial<Measures>;

export interface Mutant extends Choices {
  /** Number in docs/consistency.md. */
  readonly rule: number;
  readonly name: string;
  readonly changes: readonly Change[];
  readonly world: 'shared' | 'alone';
  readonly kinds: readonly string[];
  readonly forms: readonly FormKind[];
  readonly faults: readonly string[];
}

/** The run that has to notice it, for the options that tests choose. */
export function runOf(mutant: Mutant): Omit<RunOptions, 'run' | 'seed' | 'seconds'> {
  const { world, kinds: kindNames, faults: faultNames, rule: _rule, name: _name, changes: _changes, ...rest } = mutant;
  return {
    pauseMs: 300,
    ...rest,
    worlds: [world],
    kinds: kinds.filter(({ name }) => kindNames.includes(name)),
    faults: faults.filter(({ name }) => faultNames.includes(name)),
  };
}

/** How a Weir is started as that mutant. */
export function asMutant(mutant: Mutant): { nodeArgs: string[]; env: Record<string, string> } {
  return {
    nodeArgs: ['--import', join(checkoutDir, 'soak/mutate.mjs')],
    env: { WEIR_MUTANT: JSON.stringify(mutant.changes) },
  };
}
