/**
 * No client can tell Weir from PostgreSQL while Weir does not know the catalog either: just started, after DDL, or not
 * allowed to read it. The scripts of differential.test.ts on few servers, which all clients use in turn.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectPg, lastRoute } from './harness/index.ts';
import { expectedOf } from './differential/compare.ts';
import { testEachScript } from './differential/each-script.ts';
import { Stage } from './differential/stage.ts';
import type { Way } from './differential/script.ts';

let stage: Stage;

const exceptions: Partial<Record<Way, ReadonlySet<string>>> = {
  // A client that may have left something is pinned; with one server the others wait until it leaves.
  pooled: new Set([
    'COPY, DDL and sequences in a prepared transaction',
    'functions that set nothing, made a moment ago',
    'a temporary table in a transaction',
  ]),
  // docs/what-differs.md: the settings that a function changes are lost while the catalog cannot be read.
  turns: new Set(['settings changed in functions and DO', 'functions that set for good']),
};

beforeAll(async () => {
  stage = await Stage.open({ hidesCatalog: true });
});
afterAll(async () => {
  await stage.close();
});

testEachScript(async (script) => {
  const direct = await stage.playDirectly(script);
  for (const [way, exempt] of Object.entries(exceptions) as [Way, ReadonlySet<string>][]) {
    if (!script.ways.includes(way) || exempt.has(script.name)) continue;
    const through = await stage.playThrough(way, script);
    expect(through, `through Weir, ${way}`).toEqual(expectedOf(direct, through));
  }
});

test('and all that time it did not know it', async () => {
  const client = await connectPg(stage.urlOf('pooled'));
  await client.query('SELECT name FROM f_items');
  expect(await lastRoute(client)).toContain('the catalog of the database is not known yet');
  await client.end();
});
