/** Logging in to servers that are kind, odd, broken or hostile; and cancel requests to them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket, createSecureContext } from 'node:tls';
import fc from 'fast-check';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { CertificateAuthority } from '../../integration/harness/certs.ts';
import { createKeyDeriver } from '../../src/auth/keys.ts';
import { md5Hash, md5Response } from '../../src/auth/md5.ts';
import { hmac, newNonce } from '../../src/auth/scram.ts';
import { checkProof, readClientFinal, readClientFirst, serverFinal, serverFirst } from '../../src/auth/scram-server.ts';
import { sendCancel } from '../../src/backend/cancel.ts';
import { ServerLoginError, connectServer } from '../../src/backend/login.ts';
import type { ConnectOptions, ServerLink } from '../../src/backend/login.ts';
import type { TlsMode, TlsSide } from '../../src/config/config.ts';
import { AuthCode, Request } from '../../src/protocol/codes.ts';
import {
  authentication,
  authenticationOk,
  backendKeyData,
  errorResponse,
  negotiateProtocolVersion,
  noticeResponse,
  parameterStatus,
  readyForQuery,
} from '../../src/protocol/write.ts';
import { Peer, askScram, goodEnd, startFakeServer } from './fake-server.ts';
import type { FakeServer } from './fake-server.ts';

const dir = mkdtempSync(join(tmpdir(), 'weir-login-'));
const authority = new CertificateAuthority();
const caFile = join(dir, 'ca.crt');
writeFileSync(caFile, authority.ca.cert);
afterAll(() => rmSync(dir, { recursive: true }));

const servers: FakeServer[] = [];
const links: ServerLink[] = [];
afterEach(async () => {
  for (const { socket } of links.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) await server.stop();
});

const tls = (mode: TlsMode, ca?: string): TlsSide => ({ mode, ca, cert: undefined, key: undefined });

async function fake(script: (peer: Peer, count: number) => Promise<void>): Promise<FakeServer> {
  const server = await startFakeServer(script);
  servers.push(server);
  return server;
}

async function logIn(server: FakeServer, options: Partial<ConnectOptions> = {}): Promise<ServerLink> {
  const link = await connectServer({
    node: server.node,
    database: 'shop',
    user: 'ann',
    password: 'secret',
    tls: tls('disable'),
    timeoutMs: 10_000,
    ...options,
  });
  links.push(link);
  return link;
}

async function failure(server: FakeServer, options: Partial<ConnectOptions> = {}): Promise<ServerLoginError> {
  const error = await logIn(server, options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ServerLoginError)) throw new Error(`not refused properly: ${String(error)}`);
  return error;
}

/** The server's part of SCRAM; the salt is always the same. */
async function scram(peer: Peer, password: string): Promise<void> {
  peer.say(askScram);
  const initial = await peer.password();
  const nameEnd = initial.indexOf(0);
  expect(initial.toString('latin1', 0, nameEnd)).toBe('SCRAM-SHA-256');
  expect(initial.readInt32BE(nameEnd + 1)).toBe(initial.length - nameEnd - 5);
  const first = readClientFirst(initial.subarray(nameEnd + 5), { hash: undefined, isChosen: false });
  const nonce = first.nonce + newNonce();
  const salt = Buffer.from('0123456789abcdef');
  const challenge = serverFirst(nonce, salt, 4096);
  const keys = await createKeyDeriver().derive(password, salt, 4096);
  const final = readClientFinal(await peer.sasl(AuthCode.SaslContinue, challenge).password(), first, nonce);
  const authMessage = `${first.bare},${challenge},${final.withoutProof}`;
  if (checkProof(keys, authMessage, final.proof) === undefined) {
    peer.say(errorResponse({ severity: 'FATAL', sqlstate: '28P01', message: 'password authentication failed' }));
    peer.socket.end();
    return;
  }
  peer.sasl(AuthCode.SaslFinal, serverFinal(keys, authMessage)).welcome();
}

const scramServer = (password: string) =>
  fake(async (peer) => {
    await peer.startup();
    await scram(peer, password);
  });

