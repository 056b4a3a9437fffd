/**
 * The log-in of one client, from its first byte to AuthenticationOk: logIn() has the steps in the order of PostgreSQL's
 * start-up (manual, "Message Flow"). Any error ends this connection with a FATAL and a log line, and affects no other.
 * Called by frontend/client-acceptor.ts; session/ serves the client after it.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Authenticator } from '../auth/authenticator.ts';
import { endPointHash } from '../auth/channel-binding.ts';
import type { Exchange } from '../auth/types.ts';
import { WeirError } from '../errors/errors.ts';
import { MessageReader, ReadError } from '../net/message-reader.ts';
import type { ClientTlsContext } from '../net/tls.ts';
import { Frontend, describeType, maxAuthMessageLength } from '../protocol/codes.ts';
import { ProtocolError } from '../protocol/read.ts';
import { authenticationOk } from '../protocol/write.ts';
import { certificateOf } from './certificate.ts';
import { processCancel } from './cancel-request.ts';
import type { Named } from './connection-log.ts';
import { closeAfter, fatal, fatalOfOldProtocol, noMessage } from './close-connection.ts';
import { GivenAwayError, type FreshConnections } from './fresh-connections.ts';
import { addressOf, localAddress, type Logins } from './logins.ts';
import { reasons } from './refusal-reasons.ts';
import type { Layer, Startup } from './startup.ts';
import { OldProtocolError, OtherProtocolError, readFirstPacket, terminated } from './startup.ts';
import type { AcceptorOptions, ClientSlots } from './types.ts';
import { Unsent } from './unsent.ts';
import { ClientSlot } from './client-slot.ts';
import { waitForMemory } from './wait-for-memory.ts';
import { waitForResume } from './wait-for-resume.ts';

/** What a log-in needs from frontend/client-acceptor.ts. */
export interface LoginContext {
  readonly options: AcceptorOptions;
  readonly authenticator: Authenticator;
  readonly tls: ClientTlsContext | undefined;
  readonly loginTimeoutMs: number;
  /** The clients that have not authenticated yet. */
  readonly logins: Logins;
  /** The readers of all log-ins. Failing a reader ends its log-in. */
  readonly readers: Set<MessageReader>;
  readonly fresh: FreshConnections;
  /**
   * Starts the TLS handshake, after which a new log-in begins with the TLSSocket.
   * @param leftover bytes that were read from the socket
   */
  startTls(socket: Socket, isDirect: boolean, leftover: Buffer): void;
  /** Counts clients up to max_client_conn; and a few console clients above it. */
  readonly clientSlots: ClientSlots;
  readonly consoleSlots: ClientSlots;
}

/** Thrown to end a log-in: `error` is for the client, `why` for the log. */
class Refusal extends Error {
  readonly error: WeirError;

  constructor(error: WeirError, why: string) {
    super(why);
    this.name = 'Refusal';
    this.error = error;
  }
}

/** Both directions of a connection during its log-in. */
interface Conversation {
  readonly reader: MessageReader;
  readonly unsent: Unsent;
}

/**
 * Runs a log-in; never rejects.
 * @param layer after a TLS handshake, log-in begins again with layer 'tls' or 'direct-tls' and a TLSSocket
 */
export async function logIn(socket: Socket | TLSSocket, layer: Layer, context: LoginContext): Promise<void> {
  const reader = new MessageReader(socket, context.loginTimeoutMs);
  const slot = new ClientSlot(socket);
  const unsent = new Unsent(socket);
  const entry = context.logins.enter(addressOf(socket), () => reader.fail(new WeirError('too_many_logins')));
  let who: Named = { hasTls: socket instanceof TLSSocket, isLocal: layer === 'local' };
  context.readers.add(reader);
  context.fresh.add(reader, socket, layer);
  try {
    const negotiable = { canTls: context.tls !== undefined, layer };
    const say = (byte: 'S' | 'N'): void => {
      context.fresh.delete(reader);
      socket.write(byte);
    };
    const packet = await readFirstPacket(reader, say, negotiable);
    context.fresh.delete(reader);
    if (packet.kind === 'tls') {
      context.startTls(socket, packet.isDirect, reader.detach());
    } else if (packet.kind === 'cancel') {
      await processCancel(socket, packet, context.options);
      reader.detach();
      // Not destroyed: libpq reports an error if a TLS connection ends without a close_notify alert.
      closeAfter(socket, noMessage);
    } else {
      who = { ...who, user: packet.startup.user, database: packet.startup.database };
      context.options.connections?.attempt(socket, who);
      const isConsole = checkBeforeAuthentication(packet.startup, socket, layer, context);
      if (!isConsole && context.options.suspension?.isOn === true) await waitForResume(reader, context.options);
      await authenticate(packet.startup, isConsole, socket, layer, { reader, unsent }, context);
      if (!isConsole && context.options.memory?.isOpen === false) await waitForMemory(reader, context);
      await takeSlot(packet.startup, isConsole, layer, slot, context);
      passToSession(packet.startup, isConsole, socket, layer, { reader, unsent }, context);
    }
  } catch (error) {
    if (error instanceof GivenAwayError) return;
    reader.detach();
    slot.leave();
    unsent.send();
    refuse(socket, error, who, context);
  } finally {
    context.readers.delete(reader);
    context.fresh.delete(reader);
    entry.leave();
  }
}

