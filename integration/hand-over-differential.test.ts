/**
 * A client that goes from one Weir to another between any two requests does not notice it: the differential scripts, with all
 * clients at rest handed over after every step, must give the same bytes as PostgreSQL itself. Fails if any state of a session
 * is lost, or changes, on the way.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectedOf } from './differential/compare.ts';
import { Stage } from './differential/stage.ts';
import type { Script, Way } from './differential/script.ts';
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
