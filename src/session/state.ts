/**
 * Session state that follows a client from server to server: settings with transaction and savepoint semantics,
 * reported parameters, and pins. Callers report what was executed and how it ended; this class sends nothing.
 */
import type { PinReason, SessionEffects } from '../binding/plan.ts';
import { pinsThat } from '../binding/session-state.ts';
import type { StatementFacts } from '../sql/facts.ts';
import { Fields } from '../util/fields.ts';
import { packSettings, settingsIn, type PackedSettings } from './packed-settings.ts';
import { readingOf, unknownPath, type Reading } from './reading.ts';
import { changeSetting, endSavepoint, resetSettings, type Draft } from './settings-draft.ts';
import { replaySql, Settings, settingFromText } from './settings.ts';

/** Reported parameters that a client cannot SET: they belong to the server, not to the client. */
const followsServer: ReadonlySet<string> = new Set([
  'in_hot_standby',
  'integer_datetimes',
  'is_superuser',
  'server_encoding',
  'server_version',
  'session_authorization',
  'default_transaction_read_only',
]);

const noPins: ReadonlySet<PinReason> = new Set();

/** Pins that a rollback undoes. */
const takenBack: ReadonlySet<PinReason> = new Set(pinsThat('isTakenBack'));

type PackedReported = readonly (readonly [name: string, value: string])[];

export interface PackedState {
  readonly start: PackedSettings;
  readonly settings: PackedSettings;
  readonly startReported: PackedReported;
  readonly reported: PackedReported;
}

export class SessionState {
  /** As of the last commit: the settings that any server must have for this client. */
  settings: Settings = Settings.none;
  /** The settings that the client started with, which RESET restores. */
  private start: Settings = Settings.none;
  /** The ParameterStatus values that the client knows. Shared between clients until one's own differ. */
  reported: ReadonlyMap<string, string>;
  /** The reported values at the start of the session. */
  private readonly startReported: ReadonlyMap<string, string>;
  private known: Reading | undefined;
  private draft: Draft | undefined;
  private isHidden = false;
  private onServer: Settings | undefined;
  private pinReasons: Set<PinReason> | undefined;
  /** Number of pins so far: if it has changed, an answer to an earlier question about pins is out of date. */
  timesPinned = 0;

  constructor(start: Settings, reported: ReadonlyMap<string, string>) {
    this.start = start;
    this.settings = start;
    this.reported = this.startReported = reported;
  }

  /** No transaction, no pins: pack() has everything. */
  get isAtRest(): boolean {
    return this.draft === undefined && this.pinReasons === undefined;
  }

  /** For another process; call at rest. */
  pack(): PackedState {
    return {
      start: packSettings(this.start),
      settings: packSettings(this.settings),
      startReported: [...this.startReported],
      reported: [...this.reported],
    };
  }

  /** @throws ShapeError */
  static unpack(packed: unknown): SessionState {
    const fields = new Fields('the session state', packed, ['start', 'settings', 'startReported', 'reported']);
    const reportedIn = (name: string): ReadonlyMap<string, string> =>
      new Map(fields.rows(name, 2).map(([key = '', value = '']) => [key, value]));
    const state = new SessionState(settingsIn(fields, 'start'), reportedIn('startReported'));
    state.settings = settingsIn(fields, 'settings');
    state.reported = reportedIn('reported');
    return state;
  }

  get pins(): ReadonlySet<PinReason> {
    return this.pinReasons ?? noPins;
  }

  get isPinned(): boolean {
    return this.pinReasons !== undefined;
  }

  pin(reason: PinReason): void {
    this.timesPinned++;
    (this.pinReasons ??= new Set()).add(reason);
  }

  unpin(reason: PinReason): void {
    if (this.pinReasons?.delete(reason) === true && this.pinReasons.size === 0) this.pinReasons = undefined;
  }

