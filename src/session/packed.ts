/**
 * A client with its whole session as plain data that survives a structured clone: how a session at rest travels to another
 * process of the same or a newer version (request/hand-over.ts packs it, app/hand-overs.ts makes a session of it again). What a
 * session has in addition, it has only while a request or a transaction is under way.
 */
import { Fields, ShapeError } from '../util/fields.ts';
import type { ClientRecord } from './client-record.ts';
import { packPreferences, preferencesIn, type PackedPreferences } from './packed-preferences.ts';
import type { Preferences } from './preferences.ts';
import { SessionState, type PackedState } from './state.ts';

/** Add one when fields change. Older versions can still be read; newer ones are refused. */
export const packedVersion = 1;

export interface PackedClient {
  readonly id: number;
  readonly secret: Uint8Array;
  readonly user: string;
  readonly database: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Epoch ms: the monotonic clocks of two processes have nothing in common. */
  readonly connectedAtMs: number;
  readonly activeAtMs: number;
  readonly lastRoute: string;
}

export interface PackedSession {
  readonly version: number;
  readonly client: PackedClient;
  /** Bytes of the client that were read and not processed. */
  readonly unread: Uint8Array;
  readonly startPreferences: PackedPreferences;
  readonly state: PackedState;
  /** By concern (concerns/table.ts): what its pack() returned. */
  readonly concerns: Readonly<Record<string, unknown>>;
}

/** A PackedSession whose shape was checked, except for the concerns, which check their own. */
export interface Unpacked {
  readonly client: Omit<PackedClient, 'secret'> & { readonly secret: Buffer };
  readonly unread: Buffer;
  readonly startPreferences: Preferences;
  readonly state: SessionState;
  readonly concerns: Readonly<Record<string, unknown>>;
}

/** Does not change the session. It must be at rest. */
export function packSession(session: ClientRecord & { readonly requestAtMs: number }, unread: Buffer): PackedSession {
  const { identity, database, services } = session;
  const epochMs = Date.now() - services.nowMs();
  const { id, secret, user, remoteAddress, remotePort } = identity;
  return {
    version: packedVersion,
    client: {
      ...{ id, secret, user, remoteAddress, remotePort, database: database.name },
      connectedAtMs: epochMs + identity.connectedAtMs,
      activeAtMs: epochMs + session.requestAtMs,
      lastRoute: session.lastRoute,
    },
    unread,
    startPreferences: packPreferences(session.startPreferences),
    state: session.state.pack(),
    concerns: session.moments.pack(),
  };
}

/** @throws ShapeError */
export function unpackSession(packed: unknown): Unpacked {
  checkVersion(packed);
  const fields = new Fields('the packed session', packed, [
    ...['version', 'client', 'unread', 'startPreferences', 'state', 'concerns'],
  ]);
  const concerns = fields.value('concerns');
  if (typeof concerns !== 'object' || concerns === null) throw new ShapeError('the packed session has no concerns');
  return {
    client: clientIn(fields.value('client')),
    unread: fields.bytes('unread'),
    startPreferences: preferencesIn('the start preferences', fields.value('startPreferences')),
    state: SessionState.unpack(fields.value('state')),
    concerns: concerns as Readonly<Record<string, unknown>>,
  };
}

function checkVersion(packed: unknown): void {
  const version = (packed as { version?: unknown } | null | undefined)?.version;
  if (typeof version === 'number' && Number.isInteger(version) && version >= 1 && version <= packedVersion) return;
  throw new ShapeError(
    `the session was packed by version ${String(version)}, and ${packedVersion} is the newest known`,
  );
}

function clientIn(value: unknown): Unpacked['client'] {
  const fields = new Fields('the client', value, [
    ...['id', 'secret', 'user', 'database', 'remoteAddress', 'remotePort', 'connectedAtMs', 'activeAtMs', 'lastRoute'],
  ]);
  return {
    id: fields.number('id'),
    secret: fields.bytes('secret'),
    user: fields.text('user'),
    database: fields.text('database'),
    remoteAddress: fields.text('remoteAddress'),
    remotePort: fields.number('remotePort'),
    connectedAtMs: fields.number('connectedAtMs'),
    activeAtMs: fields.number('activeAtMs'),
    lastRoute: fields.text('lastRoute'),
  };
}
