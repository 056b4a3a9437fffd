/**
 * What both sides of SCRAM-SHA-256 need (RFC 5802, RFC 7677): keys, hashes, nonces, and the attributes of messages. Key
 * derivation is in auth/keys.ts. Called by scram-server.ts and scram-client.ts, among others.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { ProtocolError } from '../protocol/read.ts';

export const scramMechanism = 'SCRAM-SHA-256';
/** SCRAM-SHA-256 with channel binding. */
export const scramPlusMechanism = 'SCRAM-SHA-256-PLUS';

/** The keys of a password, salt and iteration count. `clientKey` suffices for a log-in; the others only verify one. */
export interface ScramKeys {
  readonly clientKey: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

export const hmac = (key: Buffer, data: string | Buffer): Buffer => createHmac('sha256', key).update(data).digest();
export const sha256 = (data: Buffer): Buffer => createHash('sha256').update(data).digest();

/** @param salted SaltedPassword: 32 bytes from PBKDF2 */
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

/** @returns undefined if the text is not base64 with correct padding */
export function decodeBase64(text: string): Buffer | undefined {
  return base64.test(text) ? Buffer.from(text, 'base64') : undefined;
}

/** RFC 5802 "printable": ASCII 0x21 to 0x7e without the comma. */
export const isNonce = (text: string): boolean => /^[\x21-\x2b\x2d-\x7e]+$/.test(text);

/**
 * @returns the value of `name=value`
 * @throws ProtocolError if parts[index] is something else
 */
export function attribute(parts: readonly string[], index: number, name: string): string {
  const part = parts[index];
  if (part === undefined || !part.startsWith(`${name}=`)) {
    throw new ProtocolError(`malformed SCRAM message: attribute "${name}" expected`);
  }
  return part.slice(2);
}
