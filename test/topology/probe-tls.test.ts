/** What the monitor's certificates are checked for. Fails if those of a node found in DNS are checked for its address. */
import { expect, test } from 'vitest';
import type { PeerCertificate } from 'node:tls';
import { transportAttempts } from '../../src/topology/probe-tls.ts';
import { noTls } from './fixtures.ts';

const certificate = { subject: { CN: 'db2' }, subjectaltname: 'DNS:replicas.example.com' } as PeerCertificate;

test.each([
  ['replicas.example.com', undefined],
  ['other.example.com', /does not match/],
])('verify-full for %s', async (name, expected) => {
  const [attempt] = await transportAttempts({ ...noTls, mode: 'verify-full' }, '10.0.0.2', name);
  if (attempt === undefined || attempt === false) throw new Error('no TLS');
  expect(attempt.servername).toBe(name);
  const error = attempt.checkServerIdentity?.('whatever', certificate);
  if (expected === undefined) expect(error).toBeUndefined();
  else expect(error?.message).toMatch(expected);
});

test('without such a name it is that of the host', async () => {
  const [attempt] = await transportAttempts({ ...noTls, mode: 'verify-full' }, 'replicas.example.com');
  if (attempt === undefined || attempt === false) throw new Error('no TLS');
  expect(attempt).not.toHaveProperty('servername');
  expect(attempt.checkServerIdentity?.('whatever', certificate)).toBeUndefined();
});
