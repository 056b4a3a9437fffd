/** TLS with clients: who is offered it, who must have it, and what certificates do. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, Writable } from 'node:stream';
import { connect as connectPlain } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import pg from 'pg';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { CertificateAuthority } from '../../integration/harness/certs.ts';
import type { Certificate } from '../../integration/harness/certs.ts';
import { until } from '../../integration/harness/until.ts';
import type { TlsMode, TlsSide } from '../../src/config/config.ts';
import type { AcceptorOptions } from '../../src/frontend/types.ts';
import { clientTls, serverTlsOptions } from '../../src/net/tls.ts';
import { cancelRequest, sslRequest, startupMessage, strings } from '../../src/protocol/write.ts';
import { RawClient, gssEncRequest, noTls, passwordMessage, startFixture } from './fixture.ts';
import type { Fixture } from './fixture.ts';

const dir = mkdtempSync(join(tmpdir(), 'weir-tls-'));
const authority = new CertificateAuthority();
const stranger = new CertificateAuthority();
const save = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const serverCertificate = authority.server();
const files = {
  cert: save('server.crt', serverCertificate.cert),
  key: save('server.key', serverCertificate.key),
  ca: save('ca.crt', authority.ca.cert),
};
const side = (mode: TlsMode, withCa = false): TlsSide => ({ ...files, mode, ca: withCa ? files.ca : undefined });

const fixtures: Fixture[] = [];
afterEach(async () => {
  for (const fixture of fixtures.splice(0)) await fixture.stop();
});
afterAll(() => rmSync(dir, { recursive: true }));

async function open(overrides: Partial<AcceptorOptions>): Promise<Fixture> {
  const fixture = await startFixture(overrides);
  fixtures.push(fixture);
  return fixture;
}

async function logIn(fixture: Fixture, ssl: pg.ClientConfig['ssl'], user = 'ann'): Promise<string> {
  const client = new pg.Client({ host: '127.0.0.1', port: fixture.port, user, database: 'shop', ssl });
  try {
    await client.connect();
    return ((await client.query('SELECT 1')).rows[0] as { who: string }).who;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** A client behind SSLRequest and the handshake. */
async function handshake(fixture: Fixture, options: ConnectionOptions = {}): Promise<RawClient> {
  const raw = await RawClient.connect(fixture.port);
  expect(await raw.say(sslRequest).reader.nextByte()).toBe(0x53);
  raw.reader.detach();
  const socket: TLSSocket = connectTls({ socket: raw.socket, ca: authority.ca.cert, host: '127.0.0.1', ...options });
  await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  return new RawClient(socket);
}

const ca = authority.ca.cert;
const asClient = ({ cert, key }: Certificate): pg.ClientConfig['ssl'] => ({ ca, cert, key });

describe('modes', () => {
  it.each([
    ['disable', side('disable')],
    ['prefer without a certificate', { ...noTls, mode: 'prefer' as const }],
  ])('%s: not offered', async (_name, tls) => {
    const fixture = await open({ tls });
    await expect(logIn(fixture, { ca })).rejects.toThrow(/does not support SSL/);
    expect(await logIn(fixture, false)).toBe('ann');
  });

  it.each(['allow', 'prefer'] as const)('%s: offered, not demanded', async (mode) => {
    const fixture = await open({ tls: side(mode) });
    expect(await logIn(fixture, { ca })).toBe('ann');
    expect(await logIn(fixture, false)).toBe('ann');
    expect(fixture.clients.map((client) => client.hasTls)).toEqual([true, false]);
  });

  it('require: a plain connection is refused with words', async () => {
    const fixture = await open({ tls: side('require') });
    expect(await logIn(fixture, { ca })).toBe('ann');
    await expect(logIn(fixture, false)).rejects.toMatchObject({ code: '28000', message: 'connection requires TLS' });
    expect(fixture.refusals).toEqual(['tls-required']);
  });

  it.each(['verify-ca', 'verify-full'] as const)('%s: a certificate of the authority is demanded', async (mode) => {
    const fixture = await open({ tls: side(mode, true) });
    expect(await logIn(fixture, asClient(authority.client('somebody')))).toBe('ann');
    for (const ssl of [{ ca }, asClient(stranger.client('ann')), asClient(authority.client('ann', new Date(0)))]) {
      await expect(logIn(fixture, ssl)).rejects.toMatchObject({
        code: '28000',
        message: 'certificate authentication failed for user "ann"',
        detail: expect.stringContaining('tls.client.ca') as string,
      });
    }
    expect(fixture.refusals).toEqual(['no-certificate', 'no-certificate', 'no-certificate']);
    expect(fixture.logged.join()).toContain('CERT_HAS_EXPIRED');
  });

  it('passwords work inside TLS', async () => {
    const fixture = await open({ tls: side('require'), auth: { type: 'scram-sha-256', users: () => 'pw' } });
    const client = new pg.Client({ host: '127.0.0.1', port: fixture.port, user: 'ann', password: 'pw', ssl: { ca } });
    await client.connect();
    await client.end();
    expect(fixture.clients).toHaveLength(1);
  });
});

