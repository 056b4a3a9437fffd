/**
 * The server's side of SCRAM-SHA-256: reads what the client said, says what comes next, checks the proof. Pure; the
 * messages are carried by auth/methods/scram.ts. No channel binding: SCRAM-SHA-256-PLUS is not offered.
 */
import { timingSafeEqual } from 'node:crypto';
import { ProtocolError } from '../protocol/read.ts';
import { attribute, decodeBase64, hmac, isNonce, sha256, xor } from './scram.ts';

/** What must be known of a user to check a proof. */
export interface ScramVerifier {
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

export interface ClientFirst {
  /** "n,," or "y,,", as it was sent. */
  readonly gs2Header: string;
  /** Everything behind the header: part of what is signed. */
  readonly bare: string;
  readonly nonce: string;
}

const malformed = (what: string): ProtocolError => new ProtocolError(`malformed SCRAM message: ${what}`);

/** client-first-message. The user name in it is ignored, as in PostgreSQL: the startup packet's counts. */
export function readClientFirst(data: Buffer): ClientFirst {
  const text = data.toString('utf8');
  if (text.includes('\0')) throw malformed('a zero byte');
  const parts = text.split(',');
  const flag = parts[0];
  if (flag?.startsWith('p=') === true) {
    throw new ProtocolError('the client asks for SCRAM channel binding, which was not offered');
  }
  if (flag !== 'n' && flag !== 'y') throw malformed('channel binding flag "n" or "y" expected');
  if (parts[1] !== '') throw new ProtocolError('the client uses an authorization identity, which is not supported');
  if (parts[2]?.startsWith('m=') === true) throw new ProtocolError('the client requires an unknown SCRAM extension');
  attribute(parts, 2, 'n');
  const nonce = attribute(parts, 3, 'r');
  if (!isNonce(nonce)) throw malformed('non-printable characters in the nonce');
  return { gs2Header: `${flag},,`, bare: parts.slice(2).join(','), nonce };
}

/** server-first-message; `nonce` is the client's and ours joined. */
export function serverFirst(nonce: string, salt: Buffer, iterations: number): string {
  return `r=${nonce},s=${salt.toString('base64')},i=${iterations}`;
}

export interface ClientFinal {
  /** The message without its proof: part of what is signed. */
  readonly withoutProof: string;
  readonly proof: Buffer;
}

/** client-final-message; header and nonce must be those agreed before. */
export function readClientFinal(data: Buffer, first: ClientFirst, nonce: string): ClientFinal {
  const text = data.toString('utf8');
  if (text.includes('\0')) throw malformed('a zero byte');
  const parts = text.split(',');
  const binding = attribute(parts, 0, 'c');
  if (binding !== Buffer.from(first.gs2Header, 'latin1').toString('base64')) {
    throw new ProtocolError('unexpected SCRAM channel binding in the client-final-message');
  }
  if (attribute(parts, 1, 'r') !== nonce) throw new ProtocolError('the SCRAM nonce does not match');
  if (parts.length < 3) throw malformed('attribute "p" expected');
  const proof = decodeBase64(attribute(parts, parts.length - 1, 'p'));
  if (proof?.length !== 32) throw malformed('the proof is not 32 bytes of base64');
  return { withoutProof: parts.slice(0, -1).join(','), proof };
}

/** The key that the proof reveals if it is right: with it one can log in as this user elsewhere. Else undefined. */
export function checkProof(verifier: ScramVerifier, authMessage: string, proof: Buffer): Buffer | undefined {
  const clientKey = xor(proof, hmac(verifier.storedKey, authMessage));
  return timingSafeEqual(sha256(clientKey), verifier.storedKey) ? clientKey : undefined;
}

/** server-final-message. */
export function serverFinal(verifier: ScramVerifier, authMessage: string): string {
  return `v=${hmac(verifier.serverKey, authMessage).toString('base64')}`;
}
