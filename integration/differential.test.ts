/**
 * No client can tell Weir from PostgreSQL: scripts of raw protocol messages are played straight and through Weir in
 * every pool mode, and what came back must be the same byte for byte, but for what differential/compare.ts allows. Batches
 * also come message by message, so that Weir begins them before their Sync.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectedOf } from './differential/compare.ts';
import { Stage } from './differential/stage.ts';
import { hasBatches, type Script, type Way } from './differential/script.ts';
import { extendedProtocol } from './differential/scripts/extended.ts';
import { readOnly } from './differential/scripts/read-only.ts';
import { prepared } from './differential/scripts/prepared.ts';
import { alteredTables } from './differential/scripts/altered-tables.ts';
import { batches } from './differential/scripts/batches.ts';
import { commits } from './differential/scripts/commits.ts';
import { constants } from './differential/scripts/readings.ts';
import { customSettings } from './differential/scripts/custom-settings.ts';
import { copy } from './differential/scripts/copy.ts';
import { copiedData } from './differential/scripts/copy-data.ts';
import { copySyncs } from './differential/scripts/copy-syncs.ts';
import { functions } from './differential/scripts/functions.ts';
import { notifications } from './differential/scripts/notifications.ts';
import { ownNames } from './differential/scripts/own-names.ts';
import { roles } from './differential/scripts/roles.ts';
import { sessionObjects } from './differential/scripts/session-objects.ts';
import { settings } from './differential/scripts/settings.ts';
import { settingsForms } from './differential/scripts/settings-forms.ts';
import { startup } from './differential/scripts/startup.ts';
import { state } from './differential/scripts/state.ts';
import { transactions } from './differential/scripts/transactions.ts';
import { twoPhase } from './differential/scripts/two-phase.ts';

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

const topics: Readonly<Record<string, readonly Script[]>> = {
  transactions,
  twoPhase,
  commits,
  extendedProtocol,
  prepared,
  ownNames,
  readOnly,
  alteredTables,
  settings,
  settingsForms,
  roles,
  startup,
  state,
  constants,
  customSettings,
  copy,
  copiedData,
  copySyncs,
  sessionObjects,
  notifications,
  functions,
  batches,
};

for (const [topic, scripts] of Object.entries(topics)) {
  describe(topic, () => {
    test.each(scripts.map((script) => [script.name, script] as const))('%s', async (_name, script) => {
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
  });
}