describe('auth.type = cert', () => {
  const auth = { type: 'cert' as const, users: () => undefined };

  it.each(['prefer', 'verify-full'] as const)('with mode %s: the common name is the user', async (mode) => {
    const fixture = await open({ tls: side(mode, true), auth });
    expect(await logIn(fixture, asClient(authority.client('ann')))).toBe('ann');
    for (const ssl of [asClient(authority.client('bob')), asClient(stranger.client('ann')), { ca }]) {
      await expect(logIn(fixture, ssl)).rejects.toMatchObject({ code: '28000' });
    }
    expect(fixture.refusals).toEqual(['no-certificate', 'no-certificate', 'no-certificate']);
  });

  it('without TLS there is no certificate', async () => {
    const fixture = await open({ tls: side('prefer', true), auth });
    await expect(logIn(fixture, false)).rejects.toMatchObject({ code: '28000' });
    expect(fixture.refusals).toEqual(['tls-required']);
  });
});

describe('the handshake', () => {
  it('plain bytes behind SSLRequest never reach the session', async () => {
    const fixture = await open({ tls: side('prefer') });
    const client = (await RawClient.connect(fixture.port)).say(sslRequest, startupMessage({ user: 'eve' }));
    const refusal = await client.refusal();
    expect(refusal).toMatchObject({ severity: 'FATAL', sqlstate: '08P01' });
    expect(refusal.message).toContain('unencrypted data after SSL request');
  });

  it('neither do those between S and the handshake', async () => {
    const fixture = await open({ tls: side('prefer') });
    const client = (await RawClient.connect(fixture.port)).say(sslRequest);
    expect(await client.reader.nextByte()).toBe(0x53);
    client.startup({ user: 'eve' });
    // The TLS engine may send an alert before it closes.
    await expect(client.refusal()).rejects.toThrow();
    await until('the log line', () => fixture.logged.some((line) => line.includes('tls_handshake_failed')));
    expect(fixture.clients).toHaveLength(0);
    expect(fixture.refusals).toEqual(['protocol']);
    client.close();
  });

  it('SSLRequest and GSSENCRequest cannot come again inside', async () => {
    const fixture = await open({ tls: side('prefer') });
    for (const request of [sslRequest, gssEncRequest]) {
      const client = await handshake(fixture);
      expect(await client.say(request).refusal()).toMatchObject({ sqlstate: '0A000' });
    }
  });

  it('speaks ALPN postgresql, and refuses other protocols', async () => {
    const fixture = await open({ tls: side('prefer') });
    const client = await handshake(fixture, { ALPNProtocols: ['postgresql'] });
    expect((client.socket as TLSSocket).alpnProtocol).toBe('postgresql');
    client.close();
    await expect(handshake(fixture, { ALPNProtocols: ['h2'] })).rejects.toThrow(/alert|disconnected|closed/i);
  });

  it('refuses TLS 1.1', async () => {
    const fixture = await open({ tls: side('prefer') });
    const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    await expect(handshake(fixture, old)).rejects.toThrow();
    const client = await handshake(fixture, { maxVersion: 'TLSv1.2' });
    expect((client.socket as TLSSocket).getProtocol()).toBe('TLSv1.2');
    client.close();
  });

  it('has a deadline, and so has the log-in behind it', async () => {
    const fixture = await open({ tls: side('prefer'), loginTimeoutMs: () => 300 });
    const silent = (await RawClient.connect(fixture.port)).say(sslRequest);
    expect(await silent.reader.nextByte()).toBe(0x53);
    await silent.end();
    expect(await (await handshake(fixture)).refusal()).toMatchObject({ sqlstate: '08P01' });
    expect(fixture.refusals).toEqual(['timeout', 'timeout']);
  });

  it('a session that survives its client does not keep its place', async () => {
    const fixture = await open({ tls: side('prefer') });
    const client = (await handshake(fixture)).startup({ user: 'ann' });
    await until('the client', () => fixture.clients.length === 1);
    expect(fixture.seats()).toBe(1);
    client.close();
    await until('its place to be free', () => fixture.seats() === 0);
  });
});

