/**
 * The first packets of a connection: SSLRequest (or direct TLS), GSSENCRequest, CancelRequest, StartupMessage. Answers
 * S or N to a request for encryption, and returns what comes next. Knows nothing of users, databases or limits. Called
 * by frontend/login.ts. Source: PostgreSQL manual, "Message Flow", Start-up, SSL and GSSAPI Session Encryption.
 */
import type { ReplicationKind } from '../auth/types.ts';
import { ReadError, type MessageReader } from '../net/message-reader.ts';
import { Request, newestMinor } from '../protocol/codes.ts';
import { ProtocolError, readStartupParameters } from '../protocol/read.ts';
import { negotiateProtocolVersion, terminate } from '../protocol/write.ts';
import { WeirError } from '../errors/errors.ts';

export interface Startup {
  readonly user: string;
  readonly database: string;
  readonly parameters: Map<string, string>;
  /** undefined: an ordinary connection. */
  readonly replication: ReplicationKind | undefined;
  /** The minor version of protocol 3 that both sides speak. */
  readonly minor: number;
  /** NegotiateProtocolVersion, if the client requested a newer version or `_pq_.` options, of which Weir knows none. */
  readonly negotiation: Buffer | undefined;
}

export type FirstPacket =
  /** A TLS handshake comes next: S was sent, or the client began with it (sslnegotiation=direct). */
  | { readonly kind: 'tls'; readonly isDirect: boolean }
  | { readonly kind: 'cancel'; readonly processId: number; readonly secret: Buffer }
  | { readonly kind: 'startup'; readonly startup: Startup };

const maxCancelKeyBytes = 256;
/** Length of the length field of a startup packet. The first bytes of a Terminate are too large a length. */
const lengthBytes = 4;
const mayBeAttack = 'This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.';
const falseWords = /^(0|f|fa|fal|fals|false|n|no|of|off)$/i;
const trueWords = /^(1|t|tr|tru|true|y|ye|yes|on)$/i;

/** The client speaks another protocol, such as HTTP. */
export class OtherProtocolError extends ProtocolError {
  /** False: the client cannot show an ErrorResponse, not even as text. */
  readonly canReadText: boolean;

  constructor(what: string, canReadText: boolean) {
    super(what);
    this.name = 'OtherProtocolError';
    this.canReadText = canReadText;
  }
}

/** Recognizes another protocol, or a Terminate, by the first bytes. */
function recognizeOtherProtocol(bytes: Buffer): OtherProtocolError | ReadError | undefined {
  const begin = bytes.subarray(0, terminate.length);
  if (begin.length >= lengthBytes && begin.equals(terminate.subarray(0, begin.length))) return terminated();
  if (bytes[0] === 0x16 && bytes[1] === 0x03) {
    return new OtherProtocolError(
      'TLS where it cannot be: not offered (tls.client), or not as the first thing said',
      false,
    );
  }
  const text = bytes.toString('latin1');
  if (/^(GET|PUT|HEAD|POST|PRI|PATCH|TRACE|DELETE|OPTIONS|CONNECT) /.test(text)) {
    return new OtherProtocolError('an HTTP request on the port for PostgreSQL clients (see the setting "http")', true);
  }
  return text.startsWith('SSH-') ? new OtherProtocolError('SSH on the port for PostgreSQL clients', true) : undefined;
}

/** A Terminate during log-in counts as a closed connection. */
export function terminated(): ReadError {
  return new ReadError('closed', 'it said Terminate');
}

/** The client speaks protocol 1 or 2, which have another format for errors. */
export class OldProtocolError extends WeirError {}

function readCancel(body: Buffer): FirstPacket {
  if (body.length < 5 || body.length > 4 + maxCancelKeyBytes) {
    throw new ProtocolError(`a cancel request of ${body.length} bytes`);
  }
  return { kind: 'cancel', processId: body.readInt32BE(0), secret: Buffer.from(body.subarray(4)) };
}

