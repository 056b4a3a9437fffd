/**
 * The first packets of a connection, said by hand to PostgreSQL and to Weir: versions of the protocol, `_pq_.` options,
 * what comes back byte for byte; and that a cancel request with the key that was given stops the statement.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { MessageReader, ReadError } from '../src/net/message-reader.ts';
import type { Message } from '../src/net/message-reader.ts';
import { readErrorFields } from '../src/protocol/read.ts';
import { cancelRequest, query, readyForQuery, sslRequest, strings } from '../src/protocol/write.ts';
import type { TestWeir } from './harness/index.ts';
import { CertificateAuthority, startTestWeir, until, useCluster, users, weirConfig } from './harness/index.ts';

const cluster = useCluster();
const sockets: Socket[] = [];
const dir = mkdtempSync(join(tmpdir(), 'weir-startup-'));
const save = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text, { mode: 0o600 });
  return join(dir, name);
};
let weir: TestWeir;

beforeAll(async () => {
  const { cert, key } = new CertificateAuthority({ cert: cluster.caCert, key: cluster.caKey }).server();
  const client = { mode: 'prefer', cert: save('server.crt', cert), key: save('server.key', key) };
  const more = { auth: { type: 'trust' }, tls: { client } };
  weir = await startTestWeir(weirConfig(cluster, { serverUser: users.trust }, more));
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});
afterAll(async () => {
  await weir.stop();
  rmSync(dir, { recursive: true });
});

interface Address {
  readonly host: string;
  readonly port: number;
}

/** A packet without type byte; `code` is the version asked for. */
function packet(code: number, ...parameters: string[]): Buffer {
  const body = Buffer.concat([strings(...parameters), Buffer.from([0])]);
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + body.length, 0);
  head.writeInt32BE(code, 4);
  return Buffer.concat([head, body]);
}

const version = (major: number, minor: number): number => major * 65_536 + minor;
const who = ['user', users.trust, 'database', 'postgres'];

function dial(at: Address, ...bytes: Buffer[]): MessageReader {
  const socket = connect(at.port, at.host);
  sockets.push(socket);
  socket.on('error', () => undefined).write(Buffer.concat(bytes));
  return new MessageReader(socket, 60_000);
}

/** A message as one line, without what is another's at each connection (keys) or for each program (source lines). */
function lineOf({ type, body }: Message): string {
  const letter = String.fromCharCode(type);
  if (letter === 'K') return `K with ${body.length - 4} bytes of secret`;
  if (letter !== 'E') return `${letter} ${body.toString('hex')}`;
  const fields = [...readErrorFields(body, 0, body.length)].filter(([name]) => !['F', 'L', 'R'].includes(name));
  return `E ${JSON.stringify(fields)}`;
}

/** All that comes for one packet, up to ReadyForQuery or the end. Before version 3 messages had no length. */
async function answerTo(at: Address, first: Buffer): Promise<string[]> {
  const reader = dial(at, first);
  const isOld = [1, 2].includes(first.readUInt16BE(4));
  const lines: string[] = [];
  try {
    while (isOld) lines.push(String.fromCharCode(await reader.nextByte()));
    while (!lines.at(-1)?.startsWith('Z')) {
      const message = await reader.next(65_536);
      lines.push(lineOf(message));
    }
  } catch (error) {
    if (!(error instanceof ReadError) || error.reason !== 'closed') throw error;
    lines.push('end');
  }
  // In which order the settings are reported is nobody's business.
  return lines.filter((line) => !line.startsWith('S '));
}

describe.skipIf(cluster.majorVersion < 18)('versions of the protocol, as PostgreSQL 18 answers them', () => {
  test.each([
    ['3.0', packet(version(3, 0), ...who)],
    ['3.1', packet(version(3, 1), ...who)],
    ['3.2', packet(version(3, 2), ...who)],
    ['3.3', packet(version(3, 3), ...who)],
    ['3.9999, the greasing', packet(version(3, 9999), ...who)],
    ['3.65535', packet(version(3, 65_535), ...who)],
    ['3.0 with an option', packet(version(3, 0), ...who, '_pq_.x', '1')],
    ['3.1 with an option', packet(version(3, 1), ...who, '_pq_.x', '1')],
    ['3.2 with options', packet(version(3, 2), '_pq_.b', '', ...who, '_pq_.a', '1')],
    ['3.3 with options', packet(version(3, 3), ...who, '_pq_.x', '1', '_pq_.test_protocol_negotiation', '')],
    ['an option that is named twice', packet(version(3, 0), ...who, '_pq_.x', '1', '_pq_.x', '2')],
    ['2.0', packet(version(2, 0), ...who)],
    ['1.0', packet(version(1, 0), ...who)],
    ['4.0', packet(version(4, 0), ...who)],
    ['4.0 with an option', packet(version(4, 0), ...who, '_pq_.x', '1')],
    ['0.0', packet(version(0, 0), ...who)],
    ['an unknown request', packet(version(1234, 5681))],
    ['nobody', packet(version(3, 2))],
    ['nobody, with an option', packet(version(3, 2), '_pq_.x', '1')],
    ['nobody in 3.3', packet(version(3, 3), 'database', 'postgres')],
    ['replication that is no boolean', packet(version(3, 0), ...who, 'replication', 'maybe')],
    ['replication that is none, in 3.3', packet(version(3, 3), ...who, 'replication', '')],
    ['an empty name in 3.9999', packet(version(3, 9999), 'user', '')],
  ])('%s', async (_name, first) => {
    expect(await answerTo(weir, first)).toEqual(await answerTo(cluster.primary, first));
  });
});

