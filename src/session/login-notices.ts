/**
 * Relays the notices of a server's log-in (from an event trigger, or a collation warning) to the client for which the
 * server connection was opened, unless that client's client_min_messages excludes them. Used by welcome.ts and
 * server-hold.ts.
 */
import type { ServerConnection } from '../backend/server.ts';
import { readErrorFields } from '../protocol/read.ts';
import type { Settings } from './settings.ts';

/** From the least to the most important; INFO is always sent, as by PostgreSQL. */
const levels: readonly string[] = ['debug', 'log', 'notice', 'warning', 'error'];

export function takeNotices(server: ServerConnection, settings: Settings): readonly Buffer[] {
  return wantedBy(settings, server.login.takeNotices());
}

/**
 * PostgreSQL has applied client_min_messages of the role and database; the client's own setting was not known to it at
 * log-in.
 */
export function wantedBy(settings: Settings, notices: readonly Buffer[]): readonly Buffer[] {
  const least = levelOf(settings.get('client_min_messages') ?? '');
  return notices.filter((notice) => {
    const level = levelOf(readErrorFields(notice, 5, notice.length).get('V') ?? '');
    return level === -1 || level >= least;
  });
}

/** @returns -1 if the name is not a level */
function levelOf(name: string): number {
  const plain = name.toLowerCase().replace(/\d$/, '');
  return levels.indexOf(plain);
}
