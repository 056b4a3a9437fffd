/**
 * auth.type = cert, and method cert of auth.hba_file: the name in the client's TLS certificate must be the user's, or
 * be mapped to it. There is no password. The certificate itself was verified with tls.client.ca in the TLS handshake.
 */
import { WeirError } from '../../errors/errors.ts';
import { accepted, noCertificate } from '../outcome.ts';
import type { AuthContext, AuthMethod, AuthOutcome, Exchange } from '../types.ts';

/** @returns undefined if the certificate is the user's; else why it is not, as text */
export function certificateMismatch({ user, certificate }: Exchange, context: AuthContext): string | undefined {
  if (certificate === undefined) return 'no client certificate that tls.client.ca vouches for';
  const name = context.clientName === 'DN' ? certificate.distinguishedName : certificate.commonName;
  if (name === undefined || name === '') return 'the certificate has no common name, or several';
  return context.isSameUser(name, user) ? undefined : `the certificate is that of "${name}"`;
}

function check(exchange: Exchange, context: AuthContext): AuthOutcome {
  if (!exchange.hasTls) {
    return { isOk: false, error: new WeirError('tls_required'), why: 'cert without TLS' };
  }
  const why = certificateMismatch(exchange, context);
  return why === undefined ? accepted : noCertificate(exchange.user, why);
}

export const cert: AuthMethod = (exchange, context) => Promise.resolve(check(exchange, context));