/** What comes over TLS that was not asked for: the words of an error, and `[...]` how it ended. */
async function answerOverTls(at: Address, options: ConnectionOptions, bytes: readonly Buffer[]): Promise<string> {
  const socket = connectTls({ host: at.host, port: at.port, ca: cluster.caCert, ...options });
  sockets.push(socket);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk)).once('secureConnect', () => socket.write(Buffer.concat(bytes)));
  const outcome = await new Promise<string>((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(`[${error.code ?? error.message}]`));
    socket.once('end', () => resolve('[end]'));
    const isReady = (): boolean => Buffer.concat(chunks).subarray(-6).equals(readyForQuery('I'));
    socket.on('data', () => isReady() && resolve(`[ready, ${socket.alpnProtocol}]`));
  });
  const text = Buffer.concat(chunks).toString('latin1');
  const words = /SFATAL.*?(?=\0F|\0\0)|FATAL: .*/s.exec(text)?.[0] ?? '';
  return `${text.slice(0, 1)} ${words} ${outcome}`;
}

describe.skipIf(cluster.majorVersion < 18)('direct TLS, as PostgreSQL 18 answers it', () => {
  const alpn = { ALPNProtocols: ['postgresql'] };
  const gssEncRequest = Buffer.from('0000000804d21630', 'hex');
  test.each<[string, ConnectionOptions, Buffer[]]>([
    ['with ALPN', alpn, [packet(version(3, 2), ...who)]],
    ['TLS 1.2', { ...alpn, maxVersion: 'TLSv1.2' }, [packet(version(3, 0), ...who)]],
    ['without ALPN', {}, [packet(version(3, 0), ...who)]],
    ['with ALPN of another protocol', { ALPNProtocols: ['h2'] }, [packet(version(3, 0), ...who)]],
    ['with ALPN of several', { ALPNProtocols: ['h2', 'postgresql'] }, [packet(version(3, 0), ...who)]],
    ['with two SSLRequests in one', alpn, [sslRequest, sslRequest]],
    ['with two GSSENCRequests in one', alpn, [gssEncRequest, gssEncRequest]],
    ['with an old version inside', alpn, [packet(version(2, 0), ...who)]],
  ])('%s', async (_name, options, bytes) => {
    const expected = await answerOverTls(cluster.primary, options, bytes);
    expect(await answerOverTls(weir, options, bytes)).toBe(expected);
  });
});

describe('cancel keys', () => {
  test.each([
    [0, 4],
    [1, 4],
    [2, 32],
    [9999, 32],
  ])('3.%i has a secret of %i bytes, and a cancel with it works', async (minor, length) => {
    const reader = dial(weir, packet(version(3, minor), ...who, 'application_name', `cancelled ${minor}`));
    let key = Buffer.alloc(0);
    for (let type = 0; type !== 0x5a;) {
      const message = await reader.next(65_536);
      ({ type } = message);
      if (type === 0x4b) key = Buffer.from(message.body);
    }
    expect(key).toHaveLength(4 + length);
    const [processId, secret] = [key.readInt32BE(0), key.subarray(4)];
    const sleeping = `SELECT 1 FROM pg_stat_activity WHERE query LIKE '%route=primary% pg_sleep(600), ${minor}' AND wait_event = 'PgSleep'`;
    sockets.at(-1)?.write(query(`/* weir: route=primary */ SELECT pg_sleep(600), ${minor}`));
    await until('the statement to run', async () => (await cluster.query(sleeping)).length === 1);
    // Wrong in its last bit, cut, or too long: nobody's key.
    const other = Buffer.from(secret);
    other[length - 1] = (other[length - 1] as number) ^ 1;
    for (const wrong of [other, secret.subarray(0, length - 1), Buffer.concat([secret, Buffer.alloc(1)])]) {
      await expect(dial(weir, cancelRequest(processId, wrong)).nextByte()).rejects.toThrow(/closed/);
    }
    expect(await cluster.query(sleeping)).toHaveLength(1);
    await expect(dial(weir, cancelRequest(processId, secret)).nextByte()).rejects.toThrow(/closed/);
    for (let type = 0; type !== 0x45;) {
      const message = await reader.next(65_536);
      ({ type } = message);
      if (type === 0x45) expect(readErrorFields(message.body, 0, message.body.length).get('C')).toBe('57014');
    }
  });
});
