/**
 * Custom settings ("app.tenant"), of which nothing takes away that a server has one: once set there it is empty for
 * everybody, where PostgreSQL says NULL to a session that has never set it. Who asks for one gets a server that is right:
 * one without it, opened if need be; or, if the session has set it before, one with it.
 */
import type { ServerConnection } from '../../backend/server.ts';
import { TxStatus } from '../../protocol/codes.ts';
import { quoteLiteral, type Settings } from '../settings.ts';
import type { Request } from '../request.ts';
import type { Concern, ConcernOwner } from './concern.ts';

export class CustomSettings implements Concern {
  private readonly session: ConcernOwner;
  /** Names that the session has ever set. */
  private names: Set<string> | undefined;

  constructor(session: ConcernOwner) {
    this.session = session;
  }

  /** Would the server answer `request` with an empty value of what its session has never set? */
  isForeign(server: ServerConnection, request: Request): boolean {
    const { customSettings } = server.sessionState;
    if (!request.planned.asksCustom || customSettings === undefined) return false;
    return askedBy(request).some((name) => customSettings.has(name) && !this.isKnown(name));
  }

  private isKnown(name: string): boolean {
    return this.names?.has(name) === true || this.session.state.live.entry(name) !== undefined;
  }

  /** What the session has once set and `request` asks for, and the server does not have. */
  private missing(server: ServerConnection, request: Request): readonly string[] {
    const { names } = this;
    if (!request.planned.asksCustom || names === undefined) return none;
    const { live } = this.session.state;
    return askedBy(request).filter(
      (name) =>
        names.has(name) && live.entry(name) === undefined && server.sessionState.customSettings?.has(name) !== true,
    );
  }

  /* ---- moments ---- */

  /** Does the server have, of what `request` asks for, just what its session has once set? */
  isReady(server: ServerConnection, request: Request): boolean {
    if (!request.planned.asksCustom) return true;
    return !this.isForeign(server, request) && this.missing(server, request).length === 0;
  }

  /** Makes them on the server, empty. */
  prepareServer(server: ServerConnection, request: Request): string | undefined {
    if (!request.planned.asksCustom || this.session.status === TxStatus.Failed) return undefined;
    const names = this.missing(server, request);
    if (names.length === 0) return undefined;
    for (const name of names) (server.sessionState.customSettings ??= new Set()).add(name);
    return `SELECT ${names.map((name) => `pg_catalog.set_config(${quoteLiteral(name)}, NULL, false)`).join(', ')}`;
  }

  /** No rollback takes such a name away. */
  readyForQuery(request: Request): void {
    const { server } = this.session;
    for (const { customSettings } of request.plans) {
      if (customSettings === undefined || server === undefined || customSettings.makes.length === 0) continue;
      for (const name of customSettings.makes) (server.sessionState.customSettings ??= new Set()).add(name);
      // Whether the one that failed has come so far is not known.
      if (request.attempt.hasError && request.attempt.statementIndex === 0) continue;
      for (const name of customSettings.makes) (this.names ??= new Set()).add(name);
    }
  }
}

const none: readonly string[] = [];

function askedBy(request: Request): readonly string[] {
  const made = new Set<string>();
  const asked: string[] = [];
  for (const { customSettings } of request.plans) {
    for (const name of customSettings?.asks ?? []) if (!made.has(name)) asked.push(name);
    for (const name of customSettings?.makes ?? []) made.add(name);
  }
  return asked;
}

/** They were replayed onto the server. */
export function noteReplayed(server: ServerConnection, settings: Settings): void {
  for (const name of settings.names())
    if (name.includes('.')) (server.sessionState.customSettings ??= new Set()).add(name);
}