/**
 * Checks, before authentication, whether the client may try to log in.
 * @returns whether the database is the admin console
 */
function checkBeforeAuthentication(startup: Startup, socket: Socket, layer: Layer, context: LoginContext): boolean {
  const { options } = context;
  if (socket.destroyed) throw new ReadError('closed', 'the client went away');
  if (startup.negotiation !== undefined) socket.write(startup.negotiation);
  if (startup.user === '') throw new WeirError('no_startup_user');
  // No TLS over Unix sockets, as in PostgreSQL.
  const mayBePlain = layer === 'local';
  if (context.tls?.isRequired === true && !mayBePlain && !(socket instanceof TLSSocket))
    throw new WeirError('tls_required');
  if (context.tls?.isCertificateRequired === true && !mayBePlain && !(socket as TLSSocket).authorized) {
    const why = `client certificate: ${String((socket as TLSSocket).authorizationError)}`;
    const detail = 'The client sent no certificate that the authority in tls.client.ca has signed.';
    throw new Refusal(new WeirError('certificate_failed', { user: startup.user }, detail), why);
  }
  const isConsole = options.findDatabase(startup.database, startup.user) === 'console';
  const mayUseConsole = isConsole && options.consoleUserAllowed(startup.user, layer === 'local');
  if (options.isDraining() && !mayUseConsole) throw new WeirError('shutting_down');
  // Checked before authentication, to save the work, and again after it.
  if (context.clientSlots.isFull() && !(mayUseConsole && !context.consoleSlots.isFull()))
    throw new WeirError('too_many_clients', { limit: options.maxClientConn() });
  // Before authentication, so that there are not more guesses of passwords than that. Operators always come in.
  const address = layer === 'local' ? undefined : addressOf(socket);
  const overLimit = mayUseConsole ? undefined : options.overLimit?.(startup.user, startup.database, address);
  if (overLimit !== undefined) throw overLimit;
  return isConsole;
}

/** Counts the client under max_client_conn, and those of its user and database. Only authenticated clients are counted. */
async function takeSlot(
  startup: Startup,
  isConsole: boolean,
  layer: Layer,
  slot: ClientSlot,
  context: LoginContext,
): Promise<void> {
  const { user, database } = startup;
  const mayUseConsole = isConsole && context.options.consoleUserAllowed(user, layer === 'local');
  const isNobody = isConsole && context.options.isConsoleAdmin(user);
  const entry = await slot.tryTake(context.clientSlots, isNobody ? undefined : { user, database });
  if (entry === true) return;
  if (mayUseConsole && entry === false && (await slot.tryTake(context.consoleSlots, undefined)) === true) return;
  if (entry === 'max_user_client_connections') throw new WeirError('too_many_clients_of_user');
  if (entry === 'max_db_client_connections') throw new WeirError('too_many_clients_of_database');
  throw new WeirError('too_many_clients', { limit: context.options.maxClientConn() });
}

/** The hash of the server certificate of this connection; a reload may have changed the certificate since. */
function ownEndPoint(socket: Socket | TLSSocket): Buffer | undefined {
  const shown = socket instanceof TLSSocket ? socket.getX509Certificate() : undefined;
  return shown === undefined ? undefined : endPointHash(shown.raw);
}

