/**
 * Reads the names in a client's TLS certificate, as PostgreSQL does. Called by frontend/login.ts.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { ClientCertificate } from '../auth/types.ts';

/** @returns undefined if the client has no certificate signed by tls.client.ca */
export function certificateOf(socket: Socket | TLSSocket): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  // With several common names, CN is an array. Such a certificate has no usable name.
  const name: unknown = socket.getPeerCertificate().subject?.CN;
  const subject = socket.getPeerX509Certificate()?.subject ?? '';
  return {
    commonName: typeof name === 'string' ? name : undefined,
    distinguishedName: distinguishedName(subject),
  };
}

/**
 * Formats a distinguished name by RFC 2253, as X509_NAME_print_ex does for PostgreSQL.
 * @param subject from node:crypto: escaped, one part per line
 */
export function distinguishedName(subject: string): string {
  const parts = subject.split('\n').map((part) => part.replace(/(?<!\\)((?:\\\\)*) \+ /g, '$1+'));
  const text = parts.filter(Boolean).reverse().join(',');
  return text.replace(/[^\x00-\x7f]+/g, (letters) =>
    [...Buffer.from(letters)].map((byte) => `\\${byte.toString(16).toUpperCase()}`).join(''),
  );
}
