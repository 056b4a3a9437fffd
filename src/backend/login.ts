/**
 * Logs in to one PostgreSQL: connect, TLS, StartupMessage, authentication, up to the first ReadyForQuery. The server is
 * not trusted: everything it sends has a bound, and all of it one deadline. Does not retry; the pool decides that.
 * Called by pool/; what it returns becomes a ServerConnection.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { endPointHash } from '../auth/channel-binding.ts';
import type { KeyDeriver } from '../auth/keys.ts';
import { OverloadedError, createKeyDeriver } from '../auth/keys.ts';
import type { ScramKeys } from '../auth/scram.ts';
import type { NodeConfig, TlsSide } from '../config/config.ts';
import { MessageReader, ReadError } from '../net/message-reader.ts';
import { Backend, TxStatus, describeType, maxAuthMessageLength } from '../protocol/codes.ts';
import { ProtocolError, readErrorFields, readPair } from '../protocol/read.ts';
import { frame, startupMessage } from '../protocol/write.ts';
import { CannotAnswer, ServerAuthentication } from './authenticate.ts';
import { TlsUnavailable, openSocket, tlsWishes } from './connect.ts';
import { createDeadline } from './deadline.ts';
import { ServerLoginError, authError, transportError } from './login-error.ts';

export { ServerLoginError } from './login-error.ts';

export interface ConnectOptions {
  readonly node: NodeConfig;
  readonly database: string;
  readonly user: string;
  /** Also an md5 hash ("md5" and 32 hex digits), good for servers that ask for md5. */
  readonly password: string | undefined;
  readonly tls: TlsSide;
  /** For all of it. */
  readonly timeoutMs: number;
  /** Further startup parameters. */
  readonly parameters?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Proven by the client (auth/types.ts onScramKeys): for servers that store the same SCRAM verifier. */
  readonly scramKeys?: ScramKeys;
  /** Shared by all log-ins, so that a password is derived once and not for every connection. */
  readonly keys?: KeyDeriver;
}

/** A connection that is ready for queries. */
export interface ServerLink {
  /** Paused; see LoggedInClient. */
  readonly socket: Socket | TLSSocket;
  /** Bytes behind ReadyForQuery; as a rule none. */
  readonly leftover: Buffer;
  /** ParameterStatus. */
  readonly parameters: Map<string, string>;
  /** NoticeResponse of the log-in (an event trigger's, a warning about collations), as they came. */
  readonly notices: readonly Buffer[];
  readonly processId: number;
  /** 4 bytes in protocol 3.0, up to 256. */
  readonly secretKey: Buffer;
  readonly hasTls: boolean;
}

/** PostgreSQL sends about twenty before the first ReadyForQuery. */
const maxLoginMessages = 1_000;
const maxCancelKeyBytes = 256;
/** Of what a server remarks during log-in; the rest is left out. */
const maxNoticeBytes = 16 * 1024;

/** Rejects with ServerLoginError, whatever went wrong. */
export async function connectServer(options: ConnectOptions): Promise<ServerLink> {
  const { node, tls } = options;
  const deadline = createDeadline(options.timeoutMs, options.signal, (message) => transportError(node, message));
  let failure: unknown;
  try {
    for (const wish of tlsWishes(tls)) {
      let hasTls = false;
      try {
        const socket = await openSocket({ node, tls, wish, signal: deadline.signal });
        hasTls = socket instanceof TLSSocket;
        return await logIn(socket, options, deadline.signal);
      } catch (error) {
        // "No TLS there" must not hide why the first way was refused.
        if (!(error instanceof TlsUnavailable) || failure === undefined) failure = error;
        const isRefusedThisWay = isRejectedByHba(error) && hasTls === (wish === 'if-offered');
        if (!(error instanceof TlsUnavailable) && !isRefusedThisWay) break;
      }
    }
    throw toLoginError(node, failure);
  } finally {
    deadline.clear();
  }
}

/** pg_hba.conf may have another mind about connections with (or without) TLS. */
const isRejectedByHba = (error: unknown): boolean =>
  error instanceof ServerLoginError && !error.isTransport && error.sqlstate === '28000';

function toLoginError(node: NodeConfig, error: unknown): ServerLoginError {
  if (error instanceof ServerLoginError) return error;
  if (error instanceof CannotAnswer) return authError(node, error.message);
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof ReadError) return transportError(node, `log-in was cut short: ${message}`, error);
  if (error instanceof OverloadedError) return transportError(node, `too many log-ins at once: ${message}`, error);
  if (error instanceof ProtocolError) {
    const problem = { sqlstate: '08P01', severity: 'FATAL', message: `not the PostgreSQL protocol: ${message}` };
    return new ServerLoginError(node, problem, { isTransport: true, cause: error });
  }
  return transportError(node, message, error);
}

