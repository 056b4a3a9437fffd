/**
 * auth.type = cert: the common name of the client's TLS certificate must be the user name. The certificate was checked
 * against tls.client.ca before (net/tls.ts); no password is asked for.
 */
import { WeirError } from '../../errors.ts';
import { accepted, noCertificate } from '../outcome.ts';
import type { AuthMethod, AuthOutcome, Exchange } from '../types.ts';

function check(exchange: Exchange): AuthOutcome {
  if (!exchange.hasTls) {
    return { isOk: false, error: new WeirError('tls_required'), why: 'auth.type cert without TLS' };
  }
  if (exchange.certificateName === undefined) {
    return noCertificate(exchange.user, 'no client certificate that tls.client.ca vouches for');
  }
  if (exchange.certificateName !== exchange.user) {
    return noCertificate(exchange.user, `the certificate is that of "${exchange.certificateName}"`);
  }
  return accepted;
}

export const cert: AuthMethod = (exchange) => Promise.resolve(check(exchange));