/** A client that begins with TLS. `wrap` may stand between it and the socket. */
async function direct(
  fixture: Fixture,
  options: ConnectionOptions = { ALPNProtocols: ['postgresql'] },
  wrap: (socket: Socket) => Duplex = (socket) => socket,
): Promise<RawClient> {
  const plain = connectPlain({ host: '127.0.0.1', port: fixture.port });
  const socket = connectTls({ socket: wrap(plain), ca, host: '127.0.0.1', ...options });
  await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  return new RawClient(socket);
}

async function expectReady(client: RawClient): Promise<void> {
  while ((await client.next()).type !== 0x5a);
}

describe('direct TLS', () => {
  it('needs no SSLRequest', async () => {
    const fixture = await open({ tls: side('require') });
    const client = (await direct(fixture)).startup({ user: 'ann' });
    await expectReady(client);
    expect(fixture.clients[0]).toMatchObject({ user: 'ann', hasTls: true });
    expect((client.socket as TLSSocket).alpnProtocol).toBe('postgresql');
    client.close();
  });

  it('works byte by byte', async () => {
    const fixture = await open({ tls: side('prefer') });
    const byteByByte = (socket: Socket): Duplex =>
      Duplex.from({
        readable: socket,
        writable: new Writable({
          write(chunk: Buffer, _encoding, done) {
            for (const byte of chunk) socket.write(Buffer.from([byte]));
            setImmediate(done);
          },
        }),
      });
    const client = (await direct(fixture, undefined, byteByByte)).startup({ user: 'ann' });
    await expectReady(client);
    client.close();
  });

  it('needs ALPN', async () => {
    const fixture = await open({ tls: side('prefer') });
    await (await direct(fixture, {})).end();
    await until('the log line', () => fixture.logged.some((line) => line.includes('without ALPN')));
    expect(fixture.refusals).toEqual(['protocol']);
    await expect(direct(fixture, { ALPNProtocols: ['h2'] })).rejects.toThrow(/alert|disconnected|closed/i);
    expect(fixture.clients).toHaveLength(0);
  });

  it('answers SSLRequest and GSSENCRequest inside with N, once', async () => {
    const fixture = await open({ tls: side('prefer') });
    for (const request of [sslRequest, gssEncRequest]) {
      const client = (await direct(fixture)).say(request);
      expect(await client.reader.nextByte()).toBe(0x4e);
      expect(await client.say(request).refusal()).toMatchObject({ sqlstate: '0A000' });
    }
  });

  it('is the first thing said or nothing', async () => {
    const fixture = await open({ tls: side('prefer') });
    const client = (await RawClient.connect(fixture.port)).say(gssEncRequest);
    expect(await client.reader.nextByte()).toBe(0x4e);
    await client.say(Buffer.from('16030100c8010000c40303', 'hex')).end();
    expect(fixture.refusals).toEqual(['protocol']);
  });

  it('a hello that is none, one that never ends, and one whose sender leaves', async () => {
    const fixture = await open({ tls: side('prefer'), loginTimeoutMs: () => 300 });
    const garbage = (await RawClient.connect(fixture.port)).say(Buffer.alloc(300, 0x16));
    await until('garbage to be refused', () => fixture.refusals.length === 1);
    const slow = (await RawClient.connect(fixture.port)).say(Buffer.from([0x16]));
    await until('the slow one to be refused', () => fixture.refusals.length === 2);
    const gone = (await RawClient.connect(fixture.port)).say(Buffer.from('160301', 'hex'));
    await until('its end', () => fixture.logged.length === 3 || void gone.socket.end() === null);
    expect(fixture.refusals).toEqual(['protocol', 'timeout']);
    for (const client of [garbage, slow, gone]) client.close();
    const proper = (await direct(fixture)).startup({ user: 'ann' });
    await expectReady(proper);
    proper.close();
  });
});

