/** Hashes of certificates: the algorithm is that of the signature, whatever the rest of the certificate says. */
import { X509Certificate, createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CertificateAuthority } from '../../integration/harness/certs.ts';
import { bitString, explicit, integer, oid, sequence } from '../../integration/harness/der.ts';
import { endPointHash } from '../../src/auth/channel-binding.ts';

/** Only as much of a certificate as is looked at; the body comes long and short. */
const certificate = (algorithm: Buffer, size = 300): Buffer =>
  sequence(sequence(integer(Buffer.alloc(size, 1))), algorithm, bitString(Buffer.alloc(64, 2)));
const simple = (id: string): Buffer => sequence(oid(id));
const pss = (...parameters: Buffer[]): Buffer => sequence(oid('1.2.840.113549.1.1.10'), sequence(...parameters));
const pssWith = (hash: string): Buffer => pss(explicit(0, simple(hash)), explicit(2, integer(Buffer.from([32]))));

describe('tls-server-end-point', () => {
  it.each([
    ['RSA with MD5', simple('1.2.840.113549.1.1.4'), 'sha256'],
    ['RSA with SHA-1', simple('1.2.840.113549.1.1.5'), 'sha256'],
    ['RSA with SHA-224', simple('1.2.840.113549.1.1.14'), 'sha224'],
    ['RSA with SHA-256', simple('1.2.840.113549.1.1.11'), 'sha256'],
    ['RSA with SHA-384', simple('1.2.840.113549.1.1.12'), 'sha384'],
    ['RSA with SHA-512', simple('1.2.840.113549.1.1.13'), 'sha512'],
    ['ECDSA with SHA-1', simple('1.2.840.10045.4.1'), 'sha256'],
    ['ECDSA with SHA-256', simple('1.2.840.10045.4.3.2'), 'sha256'],
    ['ECDSA with SHA-384', simple('1.2.840.10045.4.3.3'), 'sha384'],
    ['ECDSA with SHA-512', simple('1.2.840.10045.4.3.4'), 'sha512'],
    ['RSA-PSS with SHA-256', pssWith('2.16.840.1.101.3.4.2.1'), 'sha256'],
    ['RSA-PSS with SHA-384', pssWith('2.16.840.1.101.3.4.2.2'), 'sha384'],
    ['RSA-PSS with SHA-512', pssWith('2.16.840.1.101.3.4.2.3'), 'sha512'],
    ['RSA-PSS without a word, which means SHA-1', pss(), 'sha256'],
  ])('%s', (_name, algorithm, hash) => {
    for (const size of [10, 150, 300, 70_000]) {
      const der = certificate(algorithm, size);
      expect(endPointHash(der)).toEqual(createHash(hash).update(der).digest());
    }
  });

  it.each([
    ['Ed25519', certificate(simple('1.3.101.112'))],
    ['Ed448', certificate(simple('1.3.101.113'))],
    ['an unknown algorithm', certificate(simple('1.2.3.4'))],
    ['RSA-PSS with an unknown hash', certificate(pssWith('1.2.3.4'))],
    ['RSA-PSS as its own hash', certificate(pssWith('1.2.840.113549.1.1.10'))],
    ['nothing', Buffer.alloc(0)],
    ['no certificate', Buffer.from('hello')],
    ['an endless length', Buffer.from('3080300030', 'hex')],
    ['a length beyond the end', Buffer.from('3084ffffffff', 'hex')],
  ])('%s has none', (_name, der) => {
    expect(endPointHash(der)).toBeUndefined();
  });

  it('a certificate that is cut anywhere has none, or the hash of what is there', () => {
    const whole = certificate(pssWith('2.16.840.1.101.3.4.2.1'));
    for (let end = 0; end < whole.length; end++) expect(endPointHash(whole.subarray(0, end))).toBeUndefined();
  });

  it('a real one', () => {
    const { raw } = new X509Certificate(new CertificateAuthority().server().cert);
    expect(endPointHash(raw)).toEqual(createHash('sha256').update(raw).digest());
  });
});
