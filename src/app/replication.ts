/**
 * Opens replication connections: chooses a server, reserves a connection there, and logs in with the client's own startup
 * parameters. Works in every pool mode, as in PgBouncer, since no pool is used. session/replication.ts relays afterwards.
 */
import { ServerLoginError } from '../backend/login.ts';
import type { ServerLink } from '../backend/login.ts';
import { WeirError } from '../errors/errors.ts';
import type { LoggedInClient } from '../frontend/listener.ts';
import type { ReplicationKind } from '../auth/types.ts';
import type { NodeConfig } from '../config/config.ts';
import type { Services } from '../session/context.ts';
import { Preferences } from '../session/preferences.ts';
import { ReplicationSession } from '../session/replication.ts';
import { parseOptions } from '../session/startup.ts';
import { statusesOf } from '../session/learned.ts';
import { greeting } from '../session/welcome.ts';
import type { NodeState, Topology, TopologySnapshot } from '../topology/types.ts';
import { identityOf, type Clients, type Key } from './clients.ts';
import type { DatabaseRuntime } from './database.ts';
import type { Directory } from './directory.ts';
import { countInUsage } from './while-open.ts';

export interface ReplicationParts {
  readonly directory: Directory;
  readonly clients: Clients;
  readonly services: Services;
  nextServerId(): number;
}

/** The error of the server, which is sent to the client unchanged. */
export class RefusedByServer extends Error {
  readonly error: ServerLoginError;

  constructor(error: ServerLoginError) {
    super(error.message);
    this.name = 'RefusedByServer';
    this.error = error;
  }
}

/** Rejects with WeirError or RefusedByServer, and then leaves no connection open. */
export async function openReplication(
  client: LoggedInClient,
  kind: ReplicationKind,
  key: Key,
  parts: ReplicationParts,
): Promise<void> {
  const { socket } = client;
  const database = findDatabase(client.database, kind, parts.directory);
  countInUsage(socket, database);
  const { preferences, parameters } = readParameters(client.parameters);
  const node = await findNode(database, preferences, parts.services);
  if (socket.destroyed) return;
  const user = node.config.user ?? client.user;
  const place = await database.takePlace(node.config, user);
  if (place === undefined) throw new WeirError('replication_full', { node: node.name });
  if (socket.destroyed) return place.release(true);
  const wanted = { ...parameters, replication: kind === 'physical' ? 'true' : 'database' };
  const link = await logIn(database, node, user, wanted).catch((error: unknown) => {
    place.release(true);
    throw error;
  });
  place.opened(link.processId);
  // The connection counts against the limit until it is closed.
  link.socket.once('close', () => place.release(link.socket.readableEnded));
  if (socket.destroyed) return void link.socket.destroy();
  seat(client, kind, key, { parts, database, node, user, link });
}

interface Opened {
  readonly parts: ReplicationParts;
  readonly database: DatabaseRuntime;
  readonly node: NodeState;
  readonly user: string;
  readonly link: ServerLink;
}

function seat(client: LoggedInClient, kind: ReplicationKind, key: Key, opened: Opened): void {
  const { parts, database, node, user, link } = opened;
  const { clients, services } = parts;
  const server = { id: parts.nextServerId(), node: node.config, user, link };
  const about = { client: key.id, database: database.name, node: node.name, server: server.id };
  const session = new ReplicationSession(client.socket, {
    identity: identityOf(client, key, services.nowMs()),
    kind,
    database: database.name,
    applicationName: client.parameters.get('application_name') ?? '',
    server,
    turn: services.turn,
    nowMs: services.nowMs,
    cancel: () => database.logins.cancel({ node: node.config, processId: link.processId, secretKey: link.secretKey }),
    whyGone: () => whyGone(database.topology, node.config, link.processId),
    onClosed: (closed, why) => {
      database.stats.receivedBytes += closed.receivedBytes;
      database.stats.sentBytes += closed.sentBytes;
      clients.leave(key);
      services.log('info', 'replication_ended', `a replication connection to ${node.name} has ended: ${why}`, about);
    },
  });
  clients.seat(key.id, { replication: session });
  database.stats.replications++;
  database.stats.logins++;
  services.log('info', 'replication_begun', `a ${kind} replication connection to ${node.name}`, about);
  const hello = greeting(statusesOf(link.parameters), key.id, key.secret, link.notices);
  session.start(Buffer.concat([client.unsent.take(), hello]), client.leftover);
}