describe('SCRAM-SHA-256-PLUS, by hand', () => {
  const header = 'p=tls-server-end-point,,';
  const initial = (mechanism: string, text: string): Buffer => {
    const data = Buffer.from(text);
    const length = Buffer.alloc(4);
    length.writeInt32BE(data.length);
    return passwordMessage(Buffer.concat([strings(mechanism), length, data]));
  };
  const auth = { type: 'scram-sha-256', users: () => 'pw' } as const;

  /** A client that has been asked for SASL. */
  async function asked(fixture: Fixture): Promise<RawClient> {
    const client = (await direct(fixture)).startup({ user: 'ann' });
    expect((await client.next()).body.toString('latin1', 4)).toBe('SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0');
    return client;
  }

  it('is offered over TLS only', async () => {
    const fixture = await open({ tls: side('prefer'), auth });
    const plain = (await RawClient.connect(fixture.port)).startup({ user: 'ann' });
    expect((await plain.next()).body.toString('latin1', 4)).toBe('SCRAM-SHA-256\0\0');
    expect(await plain.say(initial('SCRAM-SHA-256-PLUS', `${header}n=,r=abc`)).refusal()).toMatchObject({
      sqlstate: '08P01',
      message: expect.stringContaining('was not offered') as string,
    });
  });

  it.each([
    ['SCRAM-SHA-256', `${header}n=,r=abc`, '08P01'],
    ['SCRAM-SHA-256', 'y,,n=,r=abc', '28000'],
    ['SCRAM-SHA-256-PLUS', 'y,,n=,r=abc', '08P01'],
    ['SCRAM-SHA-256-PLUS', 'n,,n=,r=abc', '08P01'],
    ['SCRAM-SHA-256-PLUS', 'p=tls-unique,,n=,r=abc', '08P01'],
    ['SCRAM-SHA-512-PLUS', `${header}n=,r=abc`, '08P01'],
  ])('%s with "%s" is refused', async (mechanism, text, sqlstate) => {
    const fixture = await open({ tls: side('prefer'), auth });
    const refusal = await (await asked(fixture)).say(initial(mechanism, text)).refusal();
    expect(refusal).toMatchObject({ severity: 'FATAL', sqlstate });
    expect(fixture.refusals).toEqual(['protocol']);
  });

  it('cut anywhere it is refused, and nobody gets in', async () => {
    const fixture = await open({ tls: side('prefer'), auth });
    const text = `${header}n=,r=abc`;
    for (let end = 0; end < text.length - 2; end++) {
      const client = (await asked(fixture)).say(initial('SCRAM-SHA-256-PLUS', text.slice(0, end)));
      expect(await client.refusal(), text.slice(0, end)).toMatchObject({ sqlstate: '08P01' });
    }
    const gone = await asked(fixture);
    gone.say(initial('SCRAM-SHA-256-PLUS', text).subarray(0, 20)).socket.end();
    await gone.end();
    expect(fixture.clients).toHaveLength(0);
  });

  it('a binding without its hash, or with another, is refused before the password is looked at', async () => {
    const fixture = await open({ tls: side('prefer'), auth });
    for (const binding of ['', header, `${header}x`, `${header}${'x'.repeat(32)}`, 'n,,']) {
      const client = (await asked(fixture)).say(initial('SCRAM-SHA-256-PLUS', `${header}n=,r=abc`));
      const nonce = /r=([^,]*)/.exec((await client.next()).body.toString('latin1', 4))?.[1] ?? '';
      const final = `c=${Buffer.from(binding).toString('base64')},r=${nonce},p=${Buffer.alloc(32).toString('base64')}`;
      const refusal = await client.say(passwordMessage(Buffer.from(final))).refusal();
      expect(refusal).toMatchObject({ sqlstate: '28000', message: 'SCRAM channel binding check failed' });
    }
    expect(fixture.clients).toHaveLength(0);
  });
});

