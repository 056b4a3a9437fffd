/**
 * Custom settings ("app.tenant"). PostgreSQL has no command that removes one from a session: once set it stays, empty
 * after RESET, where a session that has never set it gets NULL. So a request that reads one gets a server that answers
 * correctly: one without the name, opened if necessary, or, if the session has set it before, one with it.
 */
import type { ServerConnection } from '../../backend/server.ts';
import { madeBy } from '../../binding/settings.ts';
import { TxStatus } from '../../protocol/codes.ts';
import { Fields } from '../../util/fields.ts';
import { quoteLiteral, type Settings } from '../settings.ts';
import type { Request } from '../request.ts';
import type { Concern, ConcernOwner } from './concern.ts';

export class CustomSettings implements Concern {
  private readonly session: ConcernOwner;
  /** Names that the session has set at any time. */
  private names: Set<string> | undefined;

  constructor(session: ConcernOwner) {
    this.session = session;
  }

  /** Whether the server would return an empty value to `request` for a setting that its session has never set. */
  isForeign(server: ServerConnection, request: Request): boolean {
    const { customSettings } = server.sessionState;
    if (!request.planned.asksCustom || customSettings === undefined) return false;
    return askedBy(request, customSettings).some((name) => !this.isKnown(name));
  }

  private isKnown(name: string): boolean {
    return this.names?.has(name) === true || this.session.state.live.entry(name) !== undefined;
  }

  /** Settings that `request` reads and the session has set before, but the server does not have. */
  private missing(server: ServerConnection, request: Request): readonly string[] {
    const { names } = this;
    if (!request.planned.asksCustom || names === undefined) return none;
    const { live } = this.session.state;
    return askedBy(request, names).filter(
      (name) => live.entry(name) === undefined && server.sessionState.customSettings?.has(name) !== true,
    );
  }

  /* ---- moments ---- */

  /** Of the settings that `request` reads, the server has exactly those that the session has set before. */
  isReady(server: ServerConnection, request: Request): boolean {
    if (!request.planned.asksCustom) return true;
    return !this.isForeign(server, request) && this.missing(server, request).length === 0;
  }

  /** Creates the missing settings on the server, with an empty value. */
  prepareServer(server: ServerConnection, request: Request): string | undefined {
    if (!request.planned.asksCustom || this.session.status === TxStatus.Failed) return undefined;
    const names = this.missing(server, request);
    if (names.length === 0) return undefined;
    for (const name of names) (server.sessionState.customSettings ??= new Set()).add(name);
    return `SELECT ${names.map((name) => `pg_catalog.set_config(${quoteLiteral(name)}, NULL, false)`).join(', ')}`;
  }

  /** A rollback does not remove such a name. */
  readyForQuery(request: Request): void {
    const { server } = this.session;
    for (const { customSettings, facts } of request.plans) {
      if (customSettings === undefined || server === undefined || customSettings.makes.length === 0) continue;
      for (const name of customSettings.makes) (server.sessionState.customSettings ??= new Set()).add(name);
      // The failed statement may or may not have set the name; it may be one that cannot be set.
      const { hasError, statementIndex } = request.attempt;
      const made = hasError ? madeBy(facts.statements.slice(0, statementIndex)) : customSettings.makes;
      for (const name of made) (this.names ??= new Set()).add(name);
    }
  }

  pack(): { readonly names: readonly string[] } | undefined {
    return this.names === undefined ? undefined : { names: [...this.names] };
  }

  unpack(packed: unknown): void {
    this.names = new Set(new Fields('the custom settings', packed, ['names']).texts('names'));
  }
}

const none: readonly string[] = [];

/** @returns those of `names` that the request reads, or may read, without having created them before */
function askedBy(request: Request, names: ReadonlySet<string>): readonly string[] {
  const made = new Set<string>();
  const asked = new Set<string>();
  for (const { customSettings } of request.plans) {
    if (customSettings === undefined) continue;
    for (const name of customSettings.asksAny ? names : customSettings.asks) if (!made.has(name)) asked.add(name);
    for (const name of customSettings.makes) made.add(name);
  }
  return [...asked].filter((name) => names.has(name));
}

/** Notes that these settings were replayed onto the server. */
export function noteReplayed(server: ServerConnection, settings: Settings): void {
  for (const name of settings.names())
    if (name.includes('.')) (server.sessionState.customSettings ??= new Set()).add(name);
}
