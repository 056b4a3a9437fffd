/**
 * Both doors against the real thing: Weir's log-in to PostgreSQL by every method and TLS mode, and psql's log-in to
 * Weir's listener, with a bare pipe between the two.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ScramKeys } from '../src/auth/scram.ts';
import type { Proven } from '../src/auth/types.ts';
import { sendCancel } from '../src/backend/cancel.ts';
import { ServerLoginError, connectServer } from '../src/backend/login.ts';
import type { ConnectOptions, ServerLink } from '../src/backend/login.ts';
import type { NodeConfig, TlsMode, TlsSide } from '../src/config/config.ts';
import { createListener } from '../src/frontend/listener.ts';
import type { Listener, ListenerOptions, LoggedInClient } from '../src/frontend/listener.ts';
import { MessageReader } from '../src/net/message-reader.ts';
import { readErrorFields } from '../src/protocol/read.ts';
import { backendKeyData, parameterStatus, query, readyForQuery } from '../src/protocol/write.ts';
import { CertificateAuthority, PASSWORD, findProgram, runPsql, useCluster, users } from './harness/index.ts';

const cluster = useCluster();
const dir = mkdtempSync(join(tmpdir(), 'weir-login-'));
const save = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const authority = new CertificateAuthority({ cert: cluster.caCert, key: cluster.caKey });
const ca = save('ca.crt', cluster.caCert);
const clientCertificate = authority.client(users.cert);
const serverCertificate = authority.server();
const certificate = {
  cert: save('client.crt', clientCertificate.cert),
  key: save('client.key', clientCertificate.key),
};
const listenerTls: TlsSide = {
  mode: 'prefer',
  cert: save('server.crt', serverCertificate.cert),
  key: save('server.key', serverCertificate.key),
  ca,
};

const links: ServerLink[] = [];
const listeners: Listener[] = [];
afterEach(async () => {
  for (const { socket } of links.splice(0)) socket.destroy();
  for (const listener of listeners.splice(0)) await listener.close();
});

const hasPsql = findProgram('psql') !== undefined;
/** Passwords on which the steps of SASLprep matter: mapped, composed, decomposed, prohibited, mixed directions. */
const oddPasswords = [
  'I\u00adX \u2168\u00aa',
  '\u00e4',
  'a\u0308',
  'a\u00a0b',
  '\u0001\u00aa',
  '\u0627\u0031\u00aa',
  '\u{1f511}',
];
const literal = (text: string): string => pg.escapeLiteral(text);

beforeAll(async () => {
  await cluster.query(`CREATE ROLE crowd_user LOGIN PASSWORD ${literal(PASSWORD)} CONNECTION LIMIT 0`);
  for (const [index, password] of oddPasswords.entries()) {
    await cluster.query(`CREATE ROLE odd_user_${index} LOGIN PASSWORD ${literal(password)}`);
  }
});

afterAll(async () => {
  await cluster.query('DROP ROLE crowd_user');
  for (const index of oddPasswords.keys()) await cluster.query(`DROP ROLE odd_user_${index}`);
  rmSync(dir, { recursive: true });
});

const nodeOf = (): NodeConfig => ({
  name: cluster.primary.name,
  host: '127.0.0.1',
  port: cluster.primary.port,
  database: 'postgres',
  user: undefined,
  password: undefined,
  weight: 1,
});

const side = (mode: TlsMode, more: Partial<TlsSide> = {}): TlsSide => ({
  mode,
  ca: undefined,
  cert: undefined,
  key: undefined,
  ...more,
});

async function logIn(user: string, options: Partial<ConnectOptions> = {}): Promise<ServerLink> {
  const base = {
    node: nodeOf(),
    database: 'postgres',
    user,
    password: PASSWORD,
    tls: side('prefer'),
    timeoutMs: 20_000,
  };
  const link = await connectServer({ ...base, ...options });
  links.push(link);
  return link;
}

async function failure(user: string, options: Partial<ConnectOptions> = {}): Promise<ServerLoginError> {
  const error = await logIn(user, options).catch((reason: unknown) => reason);
  if (!(error instanceof ServerLoginError)) throw new Error(`not refused: ${String(error)}`);
  return error;
}

/** First value of the first row, or the SQLSTATE of the error. */
async function ask(link: ServerLink, sql: string): Promise<string> {
  const reader = new MessageReader(link.socket, 30_000);
  link.socket.write(query(sql));
  let answer = '';
  for (;;) {
    const { type, body } = await reader.next(1 << 20);
    const letter = String.fromCharCode(type);
    if (letter === 'D') answer = body.toString('utf8', 6);
    if (letter === 'E') answer = readErrorFields(body, 0, body.length).get('C') ?? '';
    if (letter === 'Z') break;
  }
  reader.detach();
  return answer;
}

