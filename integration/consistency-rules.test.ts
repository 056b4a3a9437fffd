/**
 * The checker of consistency.test.ts checked: with any one rule of docs/consistency.md taken out, it finds an anomaly
 * within a minute. What a rule is taken out of, and which run has to notice, is in soak/mutants.ts.
 */
import { describe, expect, test } from 'vitest';
import { faults } from '../soak/faults.ts';
import { kinds } from '../soak/kinds.ts';
import { asMutant, mutants } from '../soak/mutants.ts';
import { runSoak } from '../soak/run.ts';
import { currentRun, hasRedis } from './harness/index.ts';

const seed = Number(process.env['WEIR_CONSISTENCY_SEED'] ?? 1);

for (const { rule, name, isMissed } of mutants) if (isMissed === true) test.todo(`${rule}: ${name}`);

describe.skipIf(!hasRedis())('a rule that is taken out is missed', () => {
  test.each(
    mutants
      .filter(({ isMissed }) => isMissed !== true)
      .map((mutant) => [`${mutant.rule}: ${mutant.name}`, mutant] as const),
  )('%s', async (_name, mutant) => {
    const result = await runSoak({
      run: currentRun(),
      seed,
      seconds: 60,
      pauseMs: mutant.pauseMs ?? 300,
      worlds: [mutant.world],
      kinds: kinds.filter(({ name }) => mutant.kinds.includes(name)),
      forms: mutant.forms,
      heavyRows: mutant.heavyRows,
      faults: faults.filter(({ name }) => mutant.faults.includes(name)),
      stopsAtFirst: true,
      ...asMutant(mutant),
    });
    expect(result.reads).toBeGreaterThan(0);
    expect(result.anomalies.length).toBeGreaterThan(0);
  });
});
