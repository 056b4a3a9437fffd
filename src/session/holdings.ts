/**
 * What a client has: who it is, its settings and preferences, its prepared statements. The part of a session that is
 * there between requests; client.ts adds the socket and the thread of requests.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { Plan, Tag } from '../routing/plan.ts';
import { lastRoute } from './client-figures.ts';
import type { Database, Services } from './context.ts';
import type { Preferences } from './preferences.ts';
import type { SessionState } from './state.ts';
import type { Statement } from './statements.ts';
import type { Unit } from './unit.ts';

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

export class Holdings {
  readonly identity: ClientIdentity;
  readonly database: Database;
  readonly services: Services;
  readonly state: SessionState;
  readonly startPreferences: Preferences;
  preferences: Preferences;
  /** The server that it has at the moment. */
  server: ServerConnection | undefined;
  lastUnit: Unit | undefined;

  /** The client's prepared statements by its own names. */
  statements: Map<string, Statement> | undefined;
  unnamed: Statement | undefined;
  /** Plans of the portals of this batch or transaction. */
  portals: Map<string, Plan> | undefined;
  /** Names of statements to be closed on the server before the next Sync. */
  evicted: string[] | undefined;

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

  parsed(sql: Buffer, types: Buffer): Statement {
    const own = Buffer.from(sql);
    return { serverName: '', sql: own, types: Buffer.from(types), classified: this.services.classifier.classify(own) };
  }

  enterStatement(name: string, sql: Buffer, types: Buffer): Statement {
    const statement = this.services.book.enter(sql, types, (text) => this.services.classifier.classify(text));
    (this.statements ??= new Map()).set(name, statement);
    return statement;
  }

  leaveStatement(name: string): void {
    const statement = this.statements?.get(name);
    if (statement === undefined) return;
    this.statements?.delete(name);
    this.services.book.leave(statement);
  }

  /** A text was executed: pins, DEALLOCATE, DISCARD. */
  effectsDone(plan: Plan): void {
    const { effects } = plan;
    this.state.applyEffects(effects);
    if (effects.deallocates === '' || effects.discards === 'all') {
      for (const name of [...(this.statements?.keys() ?? [])]) this.leaveStatement(name);
      this.unnamed = undefined;
      this.forgetServerPlans();
    }
    if (effects.discards === 'all') this.state.forgetPins();
    if (effects.discards === 'all' || effects.resetsAll) this.preferences = this.startPreferences;
  }

  /** The server's prepared statements are gone, or not what they were. */
  forgetServerPlans(): void {
    this.server?.prepared.clear();
    if (this.server !== undefined) this.server.unnamed = undefined;
  }

  showSetting(name: string): string {
    if (name === 'weir.last_route') return lastRoute(this);
    const { routing, cache } = this.services;
    return this.preferences.show(name, { consistency: routing().consistency, isCacheEnabled: cache.isEnabled });
  }

  /** Newest write to what the unit reads, by anybody: read-your-writes at table grain, across sessions. */
  lastWriteOf(unit: Unit): number {
    let latest = 0;
    for (const plan of unit.plans) {
      const tags: readonly Tag[] = plan.reads;
      if (tags.length > 0) latest = Math.max(latest, this.services.cache.lastWrite(tags));
    }
    return latest;
  }
}
