/**
 * The names in a client's TLS certificate, as PostgreSQL reads them. Called by frontend/login.ts.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { ClientCertificate } from '../auth/types.ts';

/** undefined: there is none that tls.client.ca vouches for. */
export function certificateOf(socket: Socket | TLSSocket): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  // A certificate with several common names has an array here: nobody's.
  const name: unknown = socket.getPeerCertificate().subject?.CN;
  const subject = socket.getPeerX509Certificate()?.subject ?? '';
  return {
    commonName: typeof name === 'string' ? name : undefined,
    distinguishedName: distinguishedName(subject),
  };
}

/** RFC 2253, as X509_NAME_print_ex writes it for PostgreSQL. @param subject as node:crypto gives it: escaped, one part a line */
export function distinguishedName(subject: string): string {
  const parts = subject.split('\n').map((part) => part.replace(/(?<!\\)((?:\\\\)*) \+ /g, '$1+'));
  const text = parts.filter(Boolean).reverse().join(',');
  return text.replace(/[^\x00-\x7f]+/g, (letters) =>
    [...Buffer.from(letters)].map((byte) => `\\${byte.toString(16).toUpperCase()}`).join(''),
  );
}
