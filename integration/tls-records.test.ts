/**
 * How large are the TLS records that clients get? libpq has room for 8 kB at least when it reads, and then waits for the
 * socket: what OpenSSL has taken off it and libpq has not read yet is not seen by poll(). PostgreSQL itself sends no more.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Backend } from '../src/protocol/codes.ts';
import { query, sslRequest, startupMessage } from '../src/protocol/write.ts';
import type { TestWeir } from './harness/index.ts';
import { CertificateAuthority, startTestWeir, TcpRelay, useCluster, users, weirConfig } from './harness/index.ts';

const cluster = useCluster();
const dir = mkdtempSync(join(tmpdir(), 'weir-records-'));
const certificate = new CertificateAuthority({ cert: cluster.caCert, key: cluster.caKey }).server();
const save = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text, { mode: 0o600 });
  return join(dir, name);
};

/** libpq: "conn->inBufSize - conn->inEnd < 8192" makes more room. */
const libpqRoomBytes = 8192;
/** What encryption adds to a record: nonce, content type, tag. */
const overheadBytes = { 'TLSv1.2': 8 + 16, 'TLSv1.3': 1 + 16 } as const;
const applicationData = 23;

let weir: TestWeir;
let relay: TcpRelay;
beforeAll(async () => {
  weir = await startTestWeir(
    weirConfig(
      cluster,
      {},
      {
        auth: { type: 'trust' },
        tls: { client: { mode: 'prefer', cert: save('s.crt', certificate.cert), key: save('s.key', certificate.key) } },
      },
    ),
  );
});
afterEach(() => relay.stop());
afterAll(async () => {
  await weir.stop();
  rmSync(dir, { recursive: true });
});

/** Cuts what passes the relay into records. */
class Records {
  readonly lengths: number[] = [];
  private bytes = Buffer.alloc(0);

  push(chunk: Buffer): void {
    this.bytes = Buffer.concat([this.bytes, chunk]);
    while (this.bytes.length >= 5) {
      const length = this.bytes.readUInt16BE(3);
      if (this.bytes.length < 5 + length) return;
      if (this.bytes[0] === applicationData) this.lengths.push(length);
      this.bytes = this.bytes.subarray(5 + length);
    }
  }
}

/** Lengths of the records of an answer, by version; `isDirect`: without SSLRequest. */
async function recordsOf(sql: string, version: 'TLSv1.2' | 'TLSv1.3', isDirect = false): Promise<number[]> {
  relay = await TcpRelay.start({ port: weir.port });
  const records = new Records();
  let skips = isDirect ? 0 : 1;
  relay.onPassed = (chunk, direction) => {
    if (direction === 'toServer') return;
    records.push(chunk.subarray(skips));
    skips = 0;
  };
  const plain = connectTcp(relay.port, relay.host);
  if (!isDirect) {
    plain.write(sslRequest);
    await new Promise<void>((resolve) => plain.once('data', () => resolve()));
  }
  const socket = connectTls({
    socket: plain,
    rejectUnauthorized: false,
    minVersion: version,
    maxVersion: version,
    ALPNProtocols: ['postgresql'],
  });
  socket.write(startupMessage({ user: users.app, database: 'postgres' }));
  await readUpToReady(socket);
  socket.write(query(sql));
  await readUpToReady(socket);
  socket.destroy();
  return records.lengths;
}

async function readUpToReady(socket: NodeJS.ReadableStream): Promise<void> {
  let last = Buffer.alloc(0);
  for (;;) {
    const chunk = await new Promise<Buffer>((resolve, reject) => {
      socket.once('data', resolve);
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('the connection was closed')));
    });
    last = Buffer.concat([last, chunk]).subarray(-6);
    if (last[0] === Backend.ReadyForQuery && last.readInt32BE(1) === 5) return;
  }
}

const answers: readonly (readonly [what: string, sql: string, atLeastBytes: number])[] = [
  ['a short one', 'SELECT 1', 1],
  ['rows that fill a record together', "SELECT repeat('x', 4100) FROM generate_series(1, 7)", 7 * 4100],
  ['many small rows', 'SELECT generate_series(1, 20000)', 20_000 * 12],
  ['a row of a megabyte', "SELECT repeat('x', 1000000)", 1_000_000],
  ['COPY', "COPY (SELECT repeat('x', 3000) FROM generate_series(1, 200)) TO STDOUT", 600_000],
  ['an error of 30 kB', `DO $$ BEGIN RAISE '%', repeat('x', 30000); END $$`, 30_000],
];

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('%s: no record is larger than what libpq reads at once', (version) => {
  test.each(answers)('%s', async (_what, sql, atLeastBytes) => {
    const lengths = await recordsOf(sql, version);
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBeGreaterThan(atLeastBytes);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(libpqRoomBytes + overheadBytes[version]);
  });

  test('without SSLRequest', async () => {
    const lengths = await recordsOf("SELECT repeat('x', 100000)", version, true);
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBeGreaterThan(100_000);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(libpqRoomBytes + overheadBytes[version]);
  });
});
