/**
 * What Weir keeps of a client between its requests: who it is, its settings, preferences, writes and prepared statements. The
 * lowest layer of a session (docs/architecture.md).
 */
import { isAscii } from 'node:buffer';
import type { ServerConnection } from '../backend/server.ts';
import type { PinReason, Plan, Tag } from '../binding/plan.ts';
import type { Classified } from '../sql/facts.ts';
import { noSuchTick } from '../util/ticks.ts';
import { lastRoute } from './last-route.ts';
import { PreparedStatements } from './concerns/prepared-statements.ts';
import type { Database, Services } from './context.ts';
import type { Preferences } from './preferences.ts';
import { Settings, settingFromText, settingsOf } from './settings.ts';
import type { SessionState } from './state.ts';
import type { Phase } from './transaction.ts';
import type { Unit, WriteSet } from './unit.ts';

export interface ClientIdentity {
  readonly id: number;
  readonly user: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly hasTls: boolean;
  readonly connectedAtMs: number;
  /** For CancelRequest. */
  readonly secret: Buffer;
}

const backslash = 0x5c;
/** What is said of a text that cannot be read and may speak of the session. */
const unreadText = Buffer.from("DO 'LISTEN anything'");
/** Such a word counts also inside a string: pinning the client for nothing does less harm than losing its state. */
const sessionWord =
  /\b(?:set|reset|set_config|listen|unlisten|prepare|execute|deallocate|discard|temp|temporary|hold|load|setseed)\b|advisory/i;

function mayLeaveState(sql: Buffer): boolean {
  return sessionWord.test(sql.toString('latin1'));
}

export class ClientRecord {
  readonly identity: ClientIdentity;
  readonly database: Database;
  readonly services: Services;
  readonly state: SessionState;
  readonly startPreferences: Preferences;
  preferences: Preferences;
  /** Everything written of which it is not decided what becomes of it: sent, or in the open transaction. */
  writes: WriteSet | undefined;
  /** Of that, what the open transaction has written in requests that were answered. */
  open: WriteSet | undefined;
  transaction: Phase = 'implicit';
  /** The server that it has at the moment. */
  server: ServerConnection | undefined;
  lastUnit: Unit | undefined;

  readonly prepared: PreparedStatements;
  /** It has called currval() or lastval(), and where it has last advanced a sequence (sequences.ts). */
  asksSequences = false;
  /** It may have advanced one in the open transaction. */
  hasAdvanced = false;
  sequencesOn: ServerConnection | undefined;
  /** Custom settings that it has ever set (custom-settings.ts). */
  customSettings: Set<string> | undefined;
  /** Pins that may have ended: the server is asked when it is idle (pins.ts). */
  ends: Set<PinReason> | undefined;

  constructor(
    identity: ClientIdentity,
    database: Database,
    services: Services,
    state: SessionState,
    preferences: Preferences,
  ) {
    this.identity = identity;
    this.database = database;
    this.services = services;
    this.state = state;
    this.startPreferences = preferences;
    this.preferences = preferences;
    this.prepared = new PreparedStatements(this);
  }

  /**
   * What the text is. In another encoding its letters are not what they seem: a character may end in a backslash. And with
   * standard_conforming_strings = off a backslash decides where a string ends.
   */
  classify(sql: Buffer): Classified {
    const { classifier, functionCall } = this.services;
    const { isUtf8, hasStandardStrings } = this.state.reading;
    if ((isUtf8 || isAscii(sql)) && (hasStandardStrings || !sql.includes(backslash))) return classifier.classify(sql);
    return mayLeaveState(sql) ? classifier.classify(unreadText) : functionCall;
  }

  /** Servers that log in from now on begin with other defaults than the client did: it takes its own along. */
  keepDefaults(values: readonly (readonly [name: string, value: string])[]): void {
    const defaults = Settings.of(values.map(([name, value]) => [name, settingFromText(name, value)]));
    this.state.keepDefaults(defaults);
    const { server } = this;
    // The one that it has began with the same.
    if (server !== undefined) server.sessionState.settings = settingsOf(server).withMissing(defaults);
  }

  /** A text was executed to its end: pins and what DISCARD takes away. */
  effectsDone(plan: Plan): void {
    const { effects } = plan;
    this.state.applyEffects(effects);
    if (effects.discards === 'all' || effects.resetsAll) this.preferences = this.startPreferences;
  }

  /** A text failed behind some statements that were executed: what a rollback does not take back is left. */
  effectsInPart(plan: Plan): void {
    this.state.pinForGood(plan.effects, plan.mayCommit);
  }

  showSetting(name: string): string {
    if (name === 'weir.last_route') return lastRoute(this.lastUnit);
    const { routing, cache } = this.services;
    return this.preferences.show(name, { consistency: routing().consistency, isCacheEnabled: cache.isEnabled });
  }

  /**
   * Newest write to what the unit reads, by anybody: read-your-writes at table grain, across sessions. `isCertain`: of those
   * that somebody knows of.
   */
  lastWriteOf(unit: Unit, isCertain = false): number {
    let latest = 0;
    const { ticker } = this.database.topology;
    for (const plan of unit.plans) {
      if (plan.beginsReadOnly) latest = Math.max(latest, this.lastWriteToAnything(isCertain));
      const tags: readonly Tag[] = plan.reads;
      if (tags.length > 0) latest = Math.max(latest, this.services.cache.lastWrite(tags, ticker, isCertain));
    }
    return latest;
  }

  /** A transaction stays on its node, and what it will read is not known at BEGIN. */
  private lastWriteToAnything(isCertain: boolean): number {
    const prefix = this.database.tagPrefix();
    return prefix === undefined
      ? noSuchTick
      : this.services.cache.lastWriteInDatabase(prefix, this.database.topology.ticker, isCertain);
  }
}
