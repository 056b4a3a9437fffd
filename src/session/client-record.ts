/**
 * What a client has: who it is, its settings and preferences, its prepared statements. The part of a session that is
 * there between requests; client.ts adds the socket and the thread of requests.
 */
import { isAscii } from 'node:buffer';
import type { ServerConnection } from '../backend/server.ts';
import type { PinReason, Plan, Tag } from '../binding/plan.ts';
import type { Classified, StatementFacts } from '../sql/facts.ts';
import { hasTimeWord } from '../sql/time-words.ts';
import { noSuchTick } from '../util/ticks.ts';
import { lastRoute } from './last-route.ts';
import type { Database, Services } from './context.ts';
import type { Preferences } from './preferences.ts';
import { Settings, settingFromText, settingsOf } from './settings.ts';
import type { SessionState } from './state.ts';
import { isDescribedByNames, maySpeakOfNames, type Borrowed, type Statement } from './statements.ts';
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
/** Wherever such a word stands, in a string or not: it is better to keep a server in vain. */
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

  /** The client's prepared statements by its own names. */
  statements: Map<string, Statement> | undefined;
  /** Of those, the ones that no server was asked about for this client (prepared/borrowed.ts). */
  borrowed: Map<string, Borrowed> | undefined;
  unnamed: Statement | undefined;
  /** Stands for the Close that has taken it away, until a Query has come behind that. */
  unnamedClose: object | undefined;
  /** Plans of the portals of this batch or transaction. */
  portals: Map<string, Plan> | undefined;
  /** Names of statements to be closed on the server before the next Sync. */
  evicted: Set<string> | undefined;
  /**
   * Statements that the session's server knows by the client's own names: SQL PREPARE and what EXECUTE needed; `empty`
   * when only the name was needed.
   */
  ownNames: Map<string, 'real' | 'empty'> | undefined;
  /** It has called currval() or lastval(), and where it has last advanced a sequence (sequences.ts). */
  asksSequences = false;
  /** It may have advanced one in the open transaction. */
  hasAdvanced = false;
  sequencesOn: ServerConnection | undefined;
  /** Custom settings that it has ever set (custom-settings.ts). */
  customSettings: Set<string> | undefined;
  /** Pins that may have ended: the server is asked when it is idle (pins.ts). */
  ends: Set<PinReason> | undefined;
  /** Parse or Close of a statement is on its way: what a name means is not sure before its answer. */
  hasNamesInFlight = false;

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

  parsed(sql: Buffer, types: Buffer): Statement {
    const own = Buffer.from(sql);
    const { live } = this.state;
    return { serverName: '', sql: own, types: Buffer.from(types), classified: this.classify(own), settings: live };
  }

  /** Servers that log in from now on begin with other defaults than the client did: it takes its own along. */
  keepDefaults(values: readonly (readonly [name: string, value: string])[]): void {
    const defaults = Settings.of(values.map(([name, value]) => [name, settingFromText(name, value)]));
    this.state.keepDefaults(defaults);
    const { server } = this;
    // The one that it has began with the same.
    if (server !== undefined) server.settings = settingsOf(server).withMissing(defaults);
  }

  /** The Parse of an unnamed statement did not happen, which others may have come behind: `before` is what there is. */
  neverParsed(statement: Statement, before: Statement | undefined): void {
    statement.instead = { statement: before };
    while (this.unnamed?.instead !== undefined) this.unnamed = this.unnamed.instead.statement;
  }

  /** The statement that others have for this text already. */
  knownStatement(sql: Buffer, types: Buffer): Statement | undefined {
    return this.services.book.find(sql, types, this.sceneFor(sql));
  }

  /** What the client calls `name`. */
  statementOf(name: string): Statement | undefined {
    return name === '' ? this.unnamed : this.statements?.get(name);
  }

  enterStatement(name: string, sql: Buffer, types: Buffer): Statement {
    const { book } = this.services;
    const statement = book.enter(sql, types, this.sceneFor(sql), this.state.live, (text) => this.classify(text));
    (this.statements ??= new Map()).set(name, statement);
    return statement;
  }

  /** The client has the statement of that name as if it prepared it now. */
  renewStatement(name: string): void {
    const statement = this.leaveStatement(name);
    if (statement !== undefined) this.enterStatement(name, statement.sql, statement.types);
  }

  /** With whom a statement prepared now may be shared; undefined: with nobody, as what it means is the session's alone. */
  private sceneFor(sql: Buffer): string | undefined {
    if (this.state.isPinned || this.writes?.changesCatalog === true || hasTimeWord(sql)) return undefined;
    if (maySpeakOfNames(sql) && isDescribedByNames(this.classify(sql))) return undefined;
    const { database, identity, services, state } = this;
    // Of schemas that another user may not use, names mean something else or nothing.
    const who = `${database.name}|${database.serverUser(identity.user)}|${state.live.forCacheKey}`;
    return services.book.sceneOf(database.topology.catalog(), who);
  }

  leaveStatement(name: string): Statement | undefined {
    const statement = this.statements?.get(name);
    if (statement === undefined) return undefined;
    this.statements?.delete(name);
    this.borrowed?.delete(name);
    this.services.book.leave(statement);
    return statement;
  }

  /** Its Parse did not happen. */
  forgetStatement(name: string, statement: Statement): void {
    if (this.statements?.get(name) === statement) this.leaveStatement(name);
  }

  /** Its Close did not happen. */
  restoreStatement(name: string, statement: Statement): void {
    (this.statements ??= new Map()).set(name, statement);
    this.services.book.keep(statement);
  }

  /**
   * PREPARE, DEALLOCATE or DISCARD ALL in SQL: what the client's names mean from then on. Returns how to take it back,
   * undefined if it is none of these.
   */
  namesChanged(facts: StatementFacts): (() => void) | undefined {
    const { kind, name } = facts;
    if (facts.discards === 'all' || (kind === 'deallocate' && name === undefined)) return this.leaveAllNames();
    if (name === undefined) return undefined;
    if (kind === 'prepare') {
      if (this.ownNames?.has(name) === true || this.statements?.has(name) === true) return undefined;
      (this.ownNames ??= new Map()).set(name, 'real');
      return () => this.leaveOwnName(name);
    }
    if (kind !== 'deallocate') return undefined;
    const statement = this.leaveStatement(name);
    const own = this.ownNames?.get(name);
    this.leaveOwnName(name);
    return () => {
      if (statement !== undefined) this.restoreStatement(name, statement);
      if (own !== undefined) this.restoreOwnName(name, own);
    };
  }

  private leaveAllNames(): () => void {
    const { statements, ownNames, server } = this;
    const prepared = server?.prepared.list() ?? [];
    for (const statement of statements?.values() ?? []) this.services.book.leave(statement);
    this.statements = undefined;
    this.borrowed = undefined;
    this.ownNames = undefined;
    server?.prepared.clear();
    return () => {
      for (const [name, statement] of statements ?? []) this.restoreStatement(name, statement);
      this.ownNames = ownNames;
      for (const serverName of prepared) server?.prepared.restore(serverName);
    };
  }

  /** The server does not know that name any more. */
  leaveOwnName(name: string): void {
    if (this.ownNames?.delete(name) === true && this.ownNames.size === 0) this.state.unpin('PREPARE');
  }

  /** It has turned out to know it all the same. */
  restoreOwnName(name: string, own: 'real' | 'empty'): void {
    (this.ownNames ??= new Map()).set(name, own);
    this.state.pin('PREPARE');
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
