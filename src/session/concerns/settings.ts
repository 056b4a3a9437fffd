/**
 * The settings of a session on the servers that it uses: which of them a server has to be told before a request, and which it has
 * after it. state.ts knows what the settings are, with transactions and savepoints.
 */
import type { ServerConnection } from '../../backend/server.ts';
import { TxStatus } from '../../protocol/codes.ts';
import type { StatementFacts } from '../../sql/facts.ts';
import { replaySql, Settings, settingFromText, settingsOf } from '../settings.ts';
import type { Request } from '../request.ts';
import type { Concern, ConcernOwner } from './concern.ts';
import { noteReplayed } from './custom-settings.ts';
import type { Opening } from './opening.ts';

/** What it has to know of its session besides. */
interface Owner extends ConcernOwner {
  readonly concerns: { readonly opening: Opening };
}

export class SessionSettings implements Concern {
  private readonly session: Owner;
  /** The settings that the server has once it is prepared; undefined: it is in a transaction of the session and has them already. */
  private onServer: Settings | undefined;
  /** The settings of which some are being replayed; undefined: none. */
  private replayed: Settings | undefined;

  constructor(session: Owner) {
    this.session = session;
  }

  /** Servers that log in from now on begin with other defaults than the client did: it takes its own along. */
  keepDefaults(values: readonly (readonly [name: string, value: string])[]): void {
    const defaults = Settings.of(values.map(([name, value]) => [name, settingFromText(name, value)]));
    this.session.state.keepDefaults(defaults);
    const { server } = this.session;
    // The one that it has began with the same.
    if (server !== undefined) server.sessionState.settings = settingsOf(server).withMissing(defaults);
  }

  /** The transaction is gone with its server. */
  rolledBack(): void {
    this.session.state.ended(false);
  }

  /* ---- moments ---- */

  prepareServer(server: ServerConnection): string | undefined {
    const { state, status, concerns } = this.session;
    // What a transaction sets, its server has set; but RESET goes there to the server's default, not to the client's.
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
    this.session.state.statementDone(facts, tag);
  }

  readyForQuery(request: Request, status: number): void {
    const { state, server } = this.session;
    if (status !== TxStatus.Idle) return;
    state.ended(!request.attempt.hasError);
    (server as ServerConnection).sessionState.settings = state.takeOnServer();
  }
}
