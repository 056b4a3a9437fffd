/**
 * Log-in through the whole of Weir: every TLS mode of both doors, every kind of secret in auth.file, SCRAM passed
 * through from stored verifiers, client certificates; with node-postgres, postgres.js and psql.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import type { ConnectionOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { TestWeir, WeirConfig } from './harness/index.ts';
import {
  CertificateAuthority,
  PASSWORD,
  closeClients,
  connectPg,
  connectPostgresJs,
  findProgram,
  runPsql,
  startTestWeir,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';

const cluster = useCluster();
const dir = mkdtempSync(join(tmpdir(), 'weir-tls-'));
const save = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text, { mode: 0o600 });
  return join(dir, name);
};
const authority = new CertificateAuthority({ cert: cluster.caCert, key: cluster.caKey });
const stranger = new CertificateAuthority();
const ca = save('ca.crt', cluster.caCert);
const server = authority.server();
const mine = { cert: save('server.crt', server.cert), key: save('server.key', server.key) };
const client = authority.client(users.cert);
const clientFiles = { cert: save('client.crt', client.cert), key: save('client.key', client.key) };
const forged = stranger.client(users.cert);

const checked: ConnectionOptions = { ca: cluster.caCert };
const withCertificate: ConnectionOptions = { ...checked, cert: client.cert, key: client.key };
const hasPsql = findProgram('psql') !== undefined;

let weir: TestWeir | undefined;
afterEach(async () => {
  await closeClients();
  await weir?.stop();
  weir = undefined;
});
afterAll(() => rmSync(dir, { recursive: true }));

async function start(more: WeirConfig, serverUser: string | null = users.app): Promise<TestWeir> {
  weir = await startTestWeir(weirConfig(cluster, { serverUser }, more));
  return weir;
}

interface Who {
  readonly user?: string;
  readonly password?: string;
  readonly ssl?: ConnectionOptions;
}

/** current_user and whether the server's own connection has TLS; or the SQLSTATE, or what else went wrong. */
async function logIn(at: TestWeir, { user = users.app, password = PASSWORD, ssl }: Who = {}): Promise<string> {
  const url = `postgres://${user}:${encodeURIComponent(password)}@${at.host}:${at.port}/postgres`;
  try {
    const connected = await connectPg(url, ssl === undefined ? { ssl: false } : { ssl });
    const sql = 'SELECT current_user AS name, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
    const { rows } = await connected.query<{ name: string; ssl: boolean }>(sql);
    return `${rows[0]?.name ?? ''} ${rows[0]?.ssl === true ? 'with' : 'without'} TLS`;
  } catch (error) {
    return (error as { code?: string }).code ?? (error as Error).message;
  }
}

describe('TLS with clients', () => {
  const noTls = 'The server does not support SSL connections';
  const table: [mode: string, plain: string, tls: string, certificate: string][] = [
    ['disable', 'app', noTls, noTls],
    ['allow', 'app', 'app', 'app'],
    ['prefer', 'app', 'app', 'app'],
    ['require', '28000', 'app', 'app'],
    ['verify-ca', '28000', '28000', 'app'],
    ['verify-full', '28000', '28000', 'app'],
  ];

  test.each(table)('%s', async (mode, plain, tls, certificate) => {
    const at = await start({ tls: { client: { mode, ...mine, ca } } });
    expect(await logIn(at)).toMatch(plain);
    expect(await logIn(at, { ssl: checked })).toMatch(tls);
    expect(await logIn(at, { ssl: withCertificate })).toMatch(certificate);
    if (mode.startsWith('verify')) {
      expect(await logIn(at, { ssl: { ...checked, cert: forged.cert, key: forged.key } })).toBe('28000');
    }
  });

  test('the certificate that Weir shows is checked by its clients', async () => {
    const at = await start({ tls: { client: { mode: 'require', ...mine } } });
    expect(await logIn(at, { ssl: { ca: stranger.ca.cert } })).toMatch(/SELF_SIGNED|UNABLE_TO_VERIFY|CERT/);
    const sql = connectPostgresJs(at.url(), { ssl: checked });
    expect(await sql`SELECT current_user AS name`).toEqual([{ name: users.app }]);
  });

  test('a client certificate is the log-in with auth.type = cert', async () => {
    const at = await start({ auth: { type: 'cert' }, tls: { client: { mode: 'verify-full', ...mine, ca } } });
    expect(await logIn(at, { user: users.cert, ssl: withCertificate })).toBe('app with TLS');
    expect(await logIn(at, { user: users.app, ssl: withCertificate })).toBe('28000');
    expect(await logIn(at, { user: users.cert, ssl: checked })).toBe('28000');
    expect(await logIn(at, { user: users.cert, ssl: { ...checked, cert: forged.cert, key: forged.key } })).toBe(
      '28000',
    );
  });

  test.skipIf(!hasPsql)('psql in each of its own modes', async () => {
    const at = await start({ tls: { client: { mode: 'prefer', ...mine } } });
    for (const mode of ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']) {
      const where = `host=127.0.0.1 port=${at.port} dbname=postgres user=${users.app} password=${PASSWORD}`;
      const { stdout, stderr } = await runPsql(`${where} sslmode=${mode} sslrootcert=${ca}`, 'SELECT current_user');
      expect(`${stdout}${stderr}`).toContain(users.app);
    }
  });
});

