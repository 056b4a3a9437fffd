/**
 * SCRAM-SHA-256-PLUS on both sides, against the real thing: node-postgres and psql in front of Weir, PostgreSQL behind
 * it, and somebody in between who shows another certificate of the same authority.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectPlain, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ServerLoginError } from '../src/backend/login.ts';
import { connectServer } from '../src/backend/login.ts';
import type { TlsMode } from '../src/config/config.ts';
import { AuthCode } from '../src/protocol/codes.ts';
import { authentication, sslRequest, strings } from '../src/protocol/write.ts';
import type { TestWeir } from './harness/index.ts';
import {
  CertificateAuthority,
  PASSWORD,
  runPsql,
  startTestWeir,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import { majorVersionOf } from './harness/programs.ts';

const cluster = useCluster();
const dir = mkdtempSync(join(tmpdir(), 'weir-binding-'));
const save = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text, { mode: 0o600 });
  return join(dir, name);
};
const authority = new CertificateAuthority({ cert: cluster.caCert, key: cluster.caKey });
const ca = save('ca.crt', cluster.caCert);

const own = authority.server();
let weir: TestWeir;
const closing: (() => void)[] = [];

beforeAll(async () => {
  const client = { mode: 'require', cert: save('server.crt', own.cert), key: save('server.key', own.key) };
  const [row] = await cluster.query<{ secret: string }>(
    `SELECT rolpassword AS secret FROM pg_authid WHERE rolname = '${users.app}'`,
  );
  // Weir knows no password but the monitor's: what clients prove to it is what it logs in with.
  const file = save('users.txt', `"${users.app}" "${row?.secret ?? ''}"\n"${users.monitor}" "${PASSWORD}"\n`);
  const auth = { type: 'scram-sha-256', file, user: users.monitor };
  const tls = { client, server: { mode: 'require' } };
  weir = await startTestWeir(weirConfig(cluster, { serverUser: null }, { auth, tls }));
});
afterEach(() => {
  for (const close of closing.splice(0)) close();
});
afterAll(async () => {
  await weir.stop();
  rmSync(dir, { recursive: true });
});

interface Address {
  readonly host: string;
  readonly port: number;
}

type Rewrite = (words: Buffer) => Buffer;
const verbatim: Rewrite = (words) => words;
const offersPlus = authentication(AuthCode.Sasl, strings('SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256', ''));
/** Takes channel binding off the list of what is offered. */
const takePlusAway: Rewrite = (words) =>
  words.equals(offersPlus) ? authentication(AuthCode.Sasl, strings('SCRAM-SHA-256', '')) : words;

/** Somebody in between: TLS to both sides, with a certificate of his own for the clients. */
async function startMiddleman(real: Address, rewrite = verbatim, identity = authority.server()): Promise<Address> {
  const sockets: Socket[] = [];
  const kept = <T extends Socket>(socket: T): T => {
    sockets.push(socket);
    return socket.on('error', () => undefined);
  };
  const tls = createTlsServer({ ...identity, ALPNProtocols: ['postgresql'] }, (client) => {
    const plain = kept(connectPlain(real.port, real.host));
    plain.write(sslRequest);
    plain.once('data', () => {
      const upstream = kept(connectTls({ socket: plain, rejectUnauthorized: false }));
      upstream.on('data', (words: Buffer) => client.write(rewrite(words))).on('end', () => client.end());
      kept(client)
        .on('data', (words: Buffer) => upstream.write(words))
        .on('end', () => upstream.end());
    });
  });
  const server = createServer((socket) => {
    kept(socket).once('data', () => {
      socket.write('S');
      tls.emit('connection', socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

/** Who one is at the other end; or the SQLSTATE and words of the refusal. */
async function logIn(at: Address, enableChannelBinding: boolean): Promise<string> {
  const where = { host: at.host, port: at.port, database: 'postgres', ssl: { ca: cluster.caCert } };
  const client = new pg.Client({ ...where, user: users.app, password: PASSWORD, enableChannelBinding });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query<{ name: string }>('SELECT current_user AS name')).rows[0]?.name ?? '';
  } catch (error) {
    return `${(error as { code?: string }).code ?? ''} ${(error as Error).message}`;
  } finally {
    await client.end().catch(() => undefined);
  }
}

describe.each(['Weir', 'PostgreSQL'])('clients of %s', (which) => {
  const real = (): Address => (which === 'Weir' ? weir : cluster.primary);

  test('with channel binding and without', async () => {
    expect(await logIn(real(), true)).toBe(users.app);
    expect(await logIn(real(), false)).toBe(users.app);
  });

  test('with somebody in between: whoever binds is told so', async () => {
    const middleman = await startMiddleman(real());
    expect(await logIn(middleman, false)).toBe(users.app);
    expect(await logIn(middleman, true)).toBe('28000 SCRAM channel binding check failed');
  });

  test('with somebody in between who takes the offer away', async () => {
    const middleman = await startMiddleman(real(), takePlusAway);
    expect(await logIn(middleman, true)).toBe('28000 SCRAM channel binding negotiation error');
  });
});

test('somebody who shows the same certificate has its key, and is no stranger', async () => {
  expect(await logIn(await startMiddleman(weir, verbatim, own), true)).toBe(users.app);
});

test.skipIf((majorVersionOf('psql') ?? 0) < 13)('psql with channel_binding=require', async () => {
  const url = (at: Address): string =>
    `host=127.0.0.1 port=${at.port} dbname=postgres user=${users.app} password=${PASSWORD} ` +
    `sslmode=verify-full sslrootcert=${ca} channel_binding=require`;
  expect((await runPsql(url(weir), 'SELECT current_user')).stdout.trim()).toBe(users.app);
  const refused = await runPsql(url(await startMiddleman(weir)), 'SELECT current_user');
  expect(refused.stderr).toContain('SCRAM channel binding check failed');
  const stripped = await runPsql(url(await startMiddleman(weir, takePlusAway)), 'SELECT current_user');
  expect(stripped.stderr).toContain('channel binding is required');
});

describe('Weir as a client of PostgreSQL', () => {
  async function connect(at: Address, mode: TlsMode): Promise<string> {
    const node = { name: 'primary', host: at.host, port: at.port, database: undefined, weight: 1 };
    try {
      const link = await connectServer({
        node: { ...node, user: undefined, password: undefined },
        database: 'postgres',
        user: users.app,
        password: PASSWORD,
        tls: { mode, ca: undefined, cert: undefined, key: undefined },
        timeoutMs: 60_000,
      });
      link.socket.destroy();
      return link.hasTls ? 'with TLS' : 'without TLS';
    } catch (error) {
      const { sqlstate, message } = error as ServerLoginError;
      return `${sqlstate} ${message}`;
    }
  }

  test('with TLS and without', async () => {
    expect(await connect(cluster.primary, 'require')).toBe('with TLS');
    expect(await connect(cluster.primary, 'disable')).toBe('without TLS');
  });

  test('with somebody in between: the password is of no use to him', async () => {
    expect(await connect(await startMiddleman(cluster.primary), 'require')).toMatch(
      /^28000 .*SCRAM channel binding check failed/,
    );
    expect(await connect(await startMiddleman(cluster.primary, takePlusAway), 'require')).toMatch(
      /^28000 .*SCRAM channel binding negotiation error/,
    );
  });
});
