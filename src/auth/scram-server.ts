/**
 * The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), for log-ins of clients: reads the client's messages, makes
 * the server's, and checks the proof. auth/methods/scram.ts sends and receives the messages.
 */
import { timingSafeEqual } from 'node:crypto';
import { WeirError } from '../errors/errors.ts';
import { ProtocolError } from '../protocol/read.ts';
import { bindingType } from './channel-binding.ts';
import { attribute, decodeBase64, hmac, isNonce, sha256, xor } from './scram.ts';

/** The keys of a user that are needed to check a proof. */
export interface ScramVerifier {
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** Channel binding, as negotiated by the choice of the SASL mechanism. */
export interface BindingOffer {
  /** The hash of Weir's certificate; undefined: SCRAM-SHA-256-PLUS was not offered. */
  readonly hash: Buffer | undefined;
  /** The client selected SCRAM-SHA-256-PLUS. */
  readonly isChosen: boolean;
}

export interface ClientFirst {
  /** What client-final-message must repeat: the header and, with channel binding, the hash of the certificate. */
  readonly binding: Buffer;
  /** The message without its header, which is part of the AuthMessage. */
  readonly bare: string;
  readonly nonce: string;
}

const bindingFlag = `p=${bindingType}`;

const malformed = (what: string): ProtocolError => new ProtocolError(`malformed SCRAM message: ${what}`);

/**
 * Checks that the first flag of client-first-message fits the mechanism; a man in the middle may have changed either.
 */
function checkFlag(flag: string | undefined, { hash, isChosen }: BindingOffer): void {
  if (flag?.startsWith('p=') === true) {
    if (!isChosen) throw malformed('channel binding data, but SCRAM-SHA-256 without channel binding was selected');
    if (flag !== bindingFlag) throw new ProtocolError('unsupported SCRAM channel-binding type');
    return;
  }
  if (flag !== 'n' && flag !== 'y') throw malformed('channel binding flag "n", "y" or "p" expected');
  if (isChosen) throw malformed('SCRAM-SHA-256-PLUS was selected, but the message has no channel binding data');
  if (flag === 'y' && hash !== undefined) throw new WeirError('channel_binding_downgrade');
}

/**
 * Reads client-first-message. The user name in it is ignored, as in PostgreSQL, which uses that of the startup packet.
 * @throws ProtocolError, or WeirError channel_binding_downgrade
 */
export function readClientFirst(data: Buffer, offer: BindingOffer): ClientFirst {
  const text = data.toString('utf8');
  if (text.includes('\0')) throw malformed('a zero byte');
  const parts = text.split(',');
  const flag = parts[0];
  checkFlag(flag, offer);
  if (parts[1] !== '') throw new ProtocolError('the client uses an authorization identity, which is not supported');
  if (parts[2]?.startsWith('m=') === true) throw new ProtocolError('the client requires an unknown SCRAM extension');
  attribute(parts, 2, 'n');
  const nonce = attribute(parts, 3, 'r');
  if (!isNonce(nonce)) throw malformed('non-printable characters in the nonce');
  const header = Buffer.from(`${flag},,`, 'latin1');
  const binding = offer.isChosen && offer.hash !== undefined ? Buffer.concat([header, offer.hash]) : header;
  return { binding, bare: parts.slice(2).join(','), nonce };
}

/**
 * @param nonce the client's nonce followed by Weir's
 * @returns server-first-message
 */
export function serverFirst(nonce: string, salt: Buffer, iterations: number): string {
  return `r=${nonce},s=${salt.toString('base64')},i=${iterations}`;
}

export interface ClientFinal {
  /** The message without its proof, which is part of the AuthMessage. */
  readonly withoutProof: string;
  readonly proof: Buffer;
}

/**
 * Reads client-final-message, which must repeat the header and nonce.
 * @throws ProtocolError, or WeirError channel_binding_failed
 */
export function readClientFinal(data: Buffer, first: ClientFirst, nonce: string): ClientFinal {
  const text = data.toString('utf8');
  if (text.includes('\0')) throw malformed('a zero byte');
  const parts = text.split(',');
  if (attribute(parts, 0, 'c') !== first.binding.toString('base64')) {
    if (first.binding[0] === 0x70) throw new WeirError('channel_binding_failed');
    throw new ProtocolError('unexpected SCRAM channel binding in the client-final-message');
  }
  if (attribute(parts, 1, 'r') !== nonce) throw new ProtocolError('the SCRAM nonce does not match');
  if (parts.length < 3) throw malformed('attribute "p" expected');
  const proof = decodeBase64(attribute(parts, parts.length - 1, 'p'));
  if (proof?.length !== 32) throw malformed('the proof is not 32 bytes of base64');
  return { withoutProof: parts.slice(0, -1).join(','), proof };
}

/**
 * @returns the ClientKey, which a right proof reveals and with which Weir can log in to servers as this user; undefined
 * for a wrong proof
 */
export function checkProof(verifier: ScramVerifier, authMessage: string, proof: Buffer): Buffer | undefined {
  const clientKey = xor(proof, hmac(verifier.storedKey, authMessage));
  return timingSafeEqual(sha256(clientKey), verifier.storedKey) ? clientKey : undefined;
}

/** @returns server-final-message */
export function serverFinal(verifier: ScramVerifier, authMessage: string): string {
  return `v=${hmac(verifier.serverKey, authMessage).toString('base64')}`;
}