  /** All statements of a text were executed without an error. */
  applyEffects(effects: SessionEffects): void {
    if (effects.pins.length === 0 && effects.unpins.length === 0) return;
    this.open();
    for (const reason of effects.unpins) this.unpin(reason);
    for (const reason of effects.pins) this.pin(reason);
  }

  /** A text failed, perhaps after it had these effects. @param mayCommit it may have committed before it failed */
  pinForGood(effects: SessionEffects, mayCommit: boolean): void {
    for (const reason of effects.pins) {
      if (takenBack.has(reason) && !mayCommit) continue;
      this.pin(reason);
      // A rollback of later statements does not undo it either.
      if (this.draft !== undefined) this.draft.pins = new Set([...this.draft.pins, reason]);
    }
  }

  /** Undoes the pins, and the ends of pins, that the rolled back transaction brought. */
  private restorePins(before: ReadonlySet<PinReason>): void {
    const after = this.pins;
    for (const reason of after) if (!before.has(reason) && takenBack.has(reason)) this.unpin(reason);
    for (const reason of before) if (takenBack.has(reason)) this.pin(reason);
  }

  /** A statement was completed. @param tag its command tag */
  statementDone(facts: StatementFacts, tag: string): void {
    if (facts.transaction !== undefined) {
      this.transactionVerb(facts, tag);
      return;
    }
    if (facts.settings.length === 0 && !facts.resetsAll && facts.discards !== 'all' && !facts.hidesSettings) return;
    // The end of a portal from which rows were fetched before: its set_config() calls took effect then.
    if (facts.kind === 'select' && tag === 'SELECT 0') return;
    const draft = this.open();
    if (facts.hidesSettings) draft.isHidden = true;
    for (const change of facts.settings) changeSetting(draft, change, this.start);
    if (facts.resetsAll || facts.discards === 'all') resetSettings(draft, this.start, facts.resetsAll);
  }

  private transactionVerb(facts: StatementFacts, tag: string): void {
    switch (facts.transaction) {
      case 'commit':
      case 'prepare-transaction':
      case 'rollback':
        // COMMIT of a failed transaction answers ROLLBACK.
        return this.ended(tag !== 'ROLLBACK');
      case 'savepoint':
        if (this.draft !== undefined || facts.name !== undefined) {
          const draft = this.open();
          draft.savepoints.push({ name: facts.name ?? '', draft: draft.settings, inForce: draft.inForce });
        }
        return;
      case 'release':
      case 'rollback-to':
        if (this.draft !== undefined) endSavepoint(this.draft, facts.name, facts.transaction);
        return;
      default:
    }
  }

  private open(): Draft {
    this.draft ??= {
      settings: this.settings,
      inForce: this.settings,
      isHidden: this.isHidden,
      savepoints: [],
      touched: new Set(),
      touchedAll: false,
      locals: new Set(),
      reported: new Map(),
      behind: new Set(),
      pins: this.pinReasons === undefined ? noPins : new Set(this.pinReasons),
    };
    return this.draft;
  }

  /**
   * The server has sent ParameterStatus while this client had it. @returns the value to send to the client; undefined:
   * none
   */
  parameterChanged(name: string, value: string): string | undefined {
    const draft = this.open();
    const told = draft.behind.has(name.toLowerCase()) ? this.startReported.get(name) : value;
    const isKnown = told === (draft.reported.get(name) ?? this.reported.get(name));
    if (told !== undefined) draft.reported.set(name, told);
    return told !== value && isKnown ? undefined : told;
  }

  /** In a transaction: SQL that brings settings that were RESET in it to the client's start values; undefined: none */
  takeBehind(): string | undefined {
    const { draft } = this;
    if (draft === undefined || draft.behind.size === 0) return undefined;
    let onServer = draft.settings;
    for (const name of draft.behind) onServer = onServer.with(name, undefined);
    draft.behind.clear();
    return replaySql(onServer, draft.settings);
  }