describe('authentication', () => {
  it('trust: parameters, key and what came behind', async () => {
    let startup: Map<string, string> | undefined;
    const notify = Buffer.from('A\0\0\0\x0c\0\0\0\x01a\0b\0', 'latin1');
    const server = await fake(async (peer) => {
      startup = await peer.startup();
      peer.welcome().say(notify);
    });
    const link = await logIn(server, { parameters: { application_name: 'weir', options: '-c a=b' } });
    expect(Object.fromEntries(startup ?? [])).toEqual({
      user: 'ann',
      database: 'shop',
      application_name: 'weir',
      options: '-c a=b',
    });
    expect(Object.fromEntries(link.parameters)).toEqual({ server_version: '18.1', in_hot_standby: 'off' });
    expect(link).toMatchObject({ processId: 4711, secretKey: Buffer.from([1, 2, 3, 4]), hasTls: false });
    expect(link.socket.isPaused()).toBe(true);
    const more = await new Promise<Buffer>((resolve) => {
      if (link.leftover.length > 0) resolve(link.leftover);
      link.socket.once('data', resolve).resume();
    });
    expect(more).toEqual(notify);
  });

  it('password', async () => {
    const server = await fake(async (peer) => {
      await peer.startup();
      const password = await peer.say(authentication(AuthCode.CleartextPassword)).password();
      if (password.toString() === 'secret\0') peer.welcome();
      else peer.say(errorResponse({ severity: 'FATAL', sqlstate: '28P01', message: 'no' }));
    });
    await logIn(server);
    expect(await failure(server, { password: 'wrong' })).toMatchObject({ sqlstate: '28P01', isAuth: true });
    expect((await failure(server, { password: `md5${'0'.repeat(32)}` })).message).toContain(
      'only a hash of it is known',
    );
  });

  it('md5, from the password and from its hash', async () => {
    const salt = Buffer.from([9, 8, 7, 6]);
    const server = await fake(async (peer) => {
      await peer.startup();
      const given = await peer.say(authentication(AuthCode.Md5Password, salt)).password();
      if (given.toString() === `${md5Response(md5Hash('ann', 'secret'), salt)}\0`) peer.welcome();
      else peer.say(errorResponse({ severity: 'FATAL', sqlstate: '28P01', message: 'no' }));
    });
    await logIn(server);
    await logIn(server, { password: `md5${md5Hash('ann', 'secret')}` });
    expect((await failure(server, { password: 'wrong' })).isAuth).toBe(true);
  });

  it('SCRAM, with a shared deriver too', async () => {
    const server = await scramServer('secret');
    const keys = createKeyDeriver({ maxInFlight: 1, maxWaiting: 0 });
    await Promise.all([logIn(server, { keys }), logIn(server, { keys }), logIn(server, { keys })]);
    expect(await failure(server, { password: 'wrong' })).toMatchObject({ sqlstate: '28P01', isAuth: true });
  });

  it('SCRAM with the keys that a client has proven, without a password', async () => {
    const server = await scramServer('secret');
    const scramKeys = await createKeyDeriver().derive('secret', Buffer.from('0123456789abcdef'), 4096);
    await logIn(server, { password: undefined, scramKeys });
    expect((await failure(server, { password: undefined })).message).toMatch(
      /password of user "ann", and none is known/,
    );
  });

  it.each([
    [AuthCode.CleartextPassword, Buffer.alloc(0)],
    [AuthCode.Md5Password, Buffer.alloc(4)],
    [AuthCode.Sasl, Buffer.from('SCRAM-SHA-256\0\0')],
  ])('without a password nothing is said to request %i', async (code, data) => {
    const server = await fake(async (peer) => {
      await peer.startup();
      peer.say(authentication(code, data));
    });
    expect(await failure(server, { password: undefined })).toMatchObject({ isAuth: true, isTransport: false });
  });

  it.each([
    [AuthCode.Gss, /GSSAPI/],
    [AuthCode.KerberosV5, /Kerberos/],
    [AuthCode.Sspi, /SSPI/],
    [99, /method 99/],
  ])('a method that Weir does not speak (%i) is named', async (code, message) => {
    const server = await fake(async (peer) => {
      await peer.startup();
      peer.say(authentication(code));
    });
    const error = await failure(server);
    expect(error.message).toMatch(message);
    expect(error.isAuth).toBe(true);
  });

  it('a notice is passed on, a version negotiation taken', async () => {
    const server = await fake(async (peer) => {
      await peer.startup();
      const notice = noticeResponse({ severity: 'WARNING', sqlstate: '01000', message: 'collation version mismatch' });
      peer.say(negotiateProtocolVersion(0, ['_pq_.x']), notice, authenticationOk, notice, goodEnd);
    });
    const { notices } = await logIn(server);
    const notice = noticeResponse({ severity: 'WARNING', sqlstate: '01000', message: 'collation version mismatch' });
    expect(notices).toEqual([notice, notice]);
  });

  it('a long cancel key is kept', async () => {
    const key = Buffer.alloc(256, 3);
    const server = await fake(async (peer) => {
      await peer.startup();
      peer.say(authenticationOk, backendKeyData(1, key), readyForQuery('I'));
    });
    expect((await logIn(server)).secretKey).toEqual(key);
  });
});

