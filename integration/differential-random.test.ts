/**
 * Random sessions of three clients, played straight and through Weir: no difference. WEIR_DIFFERENTIAL_RUNS plays more of
 * them, WEIR_DIFFERENTIAL_SEED others.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectedOf } from './differential/compare.ts';
import { printed, sessions } from './differential/random.ts';
import { Stage } from './differential/stage.ts';

const numRuns = Number(process.env['WEIR_DIFFERENTIAL_RUNS'] ?? 100);
const seed = Number(process.env['WEIR_DIFFERENTIAL_SEED'] ?? 4711);

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(async () => {
  await stage.close();
});

test(
  'random sessions look the same',
  async () => {
    const property = fc.asyncProperty(sessions, async (script) => {
      const direct = await stage.playDirectly(script);
      for (const way of script.ways) {
        const through = await stage.playThrough(way, script);
        expect(through, `through Weir, ${way}`).toEqual(expectedOf(direct, through));
      }
    });
    const details = await fc.check(property, { numRuns, seed });
    if (!details.failed) return;
    const [script] = details.counterexample ?? [];
    const where = `seed ${details.seed}, path ${details.counterexamplePath ?? ''}, ${script?.ways.join() ?? ''}`;
    throw new Error(`${where}\n${script === undefined ? '' : printed(script)}`, { cause: details.errorInstance });
  },
  60_000 + numRuns * 1_000,
);
