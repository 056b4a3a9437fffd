/**
 * A client that goes from one Weir to another between any two requests does not notice it: the differential scripts, with all
 * clients at rest handed over after every step, must give the same bytes as PostgreSQL itself. Fails if any state of a session
 * is lost, or changes, on the way.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectedOf } from './differential/compare.ts';
import { testEachScript } from './differential/each-script.ts';
import { Stage } from './differential/stage.ts';
import type { Way } from './differential/script.ts';

let stage: Stage;
const moving: readonly Way[] = ['turns', 'evicting'];
let moves = 0;

beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(async () => {
  await stage.close();
});

testEachScript(async (script) => {
  const direct = await stage.playDirectly(script);
  for (const way of script.ways.filter((each) => moving.includes(each))) {
    const through = await stage.playMoving(way, script);
    moves += through.moves;
    expect(through.transcript, `moving, ${way}`).toEqual(expectedOf(direct, through.transcript));
  }
});

test('clients were moved', () => {
  expect(moves).toBeGreaterThan(1_000);
});