describe('refusals are sorted', () => {
  it.each([
    ['53300', 'isServerFull'],
    ['28P01', 'isAuth'],
    ['28000', 'isAuth'],
    ['3D000', 'isUnknownDatabase'],
    ['57P03', 'isStartingUp'],
  ] as const)('%s is %s', async (sqlstate, kind) => {
    const fields = { severity: 'FATAL', sqlstate, message: 'because', detail: 'details', hint: 'hints' };
    const server = await fake(async (peer) => {
      await peer.startup();
      peer.say(errorResponse(fields));
      peer.socket.end();
    });
    const error = await failure(server);
    expect(error).toMatchObject({ ...fields, [kind]: true, isTransport: false });
    expect(error.node.name).toBe('db1');
    const kinds = [error.isServerFull, error.isAuth, error.isUnknownDatabase, error.isStartingUp];
    expect(kinds.filter(Boolean)).toHaveLength(1);
  });

  it.each([
    // The server has no room, or is not there yet: soon it may be different.
    ['53300', false],
    ['57P03', false],
    ['57P01', false],
    ['XX000', false],
    ['28P01', true],
    ['28000', true],
    ['3D000', true],
    ['42501', true],
  ] as const)('%s: is another try in vain? %s', async (sqlstate, isFinal) => {
    const server = await fake(async (peer) => {
      await peer.startup();
      peer.say(errorResponse({ severity: 'FATAL', sqlstate, message: 'because' }));
      peer.socket.end();
    });
    expect(await failure(server)).toMatchObject({ sqlstate, isFinal });
  });

  it('nobody listens', async () => {
    const server = await fake(() => Promise.resolve());
    await server.stop();
    servers.length = 0;
    const error = await failure(server);
    expect(error).toMatchObject({ isTransport: true, isFinal: false, sqlstate: '08001' });
    expect(error.message).toMatch(/cannot connect: .*ECONNREFUSED/);
  });

  it('the host is not known', async () => {
    const server = await fake(() => Promise.resolve());
    const error = await failure(server, { node: { ...server.node, host: 'nowhere.invalid' } });
    expect(error.isTransport).toBe(true);
    expect(error.message).toMatch(/nowhere\.invalid/);
  });

  it('all addresses of a host name are tried', async () => {
    const server = await fake(async (peer) => {
      await peer.startup();
      peer.welcome();
    });
    await logIn(server, { node: { ...server.node, host: 'localhost' } });
  });

  it.each(['disable', 'prefer'] as const)('silence ends with the deadline (%s)', async (mode) => {
    const server = await fake(() => Promise.resolve());
    const error = await failure(server, { timeoutMs: 50, tls: tls(mode) });
    expect(error).toMatchObject({ isTransport: true, message: 'timed out after 50 ms' });
  });

  it('the caller can give up, before and meanwhile', async () => {
    const server = await fake(() => Promise.resolve());
    expect((await failure(server, { signal: AbortSignal.abort() })).isTransport).toBe(true);
    const controller = new AbortController();
    const pending = failure(server, { signal: controller.signal });
    controller.abort();
    expect((await pending).message).toBe('given up by Weir');
  });
});

