/**
 * libpq's sslmode for the monitor's own connections: which transports to try, in which order, and what to verify.
 * The pooled connections have their own in net/; this one only speaks the options of the `pg` package. Used by probe.ts.
 */
import { readFile } from 'node:fs/promises';
import { checkServerIdentity } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import type { TlsMode, TlsSide } from '../config/config.ts';
import { isSocketDir } from '../util/where.ts';

/** `false` = plain TCP. In the order to try; the next one only if the server refuses the one before. */
export type TransportAttempt = false | ConnectionOptions;

/** A setting is a path, or the PEM text itself. */
async function pem(setting: string | undefined): Promise<string | undefined> {
  return setting === undefined || setting.includes('-----BEGIN') ? setting : readFile(setting, 'utf8');
}

function attempts(mode: TlsMode, options: ConnectionOptions, host: string): readonly TransportAttempt[] {
  const unverified = { ...options, rejectUnauthorized: false };
  switch (mode) {
    case 'disable':
      return [false];
    case 'allow':
      return [false, unverified];
    case 'prefer':
      return [unverified, false];
    case 'require':
      return [unverified];
    case 'verify-ca':
      return [{ ...options, rejectUnauthorized: true, checkServerIdentity: () => undefined }];
    case 'verify-full':
      return [
        {
          ...options,
          rejectUnauthorized: true,
          checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
        },
      ];
  }
}

/** Rejects when a certificate or key file cannot be read. */
export async function transportAttempts(tls: TlsSide, host: string): Promise<readonly TransportAttempt[]> {
  // No TLS over Unix sockets, as in libpq.
  if (tls.mode === 'disable' || isSocketDir(host)) return [false];
  const [ca, cert, key] = await Promise.all([pem(tls.ca), pem(tls.cert), pem(tls.key)]);
  const options: ConnectionOptions = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
  return attempts(tls.mode, options, host);
}