/** Reads the value as PostgreSQL does: "database", or a boolean, which may be abbreviated. */
function readReplication(value: string | undefined): ReplicationKind | undefined {
  if (value === undefined || falseWords.test(value)) return undefined;
  if (value === 'database') return 'logical';
  if (trueWords.test(value)) return 'physical';
  throw new WeirError('invalid_replication', { value });
}

/**
 * Reads a StartupMessage of protocol 3.x.
 * @param code the protocol version
 * @throws ProtocolError, or WeirError unsupported_protocol or invalid_replication
 */
export function readStartup(code: number, body: Buffer): Startup {
  const major = code >>> 16;
  const asked = code & 0xffff;
  if (major === 1 || major === 2) throw new OldProtocolError('unsupported_protocol', { major, minor: asked });
  if (major !== 3) throw new WeirError('unsupported_protocol', { major, minor: asked });
  const pairs = readStartupParameters(body, 0, body.length);
  const parameters = new Map(pairs);
  const user = parameters.get('user') ?? '';
  const database = parameters.get('database') || user;
  const replication = readReplication(parameters.get('replication'));
  const unknownOptions = pairs.map(([name]) => name).filter((name) => name.startsWith('_pq_.'));
  for (const name of ['user', 'database', 'replication', ...unknownOptions]) parameters.delete(name);
  const minor = Math.min(asked, newestMinor);
  const isAgreed = asked <= newestMinor && unknownOptions.length === 0;
  const negotiation = isAgreed ? undefined : negotiateProtocolVersion(minor, unknownOptions);
  return { user, database, parameters, replication, minor, negotiation };
}

/** The transport: TCP, Unix socket, TLS after SSLRequest, or TLS that the client began without SSLRequest. */
export type Layer = 'plain' | 'local' | 'tls' | 'direct-tls';

export interface FirstPacketOptions {
  /** TLS is offered. */
  readonly canTls: boolean;
  readonly layer: Layer;
}

/** First byte of a TLS handshake. As the first byte of a startup packet's length, it would be too large. */
const tlsHandshakeByte = 0x16;

/**
 * Reads packets until it is clear what the client wants.
 * @throws ProtocolError, ReadError, WeirError
 */
export async function readFirstPacket(
  reader: MessageReader,
  say: (byte: 'S' | 'N') => void,
  options: FirstPacketOptions,
): Promise<FirstPacket> {
  try {
    return await negotiate(reader, say, options);
  } catch (error) {
    throw (error instanceof ProtocolError ? recognizeOtherProtocol(reader.peek(8)) : undefined) ?? error;
  }
}

async function negotiate(
  reader: MessageReader,
  say: (byte: 'S' | 'N') => void,
  { canTls, layer }: FirstPacketOptions,
): Promise<FirstPacket> {
  if (layer === 'plain' && canTls && (await reader.firstByte()) === tlsHandshakeByte) {
    return { kind: 'tls', isDirect: true };
  }
  // After SSLRequest, neither request may come again. In direct TLS both may come, and are answered with N.
  let isSslDone = layer === 'tls';
  let isGssDone = layer === 'tls';
  for (;;) {
    const { code, body } = await reader.nextStartup();
    const isSsl = code === Request.ssl && !isSslDone;
    const isGss = code === Request.gssEnc && !isGssDone;
    if (code === Request.cancel) return readCancel(body);
    if (!isSsl && !isGss) return { kind: 'startup', startup: readStartup(code, body) };
    if (body.length > 0) throw new ProtocolError('an encryption request with a body');
    if (isSsl) isSslDone = true;
    else isGssDone = true;
    const isTlsNext = isSsl && canTls && layer === 'plain';
    if (!isTlsNext) say('N');
    // A man in the middle could otherwise inject plain bytes, which would be read as if they had been encrypted.
    if (reader.hasUnread)
      throw new WeirError('unencrypted_data', { request: isSsl ? 'SSL' : 'GSSAPI encryption' }, mayBeAttack);
    if (!isTlsNext) continue;
    say('S');
    return { kind: 'tls', isDirect: false };
  }
}
