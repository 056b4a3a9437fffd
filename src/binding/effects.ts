/**
 * What a statement leaves behind in the session that ran it: settings, pins, things that end. From the facts alone; what
 * functions in it may do comes from the catalog and is handed in. Called by binder.ts.
 */
import type { SettingChange, StatementFacts } from '../sql/facts.ts';
import { ADVISORY_LOCKS, ADVISORY_UNLOCKS, UNREPLAYABLE } from './functions.ts';
import { setsOnlyLocally } from './text.ts';
import type { PinReason, SessionEffects } from './plan.ts';
import { pinsThat } from './session-state.ts';

const UNPARSED: PinReason = 'session state of an unparsed statement';
const IN_FUNCTION: PinReason = 'session state of a function';
const UNREPLAYED: PinReason = 'setting that cannot be replayed';

const ENDED_BY_DISCARD_ALL = pinsThat('isDiscarded');

/** First words of statements that could change session state only through what they call. */
const STATELESS_VERBS =
  /^(?:\(|SELECT|INSERT|UPDATE|DELETE|WITH|VALUES|TABLE|COPY|MERGE|ALTER|DROP|GRANT|REVOKE|COMMENT|TRUNCATE|VACUUM|ANALYZE|REINDEX|REFRESH|CLUSTER)/i;

export const NO_EFFECTS: SessionEffects = {
  settings: [],
  resetsAll: false,
  discards: undefined,
  pins: [],
  unpins: [],
  mayEnd: [],
  deallocates: undefined,
  isSuspect: false,
};

export function hasAnyEffect(effects: SessionEffects): boolean {
  return (
    effects.settings.length > 0 ||
    effects.resetsAll ||
    effects.discards !== undefined ||
    effects.pins.length > 0 ||
    effects.unpins.length > 0 ||
    effects.deallocates !== undefined ||
    effects.isSuspect
  );
}

/**
 * @param isSuspect functions in it may change session state behind the text.
 * @param leavesState they say so in their source.
 * @param template the text without literals of the whole message.
 */
export function effectsOf(
  facts: StatementFacts,
  isSuspect: boolean,
  template: string,
  leavesState = false,
): SessionEffects {
  if (facts.kind === 'explain') return { ...NO_EFFECTS, isSuspect, pins: leavesState ? [IN_FUNCTION] : [] };
  if (facts.kind === 'prepare') return { ...NO_EFFECTS, pins: ['PREPARE'] };
  const pins = new Set<PinReason>();
  const unpins = new Set<PinReason>();
  addByKind(facts, pins, unpins);
  if (facts.createsTemporary && !facts.dropsOnCommit) pins.add('temporary table');
  if (leavesState || facts.leavesState) pins.add(IN_FUNCTION);
  // A view with a rule that sets.
  if (facts.writes.some(({ name }) => name === 'pg_settings')) pins.add(UNREPLAYED);
  if (facts.cursor === 'hold') pins.add('cursor WITH HOLD');
  addByFunctions(facts, template, pins, unpins);
  addBySettings(facts.settings, pins, unpins);
  if (facts.resetsAll) unpins.add(UNREPLAYED);
  if (facts.discards === 'sequences') unpins.add('sequence');
  if (facts.discards === 'temp') unpins.add('temporary table');
  if (facts.discards === 'all') for (const reason of ENDED_BY_DISCARD_ALL) unpins.add(reason);
  for (const reason of pins) unpins.delete(reason);

  const deallocatesAll = facts.discards === 'all' || (facts.kind === 'deallocate' && facts.name === undefined);
  return {
    settings: facts.settings,
    resetsAll: facts.resetsAll,
    discards: facts.discards,
    pins: [...pins],
    unpins: [...unpins],
    mayEnd: endsOf(facts),
    deallocates: deallocatesAll ? '' : facts.kind === 'deallocate' ? facts.name : undefined,
    isSuspect: isSuspect || (facts.kind === 'unknown' && STATELESS_VERBS.test(facts.verb)),
  };
}

/** What it may end: whether it does, the server has to say. */
function endsOf(facts: StatementFacts): readonly PinReason[] {
  if (facts.kind === 'unlisten' && facts.name !== undefined && facts.name !== '*') return ['LISTEN'];
  if (facts.kind === 'close' && facts.name !== undefined) return ['cursor WITH HOLD'];
  if (facts.kind === 'ddl' && facts.verb.startsWith('DROP')) return ['temporary table'];
  return facts.functions.some(({ name }) => ADVISORY_UNLOCKS.has(name)) ? ['advisory lock'] : [];
}

function addByKind(facts: StatementFacts, pins: Set<PinReason>, unpins: Set<PinReason>): void {
  switch (facts.kind) {
    case 'listen':
      pins.add('LISTEN');
      break;
    case 'unlisten':
      if (facts.name === undefined || facts.name === '*') unpins.add('LISTEN');
      break;
    case 'deallocate':
      if (facts.name === undefined) unpins.add('PREPARE');
      break;
    case 'close':
      if (facts.name === undefined) unpins.add('cursor WITH HOLD');
      break;
    case 'load':
      pins.add('LOAD');
      break;
    case 'unknown':
      if (!STATELESS_VERBS.test(facts.verb)) pins.add(UNPARSED);
      break;
    default:
  }
}

function addByFunctions(facts: StatementFacts, template: string, pins: Set<PinReason>, unpins: Set<PinReason>): void {
  let settingCalls = 0;
  for (const call of facts.functions) {
    if (call.schema !== undefined && call.schema !== 'pg_catalog') continue;
    if (ADVISORY_LOCKS.has(call.name)) pins.add('advisory lock');
    else if (call.name === 'pg_advisory_unlock_all') unpins.add('advisory lock');
    else if (UNREPLAYABLE.has(call.name)) pins.add(UNREPLAYED);
    else if (call.name === 'set_config') settingCalls++;
  }
  // Calls with constant arguments have become settings; what is left cannot be followed, unless it ends with the
  // transaction anyway, as row-security middleware likes it: set_config('app.user', $1, true).
  if (settingCalls > facts.settings.length && !setsOnlyLocally(template)) pins.add(UNREPLAYED);
}

function addBySettings(settings: readonly SettingChange[], pins: Set<PinReason>, unpins: Set<PinReason>): void {
  for (const setting of settings) {
    if (setting.name === 'seed') pins.add(UNREPLAYED);
    if (setting.name !== 'session_authorization' || setting.isLocal) continue;
    if (setting.value === undefined) unpins.add('SET SESSION AUTHORIZATION');
    else pins.add('SET SESSION AUTHORIZATION');
  }
}

/** One Query text with several statements leaves behind what all of them leave, in their order. */
export function uniteEffects(all: readonly SessionEffects[]): SessionEffects {
  if (all.length === 1) return all[0] ?? NO_EFFECTS;
  const pins = new Set<PinReason>();
  const unpins = new Set<PinReason>();
  let settings: SettingChange[] = [];
  let resetsAll = false;
  let discards: SessionEffects['discards'];
  let deallocates: string | undefined;
  let isSuspect = false;
  for (const effects of all) {
    if (effects.resetsAll || effects.discards === 'all') settings = [];
    settings.push(...effects.settings);
    resetsAll ||= effects.resetsAll;
    if (effects.discards !== undefined && discards !== 'all') discards = effects.discards;
    for (const reason of effects.unpins) {
      pins.delete(reason);
      unpins.add(reason);
    }
    for (const reason of effects.pins) {
      pins.add(reason);
      unpins.delete(reason);
    }
    isSuspect ||= effects.isSuspect;
    if (effects.deallocates === undefined) continue;
    // Two names do not fit in one field: forget them all, and have the server reset so that it forgets them too.
    if (deallocates !== undefined && deallocates !== effects.deallocates) isSuspect = true;
    deallocates = deallocates === undefined ? effects.deallocates : '';
  }
  const mayEnd = [...new Set(all.flatMap((effects) => effects.mayEnd))];
  return { settings, resetsAll, discards, pins: [...pins], unpins: [...unpins], mayEnd, deallocates, isSuspect };
}