describe('a server that misbehaves', () => {
  const frames: [string, Buffer][] = [
    ['length 3', Buffer.from('R\0\0\0\x03', 'latin1')],
    ['a negative length', Buffer.from('R\xff\xff\xff\xff', 'latin1')],
    ['a huge length', Buffer.from('R\x7f\xff\xff\xff', 'latin1')],
    ['no authentication code', Buffer.from('R\0\0\0\x06\0\0', 'latin1')],
    ['ReadyForQuery before authentication', readyForQuery('I')],
    ['ParameterStatus before authentication', parameterStatus('a', 'b')],
    ['a salt of three bytes', authentication(AuthCode.Md5Password, Buffer.alloc(3))],
    ['the end of SCRAM first', authentication(AuthCode.SaslFinal, Buffer.from('v='))],
    ['rows', Buffer.concat([authenticationOk, Buffer.from('D\0\0\0\x06\0\0', 'latin1')])],
    ['a second AuthenticationOk', Buffer.concat([authenticationOk, authenticationOk])],
    ['a transaction that nobody began', Buffer.concat([authenticationOk, readyForQuery('T')])],
    ['a cancel key of no bytes', Buffer.concat([authenticationOk, backendKeyData(1, Buffer.alloc(0))])],
    ['a cancel key of 300 bytes', Buffer.concat([authenticationOk, backendKeyData(1, Buffer.alloc(300))])],
    ['ParameterStatus without its end', Buffer.concat([authenticationOk, Buffer.from('S\0\0\0\x06ab', 'latin1')])],
    ['endless parameters', Buffer.concat([authenticationOk, ...Array<Buffer>(1_001).fill(parameterStatus('a', 'b'))])],
    ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ];

  it.each(frames)('%s', async (_what, bytes) => {
    const server = await fake(async (peer) => {
      await peer.startup();
      peer.say(bytes);
    });
    const error = await failure(server);
    expect(error).toMatchObject({ isTransport: true, sqlstate: '08P01' });
    expect(error.message).toMatch(/^not the PostgreSQL protocol: /);
  });

  it('AuthenticationOk in the middle of SCRAM: it has not shown that it knows the password', async () => {
    for (const steps of [0, 1]) {
      const server = await fake(async (peer) => {
        await peer.startup();
        const initial = await peer.say(askScram).password();
        if (steps === 0) return void peer.welcome();
        const nonce = /r=(.*)/.exec(initial.toString('latin1'))?.[1] ?? '';
        await peer.sasl(AuthCode.SaslContinue, serverFirst(`${nonce}x`, Buffer.from('salt'), 1)).password();
        peer.welcome();
      });
      expect((await failure(server)).message).toMatch(/authentication message 0 in step "scram-/);
    }
  });

  it('a wrong signature at the end of SCRAM', async () => {
    const server = await fake(async (peer) => {
      await peer.startup();
      const initial = await peer.say(askScram).password();
      const nonce = /r=(.*)/.exec(initial.toString('latin1'))?.[1] ?? '';
      await peer.sasl(AuthCode.SaslContinue, serverFirst(`${nonce}x`, Buffer.from('salt'), 1)).password();
      peer.sasl(AuthCode.SaslFinal, `v=${hmac(Buffer.from('x'), 'y').toString('base64')}`).welcome();
    });
    expect((await failure(server)).message).toMatch(/does not know the password/);
  });

  it('a server that asks for the password after SCRAM began', async () => {
    const server = await fake(async (peer) => {
      await peer.startup();
      await peer.say(askScram).password();
      peer.say(authentication(AuthCode.CleartextPassword));
    });
    expect((await failure(server)).message).toMatch(/authentication message 3 in step "scram-begun"/);
  });

  it('dies at every byte of a log-in', async () => {
    const whole = Buffer.concat([authenticationOk, goodEnd]);
    const server = await fake(async (peer, count) => {
      await peer.startup();
      peer.socket.end(whole.subarray(0, count - 1));
    });
    for (let at = 0; at < whole.length; at++) {
      expect((await failure(server)).message).toMatch(/log-in was cut short/);
    }
  });

  it('says anything at all: 2,000 mutated log-ins end in a link or a ServerLoginError', async () => {
    const whole = Buffer.concat([authenticationOk, goodEnd]);
    let bytes = whole;
    const server = await fake(async (peer) => {
      await peer.startup();
      peer.socket.end(bytes);
    });
    const mutation = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(mutation, async (changes) => {
        bytes = Buffer.from(whole);
        for (const [at, byte] of changes) bytes[at] = byte;
        const outcome = await logIn(server).catch((error: unknown) => error);
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(ServerLoginError);
        for (const { socket } of links.splice(0)) socket.destroy();
      }),
      { numRuns: 2_000, endOnFailure: true },
    );
  });
});

