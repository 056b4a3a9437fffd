/**
 * libpq's sslmode for the monitor's own connections: which transports to try, in which order, and what to verify.
 * Pooled connections use net/tls.ts instead; this file only makes options for the `pg` package. Used by probe.ts.
 */
import { readFile } from 'node:fs/promises';
import { checkServerIdentity } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import type { TlsMode, TlsSide } from '../config/config.ts';
import { isSocketDir } from '../util/where.ts';

/** `false`: unencrypted. Attempts are made in order; the next one only if the one before failed. */
export type TransportAttempt = false | ConnectionOptions;

/** Reads a certificate or key. @param setting a file path, or the PEM text itself */
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

/**
 * @param tlsName the name that the certificate must have, if that is not the host
 * @returns the transports to try, in order. Rejects if a certificate or key file cannot be read.
 */
export async function transportAttempts(
  tls: TlsSide,
  host: string,
  tlsName?: string,
): Promise<readonly TransportAttempt[]> {
  // No TLS over Unix sockets, as in libpq.
  if (tls.mode === 'disable' || isSocketDir(host)) return [false];
  const [ca, cert, key] = await Promise.all([pem(tls.ca), pem(tls.cert), pem(tls.key)]);
  const options: ConnectionOptions = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(tlsName === undefined ? {} : { servername: tlsName }),
  };
  return attempts(tls.mode, options, tlsName ?? host);
}
