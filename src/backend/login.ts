/**
 * Logs in to PostgreSQL: connect, TLS, StartupMessage, authentication, up to the first ReadyForQuery. Bounds the size and the
 * number of the server's messages, and the time for all of it. Does not try again: pool/logins.ts does. Called by
 * app/server-logins.ts, which makes a ServerConnection of the result, and by app/auth-query.ts.
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
import { TlsUnavailable, openSocket, tlsAttempts } from './connect.ts';
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
  /** For the whole log-in. */
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
  /** Paused. */
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
/** NoticeResponse messages of one log-in that do not fit in are dropped. */
const maxNoticeBytes = 16 * 1024;

/** Rejects with ServerLoginError, whatever went wrong. */
export async function connectServer(options: ConnectOptions): Promise<ServerLink> {
  const { node, tls } = options;
  const deadline = createDeadline(options.timeoutMs, options.signal, (message) => transportError(node, message));
  let failure: unknown;
  try {
    for (const attempt of tlsAttempts(tls)) {
      let hasTls = false;
      try {
        const socket = await openSocket({ node, tls, attempt, signal: deadline.signal });
        hasTls = socket instanceof TLSSocket;
        return await logIn(socket, options, deadline.signal);
      } catch (error) {
        // If the second way only fails because there is no TLS, the error of the first way says more.
        if (!(error instanceof TlsUnavailable) || failure === undefined) failure = error;
        const isRefusedThisWay = isRejectedByHba(error) && hasTls === (attempt === 'if-offered');
        if (!(error instanceof TlsUnavailable) && !isRefusedThisWay) break;
      }
    }
    throw toLoginError(node, failure);
  } finally {
    deadline.clear();
  }
}

/** pg_hba.conf may accept with TLS (hostssl) what it rejects without, or the other way round (hostnossl). */
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

/** Exchanges the messages of the log-in. If it fails, the socket is destroyed. */
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
    const messages = new LoginMessages(options, authentication);
    socket.write(startupMessage({ ...parameters, user, database }));
    for (let count = 0; !messages.isReady; count++) {
      if (count === maxLoginMessages) throw new ProtocolError(`more than ${maxLoginMessages} messages during log-in`);
      const { type, body } = await reader.next(maxAuthMessageLength);
      const answer = await messages.handle(type, body);
      if (answer !== undefined) socket.write(answer);
    }
    const { reported, notices, processId, secretKey } = messages;
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

/** The server's messages between StartupMessage and ReadyForQuery. In another order they are an error. */
class LoginMessages {
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

  /** Returns the message to answer with; undefined: none. */
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
    // Weir asks for protocol 3.0 and for no option, so there is nothing to negotiate. Like libpq, it does not ask for 3.2:
    // old servers and poolers that cannot negotiate would refuse it, and all that it adds are longer cancel keys.
    if (type === Backend.NegotiateProtocolVersion) return undefined;
    throw new ProtocolError(`message ${describeType(type)} before authentication`);
  }

  private noteNotice(body: Buffer): void {
    // Throws if it is malformed: those who read it later do not check.
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