/** Channel binding as libpq's channel_binding=prefer has it: with TLS, whenever the server's certificate allows it. */
function peerEndPoint(socket: Socket | TLSSocket): Buffer | undefined {
  const shown = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  return shown === undefined ? undefined : endPointHash(shown.raw);
}

/** The conversation; the socket is destroyed if it fails. */
async function logIn(socket: Socket | TLSSocket, options: ConnectOptions, signal: AbortSignal): Promise<ServerLink> {
  const { user, database, password, parameters, scramKeys } = options;
  const reader = new MessageReader(socket, undefined);
  const onAbort = (): void => reader.fail(signal.reason as Error);
  signal.addEventListener('abort', onAbort);
  try {
    if (signal.aborted) throw signal.reason;
    const keys = options.keys ?? createKeyDeriver();
    const authentication = new ServerAuthentication({
      user,
      password,
      scramKeys,
      keys,
      channelBinding: peerEndPoint(socket),
    });
    const conversation = new Conversation(options, authentication);
    socket.write(startupMessage({ ...parameters, user, database }));
    for (let count = 0; !conversation.isReady; count++) {
      if (count === maxLoginMessages) throw new ProtocolError(`more than ${maxLoginMessages} messages during log-in`);
      const { type, body } = await reader.next(maxAuthMessageLength);
      const answer = await conversation.handle(type, body);
      if (answer !== undefined) socket.write(answer);
    }
    const { reported, notices, processId, secretKey } = conversation;
    const hasTls = socket instanceof TLSSocket;
    return { socket, leftover: reader.detach(), parameters: reported, notices, processId, secretKey, hasTls };
  } catch (error) {
    reader.detach();
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** What a server says between StartupMessage and ReadyForQuery, in the only order in which it may. */
class Conversation {
  readonly reported = new Map<string, string>();
  readonly notices: Buffer[] = [];
  private noticeBytes = 0;
  processId = 0;
  secretKey: Buffer = Buffer.alloc(0);
  isReady = false;
  private readonly options: ConnectOptions;
  private readonly authentication: ServerAuthentication;

  constructor(options: ConnectOptions, authentication: ServerAuthentication) {
    this.options = options;
    this.authentication = authentication;
  }

  /** What to answer, if anything. */
  async handle(type: number, body: Buffer): Promise<Buffer | undefined> {
    if (type === Backend.ErrorResponse) throw this.toError(body);
    if (type === Backend.NoticeResponse) {
      this.noteNotice(body);
      return undefined;
    }
    if (this.authentication.isAccepted) {
      this.handleAfterAuthentication(type, body);
      return undefined;
    }
    if (type === Backend.Authentication) return this.authentication.answer(body);
    // 3.0 was asked for and no option: there is nothing to give up. 3.2 is not asked for, as by libpq: servers and
    // other poolers that are older than negotiation would refuse it, for nothing but longer cancel keys.
    if (type === Backend.NegotiateProtocolVersion) return undefined;
    throw new ProtocolError(`message ${describeType(type)} before authentication`);
  }

  private noteNotice(body: Buffer): void {
    // Whoever is told of it later relies on its form.
    readErrorFields(body, 0, body.length);
    this.noticeBytes += body.length;
    if (this.noticeBytes <= maxNoticeBytes) this.notices.push(frame(Backend.NoticeResponse, body));
  }

  private handleAfterAuthentication(type: number, body: Buffer): void {
    switch (type) {
      case Backend.ParameterStatus: {
        const [name, value] = readPair(body, 0, body.length);
        this.reported.set(name, value);
        return;
      }
      case Backend.BackendKeyData:
        if (body.length < 5 || body.length > 4 + maxCancelKeyBytes)
          throw new ProtocolError('a cancel key of odd length');
        this.processId = body.readInt32BE(0);
        this.secretKey = Buffer.from(body.subarray(4));
        return;
      case Backend.ReadyForQuery:
        if (body.length !== 1 || body[0] !== TxStatus.Idle) throw new ProtocolError('not idle after log-in');
        this.isReady = true;
        return;
      default:
        throw new ProtocolError(`message ${describeType(type)} during log-in`);
    }
  }

  private toError(body: Buffer): ServerLoginError {
    const fields = readErrorFields(body, 0, body.length);
    return new ServerLoginError(this.options.node, {
      sqlstate: fields.get('C') ?? 'XX000',
      severity: fields.get('V') ?? fields.get('S') ?? 'FATAL',
      message: fields.get('M') ?? 'the server refused without a word',
      detail: fields.get('D'),
      hint: fields.get('H'),
    });
  }
}