describe('TLS', () => {
  const good = authority.server();
  const elsewhere = authority.server(['elsewhere.example']);
  const unknown = new CertificateAuthority().server();

  /** Takes SSLRequest with a certificate, or says N. `hba`: refuses log-ins that are (not) encrypted. */
  function tlsServer(certificate: typeof good | undefined, hba: 'any' | 'ssl' | 'nossl' = 'any'): Promise<FakeServer> {
    return fake(async (peer) => {
      let inner = peer;
      let hasTls = false;
      const first = await peer.reader.nextStartup();
      if (first.code === Request.ssl) {
        peer.say(Buffer.from(certificate === undefined ? 'N' : 'S'));
        if (certificate !== undefined) {
          peer.reader.detach();
          const socket = new TLSSocket(peer.socket, {
            isServer: true,
            secureContext: createSecureContext(certificate),
          });
          socket.on('error', () => socket.destroy());
          inner = new Peer(socket);
          hasTls = true;
        }
        await inner.startup();
      }
      if (hba === 'any' || (hba === 'ssl') === hasTls) return void inner.welcome();
      inner.say(errorResponse({ severity: 'FATAL', sqlstate: '28000', message: 'no pg_hba.conf entry' }));
      inner.socket.end();
    });
  }

  it.each([
    // mode, certificate, hba -> with TLS, without, or why not
    ['disable', good, 'any', false],
    ['disable', good, 'ssl', 'no pg_hba.conf entry'],
    ['allow', good, 'any', false],
    ['allow', good, 'ssl', true],
    ['allow', undefined, 'ssl', 'no pg_hba.conf entry'],
    ['prefer', good, 'any', true],
    ['prefer', undefined, 'any', false],
    ['prefer', good, 'nossl', false],
    ['prefer', undefined, 'ssl', 'no pg_hba.conf entry'],
    ['require', good, 'any', true],
    ['require', unknown, 'any', true],
    ['require', undefined, 'any', 'does not offer TLS'],
    ['require', good, 'nossl', 'no pg_hba.conf entry'],
  ] as const)('%s', async (mode, certificate, hba, expected) => {
    const server = await tlsServer(certificate, hba);
    if (typeof expected === 'string') {
      expect((await failure(server, { tls: tls(mode) })).message).toContain(expected);
    } else {
      expect((await logIn(server, { tls: tls(mode) })).hasTls).toBe(expected);
    }
  });

  it.each([
    ['require', unknown, /signature failure/],
    ['verify-ca', unknown, /signature failure/],
    ['verify-ca', elsewhere, true],
    ['verify-ca', good, true],
    ['verify-full', unknown, /signature failure/],
    ['verify-full', elsewhere, /does not match|altnames/],
    ['verify-full', good, true],
  ] as const)('%s with a ca', async (mode, certificate, expected) => {
    const server = await tlsServer(certificate);
    const side = tls(mode, caFile);
    if (expected === true) {
      expect((await logIn(server, { tls: side })).hasTls).toBe(true);
    } else {
      const error = await failure(server, { tls: side });
      expect(error.message).toMatch(expected);
      expect(error).toMatchObject({ isTransport: true, sqlstate: '08001' });
    }
  });

  it('verify-full checks the certificate for the name of a node found in DNS, and asks for it', async () => {
    const server = await tlsServer(elsewhere);
    const node = { ...server.node, tlsName: 'elsewhere.example' };
    expect((await logIn(server, { node, tls: tls('verify-full', caFile) })).hasTls).toBe(true);
    const other = { ...server.node, tlsName: 'other.example' };
    const error = await failure(server, { node: other, tls: tls('verify-full', caFile) });
    expect(error.message).toMatch(/does not match|altnames/);
  });

  it('prefer goes on without TLS when the handshake fails', async () => {
    const server = await fake(async (peer, count) => {
      if (count === 1) {
        await peer.packet();
        peer.say(Buffer.from('S'));
        await peer.reader.nextByte();
        peer.say(Buffer.from('this is not TLS'));
        peer.socket.end();
        return;
      }
      await peer.startup();
      peer.welcome();
    });
    expect((await logIn(server, { tls: tls('prefer') })).hasTls).toBe(false);
    expect(server.connections()).toBe(2);
  });

  it.each([
    ['plain bytes behind S', Buffer.concat([Buffer.from('S'), authenticationOk, goodEnd]), /unencrypted data/],
    ['plain bytes behind N', Buffer.concat([Buffer.from('N'), authenticationOk, goodEnd]), /unencrypted data/],
    ['something else', Buffer.from('X'), /answered SSLRequest with 'X'/],
    ['an error', errorResponse({ severity: 'FATAL', sqlstate: '0A000', message: 'trust me' }), /with an error/],
  ])('%s is refused', async (_what, bytes, message) => {
    const server = await fake(async (peer) => {
      await peer.packet();
      peer.say(bytes);
    });
    const error = await failure(server, { tls: tls('prefer') });
    expect(error.isTransport).toBe(true);
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('trust me');
  });

  it('a file that is missing is named', async () => {
    const server = await tlsServer(good);
    const error = await failure(server, { tls: tls('verify-ca', join(dir, 'missing.crt')) });
    expect(error.message).toMatch(/tls\.server\.ca: cannot read .*missing\.crt/);
  });
});

