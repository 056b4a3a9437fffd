/**
 * A throw-away certificate authority for the tests of TLS: server certificates for 127.0.0.1 and localhost, client
 * certificates with a user name as common name. EC P-256 and SHA-256, valid for a month. No openssl needed.
 */
import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import {
  bitString,
  boolean,
  explicit,
  implicit,
  integer,
  octetString,
  oid,
  sequence,
  set,
  utcTime,
  utf8String,
} from './der.ts';

/** Both in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));
const month = 30 * 24 * 3600 * 1000;

const commonName = (name: string): Buffer => sequence(set(sequence(oid('2.5.4.3'), utf8String(name))));

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octetString(value));
}

const basicConstraints = (isCa: boolean): Buffer =>
  extension('2.5.29.19', true, sequence(...(isCa ? [boolean(true)] : [])));

/** keyCertSign + cRLSign for an authority, digitalSignature for everybody else. */
const keyUsage = (isCa: boolean): Buffer =>
  extension('2.5.29.15', true, isCa ? bitString(Buffer.from([0x06]), 1) : bitString(Buffer.from([0x80]), 7));

function subjectAltName(hosts: readonly string[]): Buffer {
  const names = hosts.map((host) =>
    /^[\d.]+$/.test(host) ? implicit(7, Buffer.from(host.split('.').map(Number))) : implicit(2, Buffer.from(host)),
  );
  return extension('2.5.29.17', false, sequence(...names));
}

interface Request {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly signWith: KeyObject;
  readonly extensions: readonly Buffer[];
  readonly notAfter?: Date;
}

function issue(request: Request): string {
  const now = Date.now();
  const serial = randomBytes(16);
  serial[0] = 0x40 | ((serial[0] ?? 0) & 0x3f);
  const body = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(serial),
    ecdsaWithSha256,
    commonName(request.issuer),
    sequence(utcTime(new Date(now - month)), utcTime(request.notAfter ?? new Date(now + month))),
    commonName(request.subject),
    request.publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...request.extensions)),
  );
  const der = sequence(body, ecdsaWithSha256, bitString(sign('sha256', body, request.signWith)));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

const newKey = (): { publicKey: KeyObject; privateKey: KeyObject } =>
  generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

/** Signs certificates; `ca` is what the other side must trust. */
export class CertificateAuthority {
  readonly ca: Certificate;
  readonly #name: string;

  /** Without an argument: a new one. With: one made before, from its PEM. */
  constructor(existing?: Certificate, name = 'Weir test CA') {
    this.#name = name;
    if (existing !== undefined) {
      this.ca = existing;
      return;
    }
    const { publicKey, privateKey } = newKey();
    const extensions = [basicConstraints(true), keyUsage(true)];
    this.ca = {
      cert: issue({ subject: name, issuer: name, publicKey, signWith: privateKey, extensions }),
      key: pem(privateKey),
    };
  }

  /** A certificate for a server reached under these names and IPv4 addresses. */
  server(hosts: readonly string[] = ['localhost', '127.0.0.1']): Certificate {
    return this.#sign(hosts[0] ?? 'localhost', [subjectAltName(hosts)]);
  }

  /** A certificate for a client: its common name is the PostgreSQL user. */
  client(user: string, notAfter?: Date): Certificate {
    return this.#sign(user, [], notAfter);
  }

  #sign(subject: string, more: readonly Buffer[], notAfter?: Date): Certificate {
    const { publicKey, privateKey } = newKey();
    const extensions = [basicConstraints(false), keyUsage(false), ...more];
    const signWith = createPrivateKey(this.ca.key);
    const request = { subject, issuer: this.#name, publicKey, signWith, extensions };
    return { cert: issue(notAfter === undefined ? request : { ...request, notAfter }), key: pem(privateKey) };
  }
}
