/**
 * Channel binding "tls-server-end-point" (RFC 5929): both sides of a SCRAM log-in prove that they have seen the same
 * server certificate, by its hash, so that a man in the middle cannot relay the log-in. Called for clients by
 * frontend/login.ts, and for servers by backend/login.ts.
 */
import { createHash } from 'node:crypto';

export const bindingType = 'tls-server-end-point';

/** Hash algorithms by the object identifier (in hex) of the signature that uses them, or of their own. */
const hashes: Readonly<Record<string, string>> = {
  // RSA: md5, sha1, sha224, sha256, sha384, sha512. The first two are too weak and count as sha256 (RFC 5929).
  '2a864886f70d010104': 'sha256',
  '2a864886f70d010105': 'sha256',
  '2a864886f70d01010e': 'sha224',
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  // ECDSA: sha1, sha224, sha256, sha384, sha512.
  '2a8648ce3d0401': 'sha256',
  '2a8648ce3d040301': 'sha224',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
  // The hashes themselves, which RSA-PSS names as its parameters: md5, sha1, sha224, sha256, sha384, sha512.
  '2a864886f70d0205': 'sha256',
  '2b0e03021a': 'sha256',
  '608648016503040204': 'sha224',
  '608648016503040201': 'sha256',
  '608648016503040202': 'sha384',
  '608648016503040203': 'sha512',
};
const rsaPss = '2a864886f70d01010a';
/** The hash of RSA-PSS if its parameters name none. */
const sha1 = '2b0e03021a';

const tags = { sequence: 0x30, oid: 0x06, first: 0xa0 };

/** @returns the contents of the DER element at `start` and the position after it; undefined if it has another tag */
function element(der: Buffer, start: number, tag: number): { body: Buffer; next: number } | undefined {
  if (der[start] !== tag) return undefined;
  let size = der[start + 1] ?? 0;
  let at = start + 2;
  if (size > 0x80 && size <= 0x84) {
    const count = size - 0x80;
    if (at + count > der.length) return undefined;
    size = der.readUIntBE(at, count);
    at += count;
  } else if (size >= 0x80) {
    return undefined;
  }
  return at + size > der.length ? undefined : { body: der.subarray(at, at + size), next: at + size };
}

/** @returns the name of the hash in an AlgorithmIdentifier; undefined if it is not known */
function hashOf(algorithm: Buffer | undefined): string | undefined {
  const name = algorithm && element(algorithm, 0, tags.oid);
  if (algorithm === undefined || name === undefined) return undefined;
  const id = name.body.toString('hex');
  if (id !== rsaPss) return hashes[id];
  const parameters = element(algorithm, name.next, tags.sequence);
  if (parameters === undefined) return undefined;
  const chosen = element(parameters.body, 0, tags.first);
  return chosen === undefined ? hashes[sha1] : hashOf(element(chosen.body, 0, tags.sequence)?.body);
}

/**
 * The channel binding data of a certificate: its hash, by the algorithm of its own signature.
 * @param certificate in DER
 * @returns undefined if RFC 5929 defines none, as for Ed25519
 */
export function endPointHash(certificate: Buffer): Buffer | undefined {
  const whole = element(certificate, 0, tags.sequence)?.body;
  const signed = whole && element(whole, 0, tags.sequence);
  if (whole === undefined || signed === undefined) return undefined;
  const hash = hashOf(element(whole, signed.next, tags.sequence)?.body);
  return hash === undefined ? undefined : createHash(hash).update(certificate).digest();
}