async function authenticate(
  startup: Startup,
  isConsole: boolean,
  socket: Socket,
  layer: Layer,
  { reader, unsent }: Conversation,
  context: LoginContext,
): Promise<void> {
  const exchange: Exchange = {
    user: startup.user,
    database: isConsole ? undefined : startup.database,
    databaseNames: isConsole ? context.options.consoleNames : [startup.database],
    replication: startup.replication,
    hasTls: socket instanceof TLSSocket,
    remoteAddress: layer === 'local' ? undefined : addressOf(socket),
    certificate: certificateOf(socket),
    channelBinding: () => ownEndPoint(socket),
    send: (frame) => unsent.say(frame),
    receive: async () => {
      unsent.send();
      const { type, body } = await reader.next(maxAuthMessageLength);
      if (type === Frontend.Terminate) throw terminated();
      if (type !== Frontend.Password) throw new ProtocolError(`expected a password, got ${describeType(type)}`);
      return body;
    },
  };
  if (isConsole && layer === 'local' && context.options.isOwnConsoleUser?.(startup.user) === true) return;
  const outcome = await context.authenticator.authenticate(exchange);
  if (!outcome.isOk) throw new Refusal(outcome.error, outcome.why);
}

function passToSession(
  startup: Startup,
  isConsole: boolean,
  socket: Socket,
  layer: Layer,
  { reader, unsent }: Conversation,
  context: LoginContext,
): void {
  const { user, database, parameters, replication } = startup;
  const { options } = context;
  if (isConsole && replication !== undefined) {
    throw new WeirError('not_supported', { what: 'a replication connection to the admin console' });
  }
  // Only after authentication, so that clients cannot find out which databases there are.
  if (isConsole && !options.consoleUserAllowed(user, layer === 'local'))
    throw new WeirError('not_console_user', { user });
  const found = options.findDatabase(database, user);
  // Physical replication has no database, so its name need not exist.
  if (found === 'unknown' && replication !== 'physical') throw new WeirError('no_such_database', { database });
  if (found === 'disabled') throw new WeirError('database_disabled', { database });
  if (socket.destroyed || socket.readableEnded) throw new ReadError('closed', 'the client went away');
  unsent.say(authenticationOk);
  options.onClient({
    socket,
    unsent,
    leftover: reader.detach(),
    user,
    database,
    isConsole,
    parameters,
    replication,
    protocolMinor: startup.minor,
    hasTls: socket instanceof TLSSocket,
    remoteAddress: layer === 'local' ? localAddress : addressOf(socket),
    remotePort: socket.remotePort ?? 0,
  });
  unsent.sendSoon();
}

/** The error that the client gets for an exception that ended its log-in. */
function toWeirError(error: unknown, loginTimeoutMs: number): WeirError {
  if (error instanceof WeirError) return error;
  if (error instanceof Refusal) return error.error;
  if (error instanceof ProtocolError) return new WeirError('protocol_violation', { what: error.message });
  if (error instanceof ReadError) return new WeirError('login_timeout', { seconds: loginTimeoutMs / 1000 });
  return new WeirError('internal_error', { what: 'log-in' });
}

function refuse(socket: Socket, error: unknown, who: Named, context: LoginContext): void {
  const { options } = context;
  const from = { user: who.user, client: `${addressOf(socket)}:${socket.remotePort ?? 0}` };
  if (error instanceof ReadError && error.reason === 'closed') {
    options.log('debug', 'login_abandoned', `the client went away while it logged in: ${error.message}`, from);
    socket.destroy();
    return;
  }
  const answer = toWeirError(error, context.loginTimeoutMs);
  const why = error instanceof Error && error.message !== answer.message ? error.message : undefined;
  const isUnexpected = answer.errorName === 'internal_error';
  const fields = {
    ...from,
    sqlstate: answer.sqlstate,
    why,
    ...(isUnexpected ? { stack: (error as Error).stack } : {}),
  };
  options.log(answer.level, 'login_refused', answer.message, fields);
  options.connections?.refused(socket, answer, who);
  const reason = reasons[answer.errorName];
  if (reason !== undefined) options.onRefused(reason);
  const canReadText = !(error instanceof OtherProtocolError) || error.canReadText;
  if (!canReadText) closeAfter(socket, undefined);
  else if (error instanceof OldProtocolError) closeAfter(socket, fatalOfOldProtocol(answer));
  else closeAfter(socket, fatal(options.wordsFor?.(answer) ?? answer));
}
