/**
 * Certificates renewed while Weir serves: SIGHUP and RELOAD read the files again for connections from then on, while old
 * sessions go on; a file that cannot be used changes nothing and is named.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Certificate, WeirProcess } from './harness/index.ts';
import {
  CertificateAuthority,
  closeClients,
  connectPg,
  startWeir,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';

const cluster = useCluster();
const dir = mkdtempSync(join(tmpdir(), 'weir-renew-'));
const [first, second] = [new CertificateAuthority(), new CertificateAuthority()];
const files = { cert: join(dir, 'server.crt'), key: join(dir, 'server.key'), ca: join(dir, 'ca.crt') };
const asUser = first.client(users.cert);
let weir: WeirProcess;

function install({ cert, key }: Certificate, ca: CertificateAuthority): void {
  writeFileSync(files.cert, cert);
  writeFileSync(files.key, key, { mode: 0o600 });
  writeFileSync(files.ca, ca.ca.cert);
}

const serialOf = ({ cert }: Certificate): string => new X509Certificate(cert).serialNumber;

/** Of the certificate that Weir has shown on a connection that was just made. */
function shownOn(client: pg.Client): string {
  const { stream } = (client as unknown as { connection: { stream: TLSSocket } }).connection;
  return stream.getPeerX509Certificate()?.serialNumber ?? '';
}

const open = (): Promise<pg.Client> => connectPg(weir.url(), { ssl: { rejectUnauthorized: false } });

/** The code with which a client certificate of the first authority is refused, or "in". */
const withCertificate = (): Promise<string> =>
  connectPg(weir.url({ user: users.cert, password: 'x' }), {
    ssl: { rejectUnauthorized: false, cert: asUser.cert, key: asUser.key },
  }).then(
    () => 'in',
    (error: { code?: string }) => error.code ?? String(error),
  );

const ask = async (client: pg.Client): Promise<unknown> => (await client.query('SELECT 1 AS one')).rows;

beforeAll(async () => {
  install(first.server(), first);
  const hba = join(dir, 'hba.conf');
  writeFileSync(hba, `hostssl all ${users.cert} all cert\nhost all all all scram-sha-256\n`);
  weir = await startWeir(
    weirConfig(cluster, {}, { auth: { type: 'hba', hba_file: hba }, tls: { client: { mode: 'prefer', ...files } } }),
  );
});

afterAll(async () => {
  await closeClients();
  await weir.stop();
  rmSync(dir, { recursive: true });
});

test('renewed by SIGHUP and by RELOAD; broken ones change nothing', async () => {
  const oldest = await open();
  const before = shownOn(oldest);
  expect(before).not.toBe('');
  expect(await withCertificate()).toBe('in');

  // Renewed, by another authority for clients, too.
  const renewed = second.server();
  install(renewed, second);
  weir.signal('SIGHUP');
  await until('the new certificate', async () => shownOn(await open()) === serialOf(renewed));
  expect(serialOf(renewed)).not.toBe(before);
  expect(await withCertificate()).toBe('28000');
  expect(await ask(oldest)).toEqual([{ one: 1 }]);

  // Half copied, of another key, empty: what is there stays, and the file is named.
  const other = second.server();
  const console = await connectPg(weir.adminUrl());
  for (const [broken, name] of [
    [{ cert: renewed.cert.slice(0, 300), key: renewed.key }, 'server.crt'],
    [{ cert: renewed.cert, key: other.key }, 'server.key'],
    [{ cert: other.cert, key: '' }, 'server.key'],
  ] as const) {
    install(broken, first);
    await expect(console.query('RELOAD')).rejects.toThrow(name);
    const said = weir.output.length;
    weir.signal('SIGHUP');
    await until('the report', () => /nothing was changed[^]*\n/.test(weir.output.slice(said)));
    await until('the file to be named', () => weir.output.slice(said).includes(name));
    const client = await open();
    expect([shownOn(client), await ask(client)]).toEqual([serialOf(renewed), [{ one: 1 }]]);
    expect(await withCertificate()).toBe('28000');
  }
  install(renewed, second);
  writeFileSync(files.ca, 'this is no authority');
  await expect(console.query('RELOAD')).rejects.toThrow('ca.crt');
  expect(await withCertificate()).toBe('28000');

  install(other, first);
  await console.query('RELOAD');
  expect(shownOn(await open())).toBe(serialOf(other));
  expect(await withCertificate()).toBe('in');
  expect(await ask(oldest)).toEqual([{ one: 1 }]);
});
