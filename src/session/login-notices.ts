/**
 * What a server remarks during log-in (an event trigger's NOTICE, a warning about collations) is told to the client for
 * whom it was opened, unless that client's client_min_messages says otherwise. Used by welcome.ts and server-hold.ts.
 */
import type { ServerConnection } from '../backend/server.ts';
import { readErrorFields } from '../protocol/read.ts';
import type { Settings } from './settings.ts';

/** From the least to the most important; INFO is always sent, as by PostgreSQL. */
const levels: readonly string[] = ['debug', 'log', 'notice', 'warning', 'error'];

export function takeNotices(server: ServerConnection, settings: Settings): readonly Buffer[] {
  return wantedBy(settings, server.login.takeNotices());
}

/** PostgreSQL itself leaves out what the role's or the database's setting says; of the client's own the log-in knew nothing. */
export function wantedBy(settings: Settings, notices: readonly Buffer[]): readonly Buffer[] {
  const least = levelOf(settings.get('client_min_messages') ?? '');
  return notices.filter((notice) => {
    const level = levelOf(readErrorFields(notice, 5, notice.length).get('V') ?? '');
    return level === -1 || level >= least;
  });
}

/** -1: not among them. */
function levelOf(name: string): number {
  const plain = name.toLowerCase().replace(/\d$/, '');
  return levels.indexOf(plain);
}
