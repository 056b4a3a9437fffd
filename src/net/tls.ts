/**
 * TLS settings of both doors, turned into what node:tls takes: for clients (`clientTls`, PgBouncer's client_tls_sslmode)
 * and for servers (`serverTlsOptions`, libpq's sslmode). Does no I/O but reading the files, whose names are in every error.
 * Called by frontend/listener.ts and backend/connect.ts.
 */
import { X509Certificate, constants } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { ConnectionOptions, SecureContextOptions, TlsOptions } from 'node:tls';
import type { TlsSide } from '../config/config.ts';

/** A setting of `tls.client` or `tls.server` that cannot be used; the message names the setting and the file. */
export class TlsSettingError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'TlsSettingError';
  }
}

/** What the listener needs to know about TLS. */
export interface ClientTlsContext {
  /** Plain connections are refused. */
  readonly isRequired: boolean;
  /** A certificate that `ca` vouches for is a must. */
  readonly isCertificateRequired: boolean;
  /** For tls.createServer. */
  readonly options: TlsOptions;
}

type SideName = 'tls.client' | 'tls.server';

/** ALPN name of the protocol (IANA; libpq sends it since 17). */
const protocolName = 'postgresql';

function readPem(side: SideName, key: 'cert' | 'key' | 'ca', file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new TlsSettingError(`${side}.${key}: cannot read ${file}: ${(error as Error).message}`, error);
  }
}

/** Reads the files and has OpenSSL look at them once, each by itself, so that the error can name the guilty one. */
function loadFiles(name: SideName, side: TlsSide): SecureContextOptions {
  if ((side.cert === undefined) !== (side.key === undefined)) {
    const [given, missing] = side.cert === undefined ? ['key', 'cert'] : ['cert', 'key'];
    throw new TlsSettingError(`${name}.${given} is set but ${name}.${missing} is not: they belong together`);
  }
  const context: SecureContextOptions = { minVersion: 'TLSv1.2' };
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

/** A context takes anything for `ca`, and would then trust nobody without saying why. */
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
 * What clients are offered; undefined: no TLS. disable: never; allow, prefer: when a certificate is configured;
 * require: plain connections are refused; verify-ca, verify-full: also a client certificate signed by `ca` is needed
 * (whose name counts only with auth.type cert). Throws TlsSettingError.
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
      // A missing or bad certificate is refused at StartupMessage, with words; an alert would only say "handshake failed".
      rejectUnauthorized: false,
      ALPNProtocols: [protocolName],
      sessionIdContext: 'weir',
      // Like PostgreSQL: no session is ever resumed, so none is kept and no ticket sent.
      secureOptions: constants.SSL_OP_NO_TICKET,
    },
  };
}

/**
 * Options of tls.connect for a server called `host`. `require` with a `ca` checks it like verify-ca, as libpq does;
 * verify-* without `ca` trust the authorities that Node brings. Reads the files anew each time, so renewed
 * certificates need no reload. Throws TlsSettingError.
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
