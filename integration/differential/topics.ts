/** All differential scripts by topic, for the tests that play every one of them. */
import type { Script } from './script.ts';
import { extendedProtocol } from './scripts/extended.ts';
import { readOnly } from './scripts/read-only.ts';
import { prepared } from './scripts/prepared.ts';
import { alteredTables } from './scripts/altered-tables.ts';
import { batches } from './scripts/batches.ts';
import { commits } from './scripts/commits.ts';
import { constants } from './scripts/readings.ts';
import { customSettings } from './scripts/custom-settings.ts';
import { copy } from './scripts/copy.ts';
import { copiedData } from './scripts/copy-data.ts';
import { copySyncs } from './scripts/copy-syncs.ts';
import { functions } from './scripts/functions.ts';
import { notifications } from './scripts/notifications.ts';
import { ownNames } from './scripts/own-names.ts';
import { roles } from './scripts/roles.ts';
import { sessionObjects } from './scripts/session-objects.ts';
import { settings } from './scripts/settings.ts';
import { settingsForms } from './scripts/settings-forms.ts';
import { startup } from './scripts/startup.ts';
import { state } from './scripts/state.ts';
import { transactions } from './scripts/transactions.ts';
import { twoPhase } from './scripts/two-phase.ts';

export const topics: Readonly<Record<string, readonly Script[]>> = {
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