describe('log-in to PostgreSQL', () => {
  test.each([users.trust, users.password, users.md5, users.app])('%s, plain and over TLS', async (user) => {
    for (const mode of ['disable', 'require'] as const) {
      const link = await logIn(user, { tls: side(mode) });
      expect(link.hasTls).toBe(mode === 'require');
      expect(await ask(link, 'SELECT current_user')).toBe(user);
      expect(await ask(link, 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')).toBe(link.hasTls ? 't' : 'f');
      expect(await ask(link, 'SELECT pg_backend_pid()')).toBe(String(link.processId));
      expect(link.parameters.get('server_version')).toMatch(/^\d+/);
      expect(link.parameters.get('client_encoding')).toBe('UTF8');
      expect(link.leftover).toHaveLength(0);
    }
  });

  test('startup parameters arrive', async () => {
    const parameters = { application_name: 'weir test', options: '-c search_path=a,b -c extra_float_digits=2' };
    const link = await logIn(users.app, { parameters });
    expect(await ask(link, 'SHOW application_name')).toBe('weir test');
    expect(await ask(link, 'SHOW search_path')).toBe('a,b');
    expect(link.parameters.get('application_name')).toBe('weir test');
  });

  test('a wrong password, no password, an unknown user', async () => {
    for (const user of [users.password, users.md5, users.app, 'nobody_at_all']) {
      expect(await failure(user, { password: 'wrong' })).toMatchObject({ sqlstate: '28P01', isAuth: true });
    }
    expect(await failure(users.app, { password: undefined })).toMatchObject({ isAuth: true, isTransport: false });
  });

  test('refusals of the server are told apart', async () => {
    expect((await failure(users.app, { database: 'no_such_database' })).isUnknownDatabase).toBe(true);
    expect((await failure('crowd_user')).isServerFull).toBe(true);
    expect(await failure(users.reject)).toMatchObject({ sqlstate: '28000', isAuth: true });
  });

  test('TLS: who must have it gets it, and the certificate is checked', async () => {
    expect((await failure(users.tls, { tls: side('disable') })).isAuth).toBe(true);
    for (const tls of [
      side('allow'),
      side('prefer'),
      side('require'),
      side('verify-ca', { ca }),
      side('verify-full', { ca }),
    ]) {
      expect((await logIn(users.tls, { tls })).hasTls).toBe(true);
    }
    const other = save('other.crt', new CertificateAuthority().ca.cert);
    expect((await failure(users.app, { tls: side('verify-ca', { ca: other }) })).isTransport).toBe(true);
  });

  test('a client certificate', async () => {
    const link = await logIn(users.cert, { password: undefined, tls: side('require', certificate) });
    expect(await ask(link, 'SELECT current_user')).toBe(users.cert);
    expect((await failure(users.cert, { password: undefined })).isAuth).toBe(true);
  });

  test('odd passwords are prepared as PostgreSQL does', async () => {
    for (const [index, password] of oddPasswords.entries()) {
      const link = await logIn(`odd_user_${index}`, { password });
      expect(await ask(link, 'SELECT 1')).toBe('1');
    }
  });

  test('the md5 hash of pg_authid is as good as the password', async () => {
    const rows = await cluster.query<{ rolpassword: string }>(
      `SELECT rolpassword FROM pg_authid WHERE rolname = ${literal(users.md5)}`,
    );
    expect(rows[0]?.rolpassword).toMatch(/^md5/);
    await logIn(users.md5, { password: rows[0]?.rolpassword });
  });

  test('a cancel request ends a query, in the clear and over TLS', async () => {
    for (const mode of ['disable', 'require'] as const) {
      const link = await logIn(users.app, { tls: side(mode) });
      const answer = ask(link, 'SELECT pg_sleep(60)');
      const asleep = `SELECT 1 FROM pg_stat_activity WHERE pid = ${link.processId} AND wait_event = 'PgSleep'`;
      await expect.poll(async () => (await cluster.query(asleep)).length, { timeout: 20_000 }).toBe(1);
      const { processId, secretKey } = link;
      await sendCancel({ node: nodeOf(), tls: side(mode), processId, secretKey, timeoutMs: 10_000 });
      expect(await answer).toBe('57014');
    }
  });
});

/** A listener whose clients are each given a server of their own: the two doors and nothing between them. */
async function startPipe(options: Partial<ListenerOptions>, server: Partial<ConnectOptions> = {}): Promise<string> {
  const join = async ({ socket, unsent, leftover, user, database }: LoggedInClient): Promise<void> => {
    try {
      const link = await logIn(user, { database, ...server });
      unsent.send();
      for (const [name, value] of link.parameters) socket.write(parameterStatus(name, value));
      socket.write(Buffer.concat([backendKeyData(link.processId, link.secretKey), readyForQuery('I')]));
      link.socket.write(leftover);
      link.socket.on('error', () => socket.destroy()).pipe(socket);
      socket.on('error', () => link.socket.destroy()).pipe(link.socket);
    } catch {
      socket.destroy();
    }
  };
  const listener = createListener({
    listen: { host: '127.0.0.1', port: 0 },
    tls: listenerTls,
    auth: { type: 'trust', users: () => undefined },
    findDatabase: () => 'ok',
    consoleNames: ['weir'],
    consoleUserAllowed: () => false,
    isConsoleAdmin: () => false,
    maxClientConn: () => 100,
    maxLogins: () => 100,
    loginTimeoutMs: () => 60_000,
    isFull: () => false,
    tryEnter: () => true,
    leave: () => undefined,
    onClient: (client) => void join(client),
    onCancel: (processId, secretKey, done) => {
      void sendCancel({ node: nodeOf(), tls: side('prefer'), processId, secretKey, timeoutMs: 10_000 }).finally(done);
    },
    onRefused: () => undefined,
    log: () => undefined,
    isDraining: () => false,
    ...options,
  });
  await listener.listen();
  listeners.push(listener);
  return `host=127.0.0.1 port=${listener.address().port} dbname=postgres`;
}

async function secretOf(user: string): Promise<string> {
  const sql = `SELECT rolpassword FROM pg_authid WHERE rolname = ${literal(user)}`;
  return (await cluster.query<{ rolpassword: string }>(sql))[0]?.rolpassword ?? '';
}

describe.skipIf(!hasPsql)('psql through both doors', () => {
  const say = async (url: string, user: string, password: string, more = ''): Promise<string> => {
    const result = await runPsql(`${url} user=${user} password='${password}' ${more}`, 'SELECT current_user');
    return (result.code === 0 ? result.stdout : result.stderr).trim();
  };

  test.each(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'])('sslmode=%s', async (mode) => {
    const url = await startPipe({});
    expect(await say(url, users.app, '', `sslmode=${mode} sslrootcert=${ca}`)).toBe(users.app);
  });

  test('every method, with the secrets that PostgreSQL itself stores', async () => {
    const stored = new Map<string, string>();
    for (const user of [users.app, users.md5]) stored.set(user, await secretOf(user));
    stored.set(users.password, PASSWORD);
    const lookup = (name: string): string | undefined => stored.get(name);
    for (const type of ['md5', 'scram-sha-256'] as const) {
      const url = await startPipe({ auth: { type, users: lookup } });
      for (const user of [users.app, users.password]) {
        for (const mode of ['disable', 'require']) {
          expect(await say(url, user, PASSWORD, `sslmode=${mode}`)).toBe(user);
        }
        expect(await say(url, user, 'wrong')).toContain(`FATAL:  password authentication failed for user "${user}"`);
      }
      const outcome = await say(url, users.md5, PASSWORD);
      if (type === 'md5') expect(outcome).toBe(users.md5);
      else expect(outcome).toContain('password authentication failed');
    }
  });

  test('a client certificate', async () => {
    const url = await startPipe(
      { auth: { type: 'cert', users: () => undefined } },
      { tls: side('require', certificate) },
    );
    // libpq insists on a key that nobody else may read.
    const privateKey = join(dir, 'private.key');
    writeFileSync(privateKey, clientCertificate.key, { mode: 0o600 });
    const tls = `sslmode=require sslcert=${certificate.cert} sslkey=${privateKey}`;
    expect(await say(url, users.cert, '', tls)).toBe(users.cert);
    expect(await say(url, users.app, '', tls)).toContain('certificate authentication failed for user "app"');
    expect(await say(url, users.cert, '', 'sslmode=disable')).toContain('connection requires TLS');
  });

  test('odd passwords, against plain secrets', async () => {
    for (const password of oddPasswords) {
      const url = await startPipe({ auth: { type: 'scram-sha-256', users: () => password } });
      expect(await say(url, users.app, password)).toBe(users.app);
    }
  });
});

describe('a stored SCRAM verifier is enough', () => {
  test('the keys that a client proves log Weir in to the server, without any password', async () => {
    const secret = await secretOf(users.app);
    const proven: ScramKeys[] = [];
    const auth = {
      type: 'scram-sha-256' as const,
      users: () => secret,
      onProven: ({ scramKeys }: Proven) => scramKeys !== undefined && proven.push(scramKeys),
    };
    await startPipe({ auth });
    const port = listeners[0]?.address().port ?? 0;
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      user: users.app,
      password: PASSWORD,
      database: 'postgres',
    });
    await client.connect();
    await client.end();
    const [scramKeys] = proven;
    if (scramKeys === undefined) throw new Error('no keys');
    const link = await logIn(users.app, { password: undefined, scramKeys });
    expect(await ask(link, 'SELECT current_user')).toBe(users.app);
  });
});