  /** The transaction (explicit or implicit) has ended. */
  ended(isCommitted: boolean): void {
    const draft = this.draft;
    if (draft === undefined) return;
    this.draft = undefined;
    this.onServer = undefined;
    if (isCommitted) {
      this.settings = draft.settings;
      // If everything hidden was LOCAL, nothing of it is left; otherwise it has pinned the session.
      this.isHidden = draft.isHidden && this.isPinned;
      for (const name of draft.behind) this.onServer = (this.onServer ?? this.settings).with(name, undefined);
    } else {
      this.restorePins(draft.pins);
    }
    for (const [name, value] of draft.reported) {
      if (this.reported.get(name) === value) continue;
      this.reported = new Map(this.reported).set(name, value);
      // Not changed by a statement that Weir recognized (but by a function or set_config): adopt the value all the
      // same.
      const key = name.toLowerCase();
      if (isCommitted && !draft.touchedAll && !draft.touched.has(key) && !followsServer.has(key)) {
        this.settings = this.settings.with(key, settingFromText(key, value));
      }
    }
    if (isCommitted && draft.touched.has('datestyle') && !draft.behind.has('datestyle')) this.completeDateStyle();
  }

  /** `SET DateStyle = ymd` changes one half of the value and keeps the other: replay both. */
  private completeDateStyle(): void {
    const value = this.reported.get('DateStyle');
    if (value === undefined || this.settings.entry('datestyle') === undefined) return;
    this.settings = this.settings.with('datestyle', settingFromText('datestyle', value));
  }

  /** The settings of the server after the transaction that just ended; after a RESET they differ from `settings`. */
  takeOnServer(): Settings {
    const settings = this.onServer ?? this.settings;
    this.onServer = undefined;
    return settings;
  }

  /** @returns the parameters reported by a server that the client does not know yet; marks them as known */
  untold(parameters: ReadonlyMap<string, string>): [name: string, value: string][] {
    const news = [...parameters].filter(
      ([name, value]) =>
        (this.draft?.reported.get(name) ?? this.reported.get(name)) !== value && !followsServer.has(name.toLowerCase()),
    );
    if (news.length > 0) this.reported = new Map([...this.reported, ...news]);
    return news;
  }

  /** How the session's texts are to be read at present. */
  get reading(): Reading {
    const { reported, known } = this;
    const isHidden = this.draft?.isHidden ?? this.isHidden;
    const inForce = this.draft?.inForce ?? this.settings;
    if (known?.settings === inForce && known.reported === reported && !isHidden) return known;
    const reading = readingOf(inForce, reported);
    if (isHidden) return { ...reading, searchPath: unknownPath };
    return (this.known = reading);
  }

  /** How texts were read while these settings were in force. */
  readingIn(settings: Settings): Reading {
    return readingOf(settings, this.startReported);
  }

  /** The settings on the server while this client has it, including uncommitted changes. */
  get live(): Settings {
    return this.draft?.settings ?? this.settings;
  }

  get hasLocals(): boolean {
    return this.draft !== undefined && this.draft.locals.size > 0;
  }

  /** The setting may have a LOCAL value in this transaction that `live` does not show. */
  isLocal(name: string): boolean {
    return this.draft?.locals.has(name) === true;
  }

  /** New servers have other defaults from now on: makes the session's start defaults settings of its own. */
  keepDefaults(defaults: Settings): void {
    this.start = this.start.withMissing(defaults);
    this.settings = this.settings.withMissing(defaults);
    const { draft } = this;
    if (draft === undefined) return;
    draft.settings = draft.settings.withMissing(defaults);
    draft.inForce = draft.inForce.withMissing(defaults);
    draft.savepoints = draft.savepoints.map((savepoint) => ({
      name: savepoint.name,
      draft: savepoint.draft.withMissing(defaults),
      inForce: savepoint.inForce.withMissing(defaults),
    }));
  }
}
