/**
 * The first packets of a connection: SSLRequest (or TLS without asking), GSSENCRequest, CancelRequest, StartupMessage.
 * Says S or N itself and returns what is left to do; knows nothing of users, databases or limits. Called by frontend/login.ts.
 * Source: PostgreSQL manual, "Message Flow", Start-up and the two encryption sections.
 */
import type { ReplicationKind } from '../auth/types.ts';
import { ReadError, type MessageReader } from '../net/message-reader.ts';
import { Request, newestMinor } from '../protocol/codes.ts';
import { ProtocolError, readStartupParameters } from '../protocol/read.ts';
import { negotiateProtocolVersion, terminate } from '../protocol/write.ts';
import { WeirError } from '../errors.ts';

export interface Startup {
  readonly user: string;
  readonly database: string;
  readonly parameters: Map<string, string>;
  /** undefined: an ordinary connection. */
  readonly replication: ReplicationKind | undefined;
  /** Version 3.x of the protocol that both sides speak. */
  readonly minor: number;
  /** To be said to a client that asked for more: a newer version, `_pq_.` options (none is known). */
  readonly negotiation: Buffer | undefined;
}

export type FirstPacket =
  /** The TLS handshake comes next: S was said, or the client began with it (sslnegotiation=direct). */
  | { readonly kind: 'tls'; readonly isDirect: boolean }
  | { readonly kind: 'cancel'; readonly processId: number; readonly secret: Buffer }
  | { readonly kind: 'startup'; readonly startup: Startup };

const maxCancelKeyBytes = 256;
/** With these a startup packet says how long it is; to a Terminate they are far too long. */
const lengthBytes = 4;
const mayBeAttack = 'This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.';
const falseWords = /^(0|f|fa|fal|fals|false|n|no|of|off)$/i;
const trueWords = /^(1|t|tr|tru|true|y|ye|yes|on)$/i;

/** Somebody who does not speak PostgreSQL at all. */
export class StrangerError extends ProtocolError {
  /** False: an ErrorResponse would only be more noise. */
  readonly canReadText: boolean;

  constructor(what: string, canReadText: boolean) {
    super(what);
    this.name = 'StrangerError';
    this.canReadText = canReadText;
  }
}

/** What the first bytes look like, if not like PostgreSQL; undefined: no idea. */
function recognizeStranger(bytes: Buffer): StrangerError | ReadError | undefined {
  const begin = bytes.subarray(0, terminate.length);
  if (begin.length >= lengthBytes && begin.equals(terminate.subarray(0, begin.length))) return saidGoodBye();
  if (bytes[0] === 0x16 && bytes[1] === 0x03) {
    return new StrangerError('TLS where it cannot be: not offered (tls.client), or not as the first thing said', false);
  }
  const text = bytes.toString('latin1');
  if (/^(GET|PUT|HEAD|POST|PRI|PATCH|TRACE|DELETE|OPTIONS|CONNECT) /.test(text)) {
    return new StrangerError('an HTTP request on the port for PostgreSQL clients (see the setting "http")', true);
  }
  return text.startsWith('SSH-') ? new StrangerError('SSH on the port for PostgreSQL clients', true) : undefined;
}

/** Terminate, from somebody who is not logged in: as if it had just left. */
export function saidGoodBye(): ReadError {
  return new ReadError('closed', 'it said Terminate');
}

/** Somebody of another century, who understands errors only in the way of that time. */
export class OldProtocolError extends WeirError {}

function readCancel(body: Buffer): FirstPacket {
  if (body.length < 5 || body.length > 4 + maxCancelKeyBytes) {
    throw new ProtocolError(`a cancel request of ${body.length} bytes`);
  }
  return { kind: 'cancel', processId: body.readInt32BE(0), secret: Buffer.from(body.subarray(4)) };
}

/** As PostgreSQL reads it: "database", or anything that begins like a word for yes or no. */
function readReplication(value: string | undefined): ReplicationKind | undefined {
  if (value === undefined || falseWords.test(value)) return undefined;
  if (value === 'database') return 'logical';
  if (trueWords.test(value)) return 'physical';
  throw new WeirError('invalid_replication', { value });
}

/** StartupMessage of any 3.x; WeirError for what cannot be served. */
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

/** What the packets come in; `direct-tls` is TLS that the client began without asking. */
export type Layer = 'plain' | 'local' | 'tls' | 'direct-tls';

export interface FirstPacketOptions {
  /** TLS is to be had. */
  readonly canTls: boolean;
  readonly layer: Layer;
}

/** First byte of a TLS record that is part of a handshake; as a startup packet it would be far too long. */
const tlsHandshakeByte = 0x16;

/** Reads up to the packet that decides. Throws ProtocolError, ReadError, WeirError. */
export async function readFirstPacket(
  reader: MessageReader,
  say: (byte: 'S' | 'N') => void,
  options: FirstPacketOptions,
): Promise<FirstPacket> {
  try {
    return await negotiate(reader, say, options);
  } catch (error) {
    throw (error instanceof ProtocolError ? recognizeStranger(reader.peek(8)) : undefined) ?? error;
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
  // Inside TLS that was asked for neither may come again; whoever did not ask before may still do, in vain.
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
    // Whoever can write into the connection could otherwise have plain bytes taken for encrypted ones.
    if (reader.hasUnread)
      throw new WeirError('unencrypted_data', { request: isSsl ? 'SSL' : 'GSSAPI encryption' }, mayBeAttack);
    if (!isTlsNext) continue;
    say('S');
    return { kind: 'tls', isDirect: false };
  }
}
