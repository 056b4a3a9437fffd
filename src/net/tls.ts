/**
 * Turns Weir's TLS settings into options for node:tls: for clients (`clientTls`, as PgBouncer's client_tls_sslmode)
 * and for servers (`serverTlsOptions`, as libpq's sslmode). Reads the files, and names them in every error; does no
 * other I/O. Called by frontend/client-acceptor.ts and backend/connect.ts, among others.
 */
import { X509Certificate, constants } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { DEFAULT_CIPHERS, createSecureContext } from 'node:tls';
import type { ConnectionOptions, SecureContextOptions, TlsOptions } from 'node:tls';
import type { TlsSide } from '../config/config.ts';

/** A setting of `tls.client` or `tls.server` that cannot be used; the message names the setting and the file. */
export class TlsSettingError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'TlsSettingError';
  }
}

/** TLS for clients. */
export interface ClientTlsContext {
  /** Plain connections are refused. */
  readonly isRequired: boolean;
  /** A client must have a certificate signed by `ca`. */
  readonly isCertificateRequired: boolean;
  /** For tls.createServer. */
  readonly options: TlsOptions;
}

type SideName = 'tls.client' | 'tls.server';

/** ALPN name of the protocol, registered with IANA. libpq sends it since version 17. */
const protocolName = 'postgresql';

function readPem(side: SideName, key: 'cert' | 'key' | 'ca', file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new TlsSettingError(`${side}.${key}: cannot read ${file}: ${(error as Error).message}`, error);
  }
}

const usualTls13 = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256';
const usualTls12 = DEFAULT_CIPHERS.split(':')
  .filter((name) => !name.startsWith('TLS_'))
  .join(':');

/** Node takes the cipher suites of TLS 1.3, which have names of their own, in the same list as those before it. */
function ciphersOf({ ciphers, tls13Ciphers }: TlsSide): Pick<SecureContextOptions, 'ciphers'> {
  if (ciphers === undefined && tls13Ciphers === undefined) return {};
  return { ciphers: `${tls13Ciphers ?? usualTls13}:${ciphers ?? usualTls12}` };
}

/** Reads the files and has OpenSSL check each by itself, so that the error can name the file. */
function loadFiles(name: SideName, side: TlsSide): SecureContextOptions {
  if ((side.cert === undefined) !== (side.key === undefined)) {
    const [given, missing] = side.cert === undefined ? ['key', 'cert'] : ['cert', 'key'];
    throw new TlsSettingError(`${name}.${given} is set but ${name}.${missing} is not: they belong together`);
  }
  const { protocols = ['tlsv1.2', 'tlsv1.3'], ciphers } = side;
  const context: SecureContextOptions = {
    minVersion: protocols.includes('tlsv1.2') ? 'TLSv1.2' : 'TLSv1.3',
    ...(protocols.includes('tlsv1.3') ? {} : { maxVersion: 'TLSv1.2' }),
    ...ciphersOf(side),
  };
  if (ciphers !== undefined) checkWithOpenSsl(`${name}.ciphers: ${ciphers} cannot be used`, { ciphers });
  if (side.ca !== undefined) {
    const ca = readPem(name, 'ca', side.ca);
    checkAuthority(`${name}.ca: ${side.ca} is not a usable certificate file`, ca);
    context.ca = ca;
  }
  if (side.cert !== undefined && side.key !== undefined) {
    context.cert = readPem(name, 'cert', side.cert);
    context.key = readPem(name, 'key', side.key);
    checkWithOpenSsl(`${name}.cert: ${side.cert} is not a usable certificate file`, { cert: context.cert });
    checkWithOpenSsl(`${name}.key: ${side.key} is not the usable private key of ${side.cert}`, {
      cert: context.cert,
      key: context.key,
    });
  }
  return context;
}

/** Checks `ca` here because createSecureContext() accepts any text for it and then refuses every certificate. */
function checkAuthority(what: string, pem: Buffer): void {
  try {
    new X509Certificate(pem);
  } catch (error) {
    throw new TlsSettingError(`${what}: ${(error as Error).message}`, error);
  }
}

function checkWithOpenSsl(what: string, options: SecureContextOptions): void {
  try {
    createSecureContext(options);
  } catch (error) {
    throw new TlsSettingError(`${what}: ${(error as Error).message}`, error);
  }
}

/**
 * TLS for clients, by tls.client.mode. disable: none; allow, prefer: offered if a certificate is configured; require:
 * plain connections are refused; verify-ca, verify-full: a client certificate signed by `ca` is required as well,
 * whose name matters only with auth.type cert.
 * @returns undefined: no TLS is offered
 * @throws TlsSettingError
 */
export function clientTls(side: TlsSide): ClientTlsContext | undefined {
  if (side.mode === 'disable') return undefined;
  const isCertificateRequired = side.mode === 'verify-ca' || side.mode === 'verify-full';
  const isRequired = isCertificateRequired || side.mode === 'require';
  if (side.cert === undefined && side.key === undefined) {
    if (!isRequired) return undefined;
    throw new TlsSettingError(`tls.client.mode ${side.mode} needs tls.client.cert and tls.client.key`);
  }
  if (isCertificateRequired && side.ca === undefined) {
    throw new TlsSettingError(`tls.client.mode ${side.mode} needs tls.client.ca`);
  }
  return {
    isRequired,
    isCertificateRequired,
    options: {
      ...loadFiles('tls.client', side),
      requestCert: side.ca !== undefined,
      // A missing or bad certificate is refused after StartupMessage, with an ErrorResponse. A TLS alert gives no reason.
      rejectUnauthorized: false,
      ALPNProtocols: [protocolName],
      sessionIdContext: 'weir',
      // As in PostgreSQL, TLS sessions are not resumed.
      secureOptions: constants.SSL_OP_NO_TICKET,
    },
  };
}

/**
 * Options of tls.connect for a server, by tls.server.mode. `require` with a `ca` verifies like verify-ca, as libpq
 * does; verify-* without a `ca` trusts the authorities that come with Node. Reads the files each time, so that a
 * renewed certificate needs no reload.
 * @param host name, address or socket directory of the server
 * @throws TlsSettingError
 */
export function serverTlsOptions(side: TlsSide, host: string): ConnectionOptions {
  const isVerified = side.mode.startsWith('verify-') || (side.mode === 'require' && side.ca !== undefined);
  const options: ConnectionOptions = {
    ...loadFiles('tls.server', side),
    host,
    rejectUnauthorized: isVerified,
    ALPNProtocols: [protocolName],
  };
  if (isIP(host) === 0 && !host.startsWith('/')) options.servername = host;
  if (side.mode !== 'verify-full') options.checkServerIdentity = () => undefined;
  return options;
}
