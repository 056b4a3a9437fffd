/**
 * The arithmetic of SCRAM-SHA-256 (RFC 5802, RFC 7677): keys, signatures, proofs, and the attributes of its messages.
 * No sockets and no waiting: key derivation is in auth/keys.ts. Used by scram-server.ts and scram-client.ts.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { ProtocolError } from '../protocol/read.ts';

export const scramMechanism = 'SCRAM-SHA-256';
/** The same with channel binding. */
export const scramPlusMechanism = 'SCRAM-SHA-256-PLUS';

/** What a password, a salt and an iteration count come to. With `clientKey` one can log in; the others only verify. */
export interface ScramKeys {
  readonly clientKey: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

export const hmac = (key: Buffer, data: string | Buffer): Buffer => createHmac('sha256', key).update(data).digest();
export const sha256 = (data: Buffer): Buffer => createHash('sha256').update(data).digest();

/** `salted`: SaltedPassword, 32 bytes of PBKDF2. */
export function scramKeys(salted: Buffer): ScramKeys {
  const clientKey = hmac(salted, 'Client Key');
  return { clientKey, storedKey: sha256(clientKey), serverKey: hmac(salted, 'Server Key') };
}

export function xor(a: Buffer, b: Buffer): Buffer {
  const out = Buffer.allocUnsafe(a.length);
  for (let at = 0; at < a.length; at++) out[at] = (a[at] as number) ^ (b[at] as number);
  return out;
}

/** 24 printable characters without a comma. */
export const newNonce = (): string => randomBytes(18).toString('base64');

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Strict base64; undefined if it is not. */
export function decodeBase64(text: string): Buffer | undefined {
  return base64.test(text) ? Buffer.from(text, 'base64') : undefined;
}

/** RFC 5802 "printable": ASCII 0x21 to 0x7e without the comma. */
export const isNonce = (text: string): boolean => /^[\x21-\x2b\x2d-\x7e]+$/.test(text);

/** Value of `name=value`, which must come at this place. */
export function attribute(parts: readonly string[], index: number, name: string): string {
  const part = parts[index];
  if (part === undefined || !part.startsWith(`${name}=`)) {
    throw new ProtocolError(`malformed SCRAM message: attribute "${name}" expected`);
  }
  return part.slice(2);
}