describe('sendCancel', () => {
  const request = { processId: 7, secretKey: Buffer.from([1, 2, 3, 4]), timeoutMs: 5_000 };

  it('resolves when the server closes, not before', async () => {
    let hang: (() => void) | undefined;
    let got: Buffer | undefined;
    const server = await fake(async (peer) => {
      const { code, body } = await peer.reader.nextStartup();
      expect(code).toBe(Request.cancel);
      await new Promise<void>((resolve) => (hang = resolve));
      got = Buffer.from(body);
      peer.socket.end();
    });
    let isDone = false;
    const sent = sendCancel({ ...request, node: server.node, tls: tls('disable') }).then(() => (isDone = true));
    await expect.poll(() => hang !== undefined).toBe(true);
    expect(isDone).toBe(false);
    hang?.();
    await sent;
    expect(got).toEqual(Buffer.from([0, 0, 0, 7, 1, 2, 3, 4]));
  });

  it.each([
    ['prefer', true],
    ['prefer', false],
    ['require', true],
  ] as const)('%s, server with TLS %s', async (mode, hasTls) => {
    const codes: number[] = [];
    const server = await fake(async (peer) => {
      codes.push(await peer.packet());
      let inner = peer;
      peer.say(Buffer.from(hasTls ? 'S' : 'N'));
      if (hasTls) {
        peer.reader.detach();
        const secureContext = createSecureContext(authority.server());
        inner = new Peer(new TLSSocket(peer.socket, { isServer: true, secureContext }));
      }
      codes.push(await inner.packet());
      inner.socket.end();
    });
    await sendCancel({ ...request, node: server.node, tls: tls(mode) });
    expect(codes).toEqual([Request.ssl, Request.cancel]);
  });

  it('rejects when the server cannot be reached, or never closes', async () => {
    const server = await fake(() => Promise.resolve());
    const options = { ...request, node: server.node, tls: tls('disable') };
    await expect(sendCancel({ ...options, timeoutMs: 50 })).rejects.toThrow('cancel: timed out after 50 ms');
    await server.stop();
    servers.length = 0;
    await expect(sendCancel(options)).rejects.toBeInstanceOf(ServerLoginError);
  });

  it('rejects when the server resets the connection: it may not have read it', async () => {
    const server = await fake((peer) => Promise.resolve(void peer.socket.resetAndDestroy()));
    const options = { ...request, node: server.node, tls: tls('disable') };
    await expect(sendCancel(options)).rejects.toBeInstanceOf(ServerLoginError);
  });

  it('waits longer for the server as long as it is wanted', async () => {
    const server = await fake(() => Promise.resolve());
    let asked = 0;
    const isWanted = (): boolean => ++asked < 3;
    const options = { ...request, node: server.node, tls: tls('disable'), timeoutMs: 20, isWanted };
    await expect(sendCancel(options)).rejects.toThrow('timed out');
    expect(asked).toBe(3);
  });
});
