/**
 * What a statement changes in its session: settings, and the reasons to pin the server that begin or end with it. Decided
 * from the facts of the text; the callers (make-plan.ts, statement.ts) look up what its functions may do and pass it in.
 */
import type { SettingChange, StatementFacts } from '../sql/facts.ts';
import { ADVISORY_LOCKS, ADVISORY_UNLOCKS, UNREPLAYABLE } from './functions.ts';
import { setsOnlyLocally } from './text.ts';
import type { PinReason, SessionEffects } from './plan.ts';
import { pinsThat } from './session-state.ts';

const UNPARSED: PinReason = 'session state of an unparsed statement';
export const IN_FUNCTION = 'session state of a function' satisfies PinReason;
export const NOT_READ_YET = 'catalog not read yet' satisfies PinReason;
const UNREPLAYED: PinReason = 'setting that cannot be replayed';

const ENDED_BY_DISCARD_ALL = pinsThat('isDiscarded');

/** For a text that could not be parsed: first words of statements that change session state only through functions they call. */
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
 * @param isSuspect the statement runs functions that may change session state although the text does not show it
 * @param template the text of the whole message without its literals
 * @param namePins pins that follow from the functions and relations it names, see pinsOfReach() in statement.ts
 */
export function effectsOf(
  facts: StatementFacts,
  isSuspect: boolean,
  template: string,
  namePins: readonly PinReason[] = [],
): SessionEffects {
  if (facts.kind === 'explain') return { ...NO_EFFECTS, isSuspect, pins: namePins };
  if (facts.kind === 'prepare') return { ...NO_EFFECTS, pins: ['PREPARE'] };
  const pins = new Set<PinReason>(namePins);
  const unpins = new Set<PinReason>();
  addByKind(facts, pins, unpins);
  if (facts.createsTemporary && !facts.dropsOnCommit) pins.add('temporary table');
  if (facts.leavesState) pins.add(IN_FUNCTION);
  // UPDATE pg_settings runs set_config(), by a rule of that view.
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

/** Pins that the statement may end; the session then asks the server whether it did (`isGone` in session-state.ts). */
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
  // Calls with constant arguments are in facts.settings. The others cannot be replayed on another server. Those that end
  // with the transaction need not be: set_config('app.user', $1, true), common with row security.
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

/** The effects of a text with several statements: those of all of them, in order. */
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
    // The field holds one name. If the text deallocates two: forget all, and have the server reset, so that it has none.
    if (deallocates !== undefined && deallocates !== effects.deallocates) isSuspect = true;
    deallocates = deallocates === undefined ? effects.deallocates : '';
  }
  const mayEnd = [...new Set(all.flatMap((effects) => effects.mayEnd))];
  return { settings, resetsAll, discards, pins: [...pins], unpins: [...unpins], mayEnd, deallocates, isSuspect };
}
