/**
 * The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), for log-ins to servers. Checks the lengths, iteration count,
 * nonce and signature that the server sends. backend/authenticate.ts sends and receives the messages.
 */
import { timingSafeEqual } from 'node:crypto';
import { ProtocolError } from '../protocol/read.ts';
import { bindingType } from './channel-binding.ts';
import type { ScramKeys } from './scram.ts';
import { attribute, decodeBase64, hmac, isNonce, xor } from './scram.ts';

/** PostgreSQL's default is 4096. With more than this, a hostile server could occupy a core for minutes. */
const maxIterations = 1_000_000;
const maxSaltBytes = 1024;

/**
 * Channel binding in client-first-message: not supported (no TLS); supported but not offered by the server (a server
 * that has offered it then knows that a man in the middle removed the offer); or the hash of the server's certificate.
 */
export type ClientBinding = 'none' | 'not-offered' | Buffer;

/** The header of client-first-message, without an authorization identity. */
function gs2Header(binding: ClientBinding): string {
  if (typeof binding === 'string') return binding === 'none' ? 'n,,' : 'y,,';
  return `p=${bindingType},,`;
}

export interface ServerFirst {
  /** The whole message, which is part of the AuthMessage. */
  readonly text: string;
  readonly nonce: string;
  readonly salt: Buffer;
  readonly iterations: number;
}

/** With an empty user name, as libpq sends it: the server uses the one of the startup packet. */
const clientFirstBare = (nonce: string): string => `n=,r=${nonce}`;

/** @returns client-first-message */
export function clientFirst(nonce: string, binding: ClientBinding): string {
  return gs2Header(binding) + clientFirstBare(nonce);
}

/**
 * Reads server-first-message, whose nonce must begin with the client's.
 * @throws ProtocolError
 */
export function readServerFirst(data: Buffer, clientNonce: string): ServerFirst {
  const text = data.toString('utf8');
  const parts = text.split(',');
  const nonce = attribute(parts, 0, 'r');
  if (!isNonce(nonce) || !nonce.startsWith(clientNonce) || nonce.length === clientNonce.length) {
    throw new ProtocolError('invalid nonce in the SCRAM message');
  }
  const salt = decodeBase64(attribute(parts, 1, 's'));
  if (salt === undefined || salt.length === 0 || salt.length > maxSaltBytes) {
    throw new ProtocolError('invalid salt in the SCRAM message');
  }
  const count = attribute(parts, 2, 'i');
  const iterations = /^\d{1,10}$/.test(count) ? Number(count) : 0;
  if (iterations < 1 || iterations > maxIterations) {
    throw new ProtocolError(`SCRAM iteration count ${iterations} is not between 1 and ${maxIterations}`);
  }
  return { text, nonce, salt, iterations };
}

export interface ClientFinal {
  readonly message: string;
  /** The signature that server-final-message must have. */
  readonly serverSignature: Buffer;
}

/** Makes client-final-message. */
export function clientFinal(
  keys: ScramKeys,
  clientNonce: string,
  first: ServerFirst,
  binding: ClientBinding,
): ClientFinal {
  const header = Buffer.from(gs2Header(binding), 'latin1');
  const input = typeof binding === 'string' ? header : Buffer.concat([header, binding]);
  const withoutProof = `c=${input.toString('base64')},r=${first.nonce}`;
  const authMessage = `${clientFirstBare(clientNonce)},${first.text},${withoutProof}`;
  const proof = xor(keys.clientKey, hmac(keys.storedKey, authMessage));
  return {
    message: `${withoutProof},p=${proof.toString('base64')}`,
    serverSignature: hmac(keys.serverKey, authMessage),
  };
}

/**
 * Checks server-final-message.
 * @throws ProtocolError if the log-in failed, or the server does not know the password
 */
export function checkServerFinal(data: Buffer, expected: Buffer): void {
  const parts = data.toString('utf8').split(',');
  if (parts[0]?.startsWith('e=') === true) {
    throw new ProtocolError(`the server ended SCRAM with "${parts[0].slice(2, 100)}"`);
  }
  const signature = decodeBase64(attribute(parts, 0, 'v'));
  if (signature?.length !== expected.length || !timingSafeEqual(signature, expected)) {
    throw new ProtocolError('the SCRAM signature of the server is wrong: it does not know the password');
  }
}
