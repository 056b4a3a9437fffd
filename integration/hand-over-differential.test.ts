/**
 * A client that goes from one Weir to another between any two requests does not notice it: the differential scripts, with all
 * clients at rest handed over after every step, must give the same bytes as PostgreSQL itself. Fails if any state of a session
 * is lost, or changes, on the way.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectedOf } from './differential/compare.ts';
import { Stage } from './differential/stage.ts';
import type { Way } from './differential/script.ts';
import { topics } from './differential/topics.ts';

let stage: Stage;
const moving: readonly Way[] = ['turns', 'evicting'];
let moves = 0;

/** In a failed transaction, a server of the other Weir refuses to prepare what PostgreSQL refuses to describe. */
function preparedAgain(direct: string, through: string): string {
  const isRefused = / C25P02 .* Rexec_describe_statement_message$/.test(direct);
  return isRefused && / C25P02 .* Rexec_parse_message$/.test(through) ? through : direct;
}

beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(async () => {
  await stage.close();
});

for (const [topic, scripts] of Object.entries(topics)) {
  describe(topic, () => {
    test.each(scripts.map((script) => [script.name, script] as const))('%s', async (_name, script) => {
      const direct = await stage.playDirectly(script);
      for (const way of script.ways.filter((each) => moving.includes(each))) {
        const through = await stage.playMoving(way, script);
        moves += through.moves;
        const expected = expectedOf(
          direct.map((line, i) => preparedAgain(line, through.transcript[i] ?? '')),
          through.transcript,
        );
        expect(through.transcript, `moving, ${way}`).toEqual(expected);
      }
    });
  });
}

test('clients were moved', () => {
  expect(moves).toBeGreaterThan(1_000);
});
