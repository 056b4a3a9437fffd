/** SET of settings of TLS one by one. Fails if those that do not fit together count, or if those that do are not taken. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { WaitingTls } from '../../src/config/waiting-tls.ts';
import { CertificateAuthority } from '../../integration/harness/certs.ts';

let dir = '';
let cert = '';
let key = '';

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'weir-tls-'));
  const made = new CertificateAuthority().server();
  [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  writeFileSync(cert, made.cert);
  writeFileSync(key, made.key);
});
afterAll(() => rmSync(dir, { recursive: true }));

function load(as: 'weir' | 'pgbouncer'): Config {
  const text = `{ databases: { shop: { primary: 'postgres://app@db1/shop' } }, auth: { as: ${as} } }`;
  const result = loadConfig({ text, env: {} });
  if ('problems' in result) throw new Error(result.problems.join('\n'));
  return result.config;
}

it('a key waits for its certificate', () => {
  const tls = new WaitingTls();
  const config = load('pgbouncer');
  expect(tls.change(config, 'tls.client.key', key)).toEqual({
    waitsFor: expect.stringContaining('certificate') as unknown,
  });
  expect(tls.change(config, 'tls.client.cert', cert)).toMatchObject({ config: { tls: { client: { key, cert } } } });
});

it('what fits by itself does not wait for the rest', () => {
  const tls = new WaitingTls();
  const config = load('pgbouncer');
  expect(tls.change(config, 'tls.server.mode', 'verify-full')).toHaveProperty('waitsFor');
  expect(tls.change(config, 'tls.client.mode', 'allow')).toMatchObject({
    config: { tls: { client: { mode: 'allow' } } },
  });
  expect(tls.change(config, 'tls.server.ca', cert)).toMatchObject({
    config: { tls: { server: { mode: 'verify-full', ca: cert } } },
  });
});

it('RELOAD forgets what waits', () => {
  const tls = new WaitingTls();
  const config = load('pgbouncer');
  tls.change(config, 'tls.client.key', key);
  tls.forget();
  expect(tls.change(config, 'tls.client.cert', cert)).toHaveProperty('waitsFor');
});

it('nothing waits for a wrong value, nor unless it is as in PgBouncer', () => {
  const tls = new WaitingTls();
  expect(tls.change(load('pgbouncer'), 'tls.client.mode', 'perhaps')).toHaveProperty('problem');
  expect(tls.change(load('pgbouncer'), 'tls.client.no_such', 'x')).toHaveProperty('problem');
  expect(tls.change(load('weir'), 'tls.client.key', key)).toHaveProperty('problem');
  expect(tls.change(load('weir'), 'default_pool_size', '7')).toHaveProperty('config');
});