describe('hellos that are none', () => {
  it('each of a thousand ends, and a proper one is served', async () => {
    const fixture = await open({ tls: side('prefer'), loginTimeoutMs: () => 2_000 });
    const hello = await captureHello();
    expect(hello[0]).toBe(0x16);
    for (let round = 0; round < 20; round++) {
      const sockets = Array.from({ length: 50 }, () => {
        const bytes = Buffer.from(hello);
        for (let change = 0; change <= round % 4; change++) {
          bytes[1 + Math.floor(Math.random() * (bytes.length - 1))] = Math.floor(Math.random() * 256);
        }
        const socket = connectPlain({ host: '127.0.0.1', port: fixture.port });
        socket.on('error', () => undefined).resume();
        socket.end(bytes.subarray(0, Math.ceil(Math.random() * bytes.length)));
        return new Promise<void>((resolve) => socket.once('close', () => resolve()));
      });
      await Promise.all(sockets);
    }
    expect(fixture.clients).toHaveLength(0);
    const client = (await direct(fixture)).startup({ user: 'ann' });
    await expectReady(client);
    client.close();
  });
});

/** What a client of libpq's kind says first. */
function captureHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const listener = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => {
        resolve(chunk);
        done();
      },
    });
    connectTls({ socket: listener, ALPNProtocols: ['postgresql'] }).on('error', () => undefined);
  });
}

it('a cancel request over TLS ends with the alert that says so: libpq takes its absence for an error', async () => {
  const fixture = await open({ tls: side('prefer') });
  const last: Buffer[] = [];
  const listened = (plain: Socket): Duplex => {
    plain.on('data', (chunk: Buffer) => last.splice(0, 1, chunk));
    return Duplex.from({ readable: plain, writable: plain });
  };
  // In TLS 1.2 the kind of a record can be seen from outside: 21 is an alert.
  const options: ConnectionOptions = { maxVersion: 'TLSv1.2', ALPNProtocols: ['postgresql'] };
  const client = await direct(fixture, options, listened);
  await client.say(cancelRequest(7, Buffer.alloc(32))).end();
  expect(fixture.cancels).toHaveLength(1);
  expect(last[0]?.[0]).toBe(21);
});

describe('reload', () => {
  it('shows the new certificate to new clients, and changes nothing when a file is bad', async () => {
    const fixture = await open({ tls: side('prefer') });
    expect(await logIn(fixture, { ca })).toBe('ann');
    expect(() => fixture.listener.reload({ ...files, mode: 'prefer', cert: '/nowhere.crt' })).toThrow('/nowhere.crt');
    expect(await logIn(fixture, { ca })).toBe('ann');
    const renewed = stranger.server();
    const tls = {
      ...noTls,
      mode: 'require' as const,
      cert: save('n.crt', renewed.cert),
      key: save('n.key', renewed.key),
    };
    fixture.listener.reload(tls);
    await expect(logIn(fixture, { ca })).rejects.toThrow(/certificate|signature/i);
    expect(await logIn(fixture, { ca: stranger.ca.cert })).toBe('ann');
    fixture.listener.reload(noTls, { type: 'md5', users: () => 'pw' });
    await expect(logIn(fixture, { ca })).rejects.toThrow(/does not support SSL/);
  });
});

