/**
 * No client can tell Weir from PostgreSQL: scripts of raw protocol messages are played straight and through Weir in
 * every pool mode, and what came back must be the same byte for byte, but for what differential/compare.ts allows. Batches
 * also come message by message, so that Weir begins them before their Sync.
 */
import { afterAll, beforeAll, expect } from 'vitest';
import { expectedOf } from './differential/compare.ts';
import { testEachScript } from './differential/each-script.ts';
import { Stage } from './differential/stage.ts';
import { hasBatches, type Way } from './differential/script.ts';

let stage: Stage;
const oneByOne: readonly Way[] = ['pooled', 'turns'];
/** What docs/what-differs.md says of batches that are not there as a whole when they begin. */
const differsInPieces: ReadonlySet<string> = new Set([
  // A custom setting that only others have set is not NULL there.
  'a pipeline that asks',
  // 25P02 names another line of the server's source.
  'readings behind an error, and of a statement whose table is gone',
]);

beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(async () => {
  await stage.close();
});

testEachScript(async (script) => {
  const direct = await stage.playDirectly(script);
  for (const way of script.ways) {
    const through = await stage.playThrough(way, script);
    expect(through, `through Weir, ${way}`).toEqual(expectedOf(direct, through));
  }
  if (!hasBatches(script) || differsInPieces.has(script.name)) return;
  for (const way of oneByOne.filter((each) => script.ways.includes(each))) {
    const through = await stage.playThrough(way, script, 'one by one');
    expect(through, `through Weir message by message, ${way}`).toEqual(expectedOf(direct, through));
  }
});