describe('TLS with servers', () => {
  test.each([
    ['disable', 'without'],
    ['allow', 'without'],
    ['prefer', 'with'],
    ['require', 'with'],
    ['verify-ca', 'with'],
    ['verify-full', 'with'],
  ])('%s', async (mode, outcome) => {
    const at = await start({ tls: { server: { mode, ...(mode.startsWith('verify') ? { ca } : {}) } } });
    expect(await logIn(at)).toBe(`app ${outcome} TLS`);
  });

  test('with a certificate of its own, as the user that it names', async () => {
    const at = await start({ tls: { server: { mode: 'verify-full', ca, ...clientFiles } } }, users.cert);
    expect(await logIn(at)).toBe('cert_user with TLS');
  });
});

describe('secrets in auth.file', () => {
  const stored = new Map<string, string>();
  beforeAll(async () => {
    const sql = 'SELECT rolname AS name, rolpassword AS secret FROM pg_authid WHERE rolpassword IS NOT NULL';
    for (const { name, secret } of await cluster.query<{ name: string; secret: string }>(sql)) stored.set(name, secret);
  });

  const usersFile = (secrets: Readonly<Record<string, string | undefined>>): string =>
    save(
      'users.txt',
      Object.entries({ weir: PASSWORD, [users.monitor]: PASSWORD, ...secrets })
        .map(([name, secret]) => `"${name}" "${secret ?? ''}"\n`)
        .join(''),
    );

  test('plain, md5 and SCRAM, for clients that ask for md5 or SCRAM', async () => {
    const file = usersFile({
      [users.app]: PASSWORD,
      [users.app2]: stored.get(users.app2),
      [users.md5]: stored.get(users.md5),
    });
    expect([stored.get(users.app2), stored.get(users.md5)]).toEqual([
      expect.stringMatching(/^SCRAM-SHA-256\$/),
      expect.stringMatching(/^md5/),
    ]);
    for (const type of ['md5', 'scram-sha-256']) {
      const at = await start({ auth: { type, file } });
      for (const user of [users.app, users.app2]) {
        expect(await logIn(at, { user }), `${type} ${user}`).toContain('app');
        expect(await logIn(at, { user, password: 'wrong' })).toBe('28P01');
      }
      const ofMd5 = await logIn(at, { user: users.md5 });
      if (type === 'md5') expect(ofMd5).toContain('app');
      else expect(ofMd5).toBe('28P01');
      expect(await logIn(at, { user: 'nobody_at_all' })).toBe('28P01');
      await closeClients();
      await at.stop();
    }
    weir = undefined;
  });

  test('the verifier that PostgreSQL stores is enough for both doors: nobody but the client knows the password', async () => {
    const file = usersFile({ [users.app]: stored.get(users.app), [users.app2]: stored.get(users.app2) });
    const at = await start({ auth: { type: 'scram-sha-256', file, user: users.monitor } }, null);
    expect(await logIn(at, { user: users.app })).toBe('app with TLS');
    expect(await logIn(at, { user: users.app2 })).toBe('app2 with TLS');
    expect(await logIn(at, { user: users.app2, password: 'wrong' })).toBe('28P01');
    const sql = connectPostgresJs(`postgres://${users.app}:${PASSWORD}@127.0.0.1:${at.port}/postgres`);
    expect(await sql`SELECT current_user AS name`).toEqual([{ name: users.app }]);
  });
});
