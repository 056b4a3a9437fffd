/**
 * Brings the settings of a session onto the servers that it uses: what to replay before a request, and what the server
 * has after it. state.ts knows the settings themselves, with transactions and savepoints.
 */
import type { ServerConnection } from '../../backend/server.ts';
import { TxStatus } from '../../protocol/codes.ts';
import type { StatementFacts } from '../../sql/facts.ts';
import { replaySql, Settings, settingFromText, settingsOf } from '../settings.ts';
import type { Request } from '../request.ts';
import type { Concern, ConcernOwner } from './concern.ts';
import { noteReplayed } from './custom-settings.ts';
import type { Opening } from './opening.ts';

/** What it needs of its session in addition. */
interface Owner extends ConcernOwner {
  readonly concerns: { readonly opening: Opening };
}

export class SessionSettings implements Concern {
  private readonly session: Owner;
  /**
   * The settings that the server will have after prepareServer; undefined: it is in the session's transaction and has
   * them already.
   */
  private onServer: Settings | undefined;
  /** The settings being replayed; undefined: none. */
  private replayed: Settings | undefined;

  constructor(session: Owner) {
    this.session = session;
  }

  /**
   * New server connections have other defaults than when the client connected (ALTER ROLE, ALTER DATABASE): keeps the
   * old ones as the session's own settings.
   */
  keepDefaults(values: readonly (readonly [name: string, value: string])[]): void {
    const defaults = Settings.of(values.map(([name, value]) => [name, settingFromText(name, value)]));
    this.session.state.keepDefaults(defaults);
    const { server } = this.session;
    // The session's present server has the old defaults as well.
    if (server !== undefined) server.sessionState.settings = settingsOf(server).withMissing(defaults);
  }

  /** The transaction was lost with its server. */
  rolledBack(): void {
    this.session.state.ended(false);
  }

  /* ---- moments ---- */

  prepareServer(server: ServerConnection): string | undefined {
    const { state, status, concerns } = this.session;
    // The server has everything that its transaction has SET; but RESET went to the server's default instead of the
    // client's.
    const isBegun = status !== TxStatus.Idle && !concerns.opening.isToBegin;
    const behind = status === TxStatus.InTransaction ? state.takeBehind() : undefined;
    const sql = isBegun ? behind : replaySql(settingsOf(server), state.settings);
    this.onServer = isBegun ? undefined : state.settings;
    this.replayed = sql === undefined ? undefined : state.settings;
    return sql;
  }

  serverPrepared(server: ServerConnection): void {
    const { onServer, replayed } = this;
    if (onServer !== undefined) server.sessionState.settings = onServer;
    if (replayed !== undefined) noteReplayed(server, replayed);
  }

  statementDone(facts: StatementFacts, tag: string): void {
    const { state, server, database } = this.session;
    state.statementDone(facts, tag);
    if (server !== undefined && undoesSettings(facts) && database.settings().connectQuery !== undefined) {
      // The server runs connect_query again before another client gets it.
      server.sessionState.isSuspect = true;
    }
  }

  readyForQuery(request: Request, status: number): void {
    const { state, server } = this.session;
    if (status !== TxStatus.Idle) return;
    state.ended(!request.attempt.hasError);
    (server as ServerConnection).sessionState.settings = state.takeOnServer();
  }
}

/** RESET, SET ... TO DEFAULT, DISCARD ALL: to what was there before connect_query. */
function undoesSettings({ resetsAll, discards, settings }: StatementFacts): boolean {
  return resetsAll || discards === 'all' || (settings.length > 0 && settings.some(({ value }) => value === undefined));
}