describe('settings that cannot be used name the setting and the file', () => {
  const garbage = save('garbage.pem', 'not a certificate');
  const otherKey = save('other.key', stranger.server().key);
  it.each([
    [{ ...side('prefer'), cert: '/nowhere.crt' }, /tls\.client\.cert: cannot read \/nowhere\.crt: ENOENT/],
    [{ ...side('prefer'), key: undefined }, /tls\.client\.cert is set but tls\.client\.key is not/],
    [{ ...side('prefer'), cert: garbage }, /tls\.client\.cert: .*garbage\.pem is not a usable certificate/],
    [{ ...side('prefer'), key: garbage }, /tls\.client\.key: .*garbage\.pem is not the usable private key/],
    [{ ...side('prefer'), key: otherKey }, /tls\.client\.key: .*other\.key is not the usable private key/],
    [{ ...side('prefer'), ca: garbage }, /tls\.client\.ca: .*garbage\.pem is not a usable certificate/],
    [{ ...side('prefer'), ca: '/nowhere.ca' }, /tls\.client\.ca: cannot read \/nowhere\.ca/],
    [{ ...noTls, mode: 'require' as const }, /tls\.client\.mode require needs tls\.client\.cert and tls\.client\.key/],
    [{ ...side('prefer'), ciphers: 'NO-SUCH' }, /tls\.client\.ciphers: NO-SUCH cannot be used/],
    [side('verify-ca'), /tls\.client\.mode verify-ca needs tls\.client\.ca/],
  ])('%j', (tls: TlsSide, message) => {
    expect(() => clientTls(tls)).toThrow(message);
  });

  it('for servers as well', () => {
    expect(() => serverTlsOptions({ ...noTls, mode: 'verify-ca', ca: '/nowhere.ca' }, 'db')).toThrow(
      /tls\.server\.ca: cannot read \/nowhere\.ca/,
    );
  });
});

describe('serverTlsOptions', () => {
  it.each([
    ['prefer', false, false, false],
    ['require', false, false, false],
    ['require', true, true, false],
    ['verify-ca', true, true, false],
    ['verify-full', true, true, true],
    ['verify-full', false, true, true],
  ] as const)('%s, ca %s: chain checked %s, name checked %s', (mode, withCa, checksChain, checksName) => {
    const options = serverTlsOptions({ ...noTls, mode, ca: withCa ? files.ca : undefined }, 'db.example');
    expect(options.rejectUnauthorized).toBe(checksChain);
    expect(options.checkServerIdentity === undefined).toBe(checksName);
    expect(options.servername).toBe('db.example');
  });

  it('sends no SNI for addresses', () => {
    expect(serverTlsOptions({ ...noTls, mode: 'require' }, '10.0.0.1').servername).toBeUndefined();
  });
});

describe('tls.client.protocols and ciphers', () => {
  /** The version and cipher that a handshake ends with, or the code of its error. */
  async function handshake(own: Partial<TlsSide>, client: ConnectionOptions): Promise<string> {
    const server = createTlsServer(clientTls({ ...side('prefer'), ...own })?.options ?? {});
    server.on('tlsClientError', () => undefined);
    server.on('secureConnection', (socket) => socket.on('error', () => undefined).resume());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...client });
    const result = await new Promise<string>((resolve) => {
      socket.once('secureConnect', () => resolve(`${socket.getProtocol()} ${socket.getCipher().name}`));
      socket.once('error', () => resolve('refused'));
    });
    socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    return result;
  }
  const old = { maxVersion: 'TLSv1.2' } as const;

  it('hold', async () => {
    expect(await handshake({}, {})).toMatch(/^TLSv1.3/);
    expect(await handshake({}, old)).toMatch(/^TLSv1.2/);
    expect(await handshake({ protocols: ['tlsv1.3'] }, old)).toBe('refused');
    expect(await handshake({ protocols: ['tlsv1.2'] }, {})).toMatch(/^TLSv1.2/);
    const ciphers = 'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384';
    expect(await handshake({ ciphers }, old)).toMatch(/AES256-GCM-SHA384$/);
    expect(await handshake({ ciphers }, { ...old, ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' })).toBe('refused');
    expect(await handshake({ ciphers }, {})).toMatch(/^TLSv1.3/);
  });

  it('tls13_ciphers are for TLS 1.3 alone', async () => {
    const own = { tls13Ciphers: 'TLS_CHACHA20_POLY1305_SHA256' };
    expect(await handshake(own, {})).toBe('TLSv1.3 TLS_CHACHA20_POLY1305_SHA256');
    expect(await handshake(own, { ciphers: 'TLS_AES_256_GCM_SHA384', minVersion: 'TLSv1.3' })).toBe('refused');
    expect(await handshake(own, old)).toMatch(/^TLSv1.2/);
    expect(await handshake({ ...own, ciphers: 'ECDHE-RSA-AES256-GCM-SHA384' }, {})).toMatch(/^TLSv1.3 TLS_CHACHA20/);
  });
});