/** Asks the node's monitor whether the node answers and the server process still exists. */
async function whyGone(topology: Topology, { name }: NodeConfig, processId: number): Promise<string | undefined> {
  const node = topology.snapshot().nodes.find((each) => each.name === name);
  if (node === undefined) return 'its node is not configured any more';
  // Every role may read the pids in this view.
  const sql = 'SELECT 1 FROM pg_catalog.pg_stat_activity WHERE pid = $1';
  const rows = await topology.ask(name, sql, [processId]).catch(() => undefined);
  if (rows !== undefined) return rows.length === 0 ? `its process on ${name} is gone` : undefined;
  return node.isUp ? undefined : `${name} is down: ${node.problem ?? node.role}`;
}

function findDatabase(name: string, kind: ReplicationKind, directory: Directory): DatabaseRuntime {
  const database = kind === 'physical' ? directory.ofServer(name) : directory.find(name);
  if (database === undefined) {
    throw new WeirError(kind === 'physical' ? 'replication_where' : 'no_such_database', { database: name });
  }
  if (database.isDisabled) throw new WeirError('database_disabled', { database: database.name });
  return database;
}

/** Separates Weir's own parameters from those that go to the server unchanged. */
function readParameters(given: ReadonlyMap<string, string>): {
  preferences: Preferences;
  parameters: Record<string, string>;
} {
  let preferences = Preferences.none;
  const isOurs = (name: string, value: string): boolean => {
    if (name === 'target_session_attrs') preferences = preferences.withTarget(value);
    else if (name.startsWith('weir.')) preferences = preferences.with(name, value);
    else return false;
    return true;
  };
  const rest = [...given].filter(([name, value]) => !isOurs(name.toLowerCase(), value));
  const parameters = Object.fromEntries(rest);
  const { options } = parameters;
  if (options !== undefined && /weir\.|target_session_attrs/i.test(options)) {
    const kept = parseOptions(options).filter(([name, value]) => !isOurs(name, value));
    parameters['options'] = kept
      .map(([name, value]) => `-c ${`${name}=${value}`.replace(/[\s\\]/g, '\\$&')}`)
      .join(' ');
  }
  return { preferences, parameters };
}

/** The primary, unless the client says weir.route=replica. */
function choose({ primary, replicas }: TopologySnapshot, { route }: Preferences): NodeState | undefined {
  if (route === 'replica') return replicas.find((node) => node.isUp && !node.isDraining);
  return primary?.isUp === true ? primary : undefined;
}

/** Why no node was found, in words. Evaluated at the end of the wait, because the reason may have changed meanwhile. */
function whyNone(database: DatabaseRuntime): string {
  if (database.paused) return 'PAUSE by an operator; it goes on with RESUME on the admin console';
  const { nodes } = database.topology.snapshot();
  return nodes.map((each) => `${each.name}: ${each.problem ?? each.role}`).join('; ');
}

function findNode(database: DatabaseRuntime, preferences: Preferences, services: Services): Promise<NodeState> {
  const deadlineMs = services.nowMs() + database.settings().queryWaitTimeoutMs;
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const snapshot = database.topology.snapshot();
      const node = database.paused ? undefined : choose(snapshot, preferences);
      if (node !== undefined) return resolve(node);
      const expired = (): void => reject(new WeirError('no_node', { database: database.name, why: whyNone(database) }));
      database.park({ deadlineMs, retry: look, expired });
    };
    look();
  });
}

async function logIn(
  database: DatabaseRuntime,
  node: NodeState,
  user: string,
  parameters: Readonly<Record<string, string>>,
): Promise<ServerLink> {
  try {
    return await database.logins.link(node.config, user, parameters);
  } catch (error) {
    if (!(error instanceof ServerLoginError)) throw error;
    database.logins.noteFailure(node.config, error);
    if (!error.isTransport) throw new RefusedByServer(error);
    throw new WeirError('server_login_failed', { node: node.name, why: error.message });
  }
}
