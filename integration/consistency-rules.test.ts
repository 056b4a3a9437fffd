/**
 * The checker of consistency.test.ts checked: with any one rule of docs/consistency.md taken out, it finds an anomaly
 * within four minutes, mostly within one. What a rule is taken out of, and which run has to notice, is in soak/mutants.ts.
 */
import { describe, expect, test } from 'vitest';
import { asMutant, runOf } from '../soak/mutant.ts';
import type { Mutant } from '../soak/mutant.ts';
import { mutants } from '../soak/mutants.ts';
import { runSoak } from '../soak/run.ts';
import { currentRun, hasRedis } from './harness/index.ts';

const named = (some: readonly Mutant[]) => some.map((mutant) => [`${mutant.rule}: ${mutant.name}`, mutant] as const);
const seed = Number(process.env['WEIR_CONSISTENCY_SEED'] ?? 1);

/** Neither found nor missed: the change broke more than the rule. */
const notServed = 'the mutated Weir did not serve';

describe.skipIf(!hasRedis())('a rule that is taken out is missed', () => {
  test.each(named(mutants))('%s', async (_name, mutant) => {
    const result = await runSoak({
      run: currentRun(),
      seed,
      seconds: 240,
      stopsAtFirst: true,
      ...runOf(mutant),
      ...asMutant(mutant),
    }).catch((error: unknown) => {
      throw new Error(`${notServed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    });
    const { reads, share, bySqlstate, anomalies } = result;
    const errors = [...bySqlstate].map(([sqlstate, times]) => `${sqlstate} ${times} times`).join(', ') || 'no errors';
    expect(reads, `${notServed}: ${errors}`).toBeGreaterThan(0);
    // A ReferenceError, for example: to clients an internal error, or nothing is of a cache any more.
    const hasFailed = bySqlstate.has('XX000') || share.cache === 0;
    const facts = `${reads} reads checked, share of the cache ${share.cache}, of replicas ${share.replica}, ${errors}`;
    expect(anomalies.length, `${hasFailed ? notServed : 'missed'} (${facts})`).toBeGreaterThan(0);
  });

  // They are judged more strictly than those of consistency.test.ts.
  test.each(named(mutants.filter(({ boundMs }) => boundMs !== undefined)))(
    'but nothing is found while it is there: %s',
    async (_name, mutant) => {
      const result = await runSoak({ run: currentRun(), seed, seconds: 15, ...runOf(mutant) });
      expect(result.share.cache).toBeGreaterThan(0);
      expect(result.anomalies).toEqual([]);
    },
  );
});
