/**
 * Custom settings ("app.tenant"), of which nothing takes away that a server has one: once set there it is empty for
 * everybody, where PostgreSQL says NULL to a session that has never set it. Who asks for one gets a server that is right:
 * one without it, opened if need be; or, if the session has set it before, one with it.
 */
import type { ServerConnection } from '../../backend/server.ts';
import type { Session } from '../session.ts';
import { quoteLiteral, type Settings } from '../settings.ts';
import type { Unit } from '../unit.ts';

const none: readonly string[] = [];

/** The answers to `unit` are complete: no rollback takes such a name away. */
export function noteCustomSettings(session: Session, unit: Unit): void {
  const { server } = session;
  for (const { customSettings } of unit.plans) {
    if (customSettings === undefined || server === undefined || customSettings.makes.length === 0) continue;
    for (const name of customSettings.makes) (server.sessionState.customSettings ??= new Set()).add(name);
    // Whether the one that failed has come so far is not known.
    if (unit.attempt.hasError && unit.attempt.statementIndex === 0) continue;
    for (const name of customSettings.makes) (session.customSettings ??= new Set()).add(name);
  }
}

/** They were replayed onto the server. */
export function noteReplayed(server: ServerConnection, settings: Settings): void {
  for (const name of settings.names())
    if (name.includes('.')) (server.sessionState.customSettings ??= new Set()).add(name);
}

/** Would the server answer `unit` with an empty value of what its session has never set? */
export function hasForeignCustom(session: Session, unit: Unit, server: ServerConnection): boolean {
  const { customSettings } = server.sessionState;
  if (!unit.asksCustom || customSettings === undefined) return false;
  return askedBy(unit).some((name) => customSettings.has(name) && !isKnown(session, name));
}

/** What the session has once set and `unit` asks for, and the server does not have. */
export function missingCustom(session: Session, unit: Unit, server: ServerConnection): readonly string[] {
  if (!unit.asksCustom || session.customSettings === undefined) return none;
  const { live } = session.state;
  return askedBy(unit).filter(
    (name) =>
      session.customSettings?.has(name) === true &&
      live.entry(name) === undefined &&
      server.sessionState.customSettings?.has(name) !== true,
  );
}

/** Does the server have, of what `unit` asks for, just what its session has once set? */
export function hasOwnCustom(session: Session, unit: Unit, server: ServerConnection): boolean {
  if (!unit.asksCustom) return true;
  return !hasForeignCustom(session, unit, server) && missingCustom(session, unit, server).length === 0;
}

/** Makes them on the server, empty. */
export function makeCustomSql(server: ServerConnection, names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  for (const name of names) (server.sessionState.customSettings ??= new Set()).add(name);
  return `SELECT ${names.map((name) => `pg_catalog.set_config(${quoteLiteral(name)}, NULL, false)`).join(', ')}`;
}

function askedBy(unit: Unit): readonly string[] {
  const made = new Set<string>();
  const asked: string[] = [];
  for (const { customSettings } of unit.plans) {
    for (const name of customSettings?.asks ?? []) if (!made.has(name)) asked.push(name);
    for (const name of customSettings?.makes ?? []) made.add(name);
  }
  return asked;
}

function isKnown(session: Session, name: string): boolean {
  return session.customSettings?.has(name) === true || session.state.live.entry(name) !== undefined;
}
