/**
 * Replication connections through Weir, by hand: what START_REPLICATION streams and how it ends, cancel, KILL, drain,
 * what is refused, what operators see. Real programs are in replication-programs.test.ts.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { readErrorFields } from '../src/protocol/read.ts';
import { cancelRequest, frame, parse, query, startupMessage, sync } from '../src/protocol/write.ts';
import type { TestWeir, WeirConfig } from './harness/index.ts';
import {
  SUPERUSER,
  TcpRelay,
  closeClients,
  connectPg,
  pgUrl,
  startTestWeir,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';

const cluster = useCluster();
const started: TestWeir[] = [];
const clients: Walker[] = [];
const relays: TcpRelay[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.destroy();
  await closeClients();
  for (const weir of started.splice(0)) await weir.stop();
  for (const relay of relays.splice(0)) await relay.stop();
});

/** Everybody is let in by name, and logged in to the server as the same user. */
async function start(more: WeirConfig = {}): Promise<TestWeir> {
  const weir = await startTestWeir(
    weirConfig(cluster, { serverUser: null }, { auth: { type: 'trust', user: users.monitor }, ...more }),
  );
  started.push(weir);
  return weir;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

interface Seen {
  readonly letter: string;
  readonly body: Buffer;
}

/** A client that asks for WAL, byte by byte; keeps what it has heard. */
class Walker {
  readonly socket: Socket;
  readonly heard: Seen[] = [];
  receivedBytes = 0;
  isEnded = false;
  private store = Buffer.alloc(0);

  constructor(at: Address, parameters: Readonly<Record<string, string>>) {
    clients.push(this);
    this.socket = connect(at.port, at.host);
    this.socket.on('error', () => undefined).on('close', () => (this.isEnded = true));
    this.socket.on('data', (chunk) => this.take(chunk));
    this.socket.write(startupMessage({ user: users.replicator, database: 'postgres', ...parameters }));
  }

  private take(chunk: Buffer): void {
    this.receivedBytes += chunk.length;
    this.store = Buffer.concat([this.store, chunk]);
    while (this.store.length >= 5 && this.store.length > this.store.readInt32BE(1)) {
      const size = 1 + this.store.readInt32BE(1);
      this.heard.push({ letter: String.fromCharCode(this.store[0] as number), body: this.store.subarray(5, size) });
      this.store = this.store.subarray(size);
    }
  }

  get letters(): string {
    return this.heard.map(({ letter }) => letter).join('');
  }

  /** Something incomplete has come, and nothing else will. */
  get rest(): number {
    return this.store.length;
  }

  /** SQLSTATE and message of the last error. */
  get error(): string {
    const last = this.heard.findLast(({ letter }) => letter === 'E');
    if (last === undefined) return '';
    const fields = readErrorFields(last.body, 0, last.body.length);
    return `${fields.get('C') ?? ''} ${fields.get('M') ?? ''}`;
  }

  async ready(): Promise<this> {
    await until('the connection to be ready', () => this.letters.endsWith('Z') || this.isEnded);
    if (this.isEnded) throw new Error(this.error);
    return this;
  }

  /** The messages that answer a command, up to ReadyForQuery, the start of a COPY, or the end. */
  async ask(sql: string): Promise<Seen[]> {
    this.heard.length = 0;
    this.socket.write(query(sql));
    await until(`the answer to ${sql}`, () => /[ZW]/.test(this.letters) || this.isEnded);
    return this.heard;
  }

  /** Values of the first row. */
  async row(sql: string): Promise<string[]> {
    const row = (await this.ask(sql)).find(({ letter }) => letter === 'D');
    if (row === undefined) throw new Error(this.error);
    const values: string[] = [];
    for (let at = 2; at < row.body.length;) {
      const size = row.body.readInt32BE(at);
      values.push(size < 0 ? '' : row.body.toString('utf8', at + 4, at + 4 + size));
      at += 4 + Math.max(size, 0);
    }
    return values;
  }

  /** Sizes of the WAL in CopyData messages so far. */
  get walBytes(): number {
    const wal = this.heard.filter(({ letter, body }) => letter === 'd' && body[0] === 0x77);
    return wal.reduce((sum, { body }) => sum + body.length - 25, 0);
  }
}

const physical = { replication: 'true' };
const logical = { replication: 'database' };
const copyDone = frame(0x63);

async function walk(at: Address, parameters: Readonly<Record<string, string>> = physical): Promise<Walker> {
  return new Walker(at, parameters).ready();
}

/** Why a connection is refused. */
async function refusal(at: Address, parameters: Readonly<Record<string, string>>): Promise<string> {
  return walk(at, parameters).then(
    () => 'not refused',
    (error: Error) => error.message,
  );
}

/** One that streams from now on. */
async function stream(at: Address): Promise<Walker> {
  const walker = await walk(at);
  const [, timeline, position] = await walker.row('IDENTIFY_SYSTEM');
  expect(
    (await walker.ask(`START_REPLICATION ${position} TIMELINE ${timeline}`)).map(({ letter }) => letter),
  ).toContain('W');
  return walker;
}

const makeWal = (bytes: number): Promise<unknown> =>
  cluster.query(
    `SELECT pg_logical_emit_message(false, 'weir', repeat('x', 1000000)) FROM generate_series(1, $1::int)`,
    {
      values: [Math.ceil(bytes / 1_000_000)],
    },
  );

describe('a conversation', () => {
  test('every command is answered as PostgreSQL itself answers it', async () => {
    await cluster.query(`ALTER ROLE ${users.trust} REPLICATION`);
    const heard = async (at: Address): Promise<string[]> => {
      const walker = await walk(at, { ...logical, user: users.trust });
      const letters: string[] = [];
      const say = async (sql: string): Promise<void> => {
        const answer = await walker.ask(sql);
        letters.push(`${sql}: ${answer.map(({ letter }) => letter).join('')} ${walker.error}`);
      };
      for (const sql of ['SHOW wal_segment_size', 'IDENTIFY_SYSTEM', 'NONSENSE', 'TIMELINE_HISTORY 1', ''])
        await say(sql);
      await say('SELECT 1; SELECT 2');
      await say('CREATE_REPLICATION_SLOT weir_same TEMPORARY LOGICAL pgoutput');
      walker.heard.length = 0;
      walker.socket.write(Buffer.concat([parse('', Buffer.from('SELECT 1'), Buffer.alloc(2)), sync]));
      await until('the refusal of the extended protocol', () => walker.letters.endsWith('Z'));
      letters.push(`${walker.letters} ${walker.error}`);
      await say('START_REPLICATION SLOT weir_same PHYSICAL 0/1000000');
      await say(`START_REPLICATION SLOT weir_same LOGICAL 0/0 (proto_version '1', publication_names 'x')`);
      walker.socket.write(copyDone);
      await until('the end of the stream', () => walker.letters.endsWith('Z'));
      letters.push(walker.letters.replace(/d+/, ''));
      await say('IDENTIFY_SYSTEM');
      return letters;
    };
    try {
      expect(await heard(await start())).toEqual(await heard(cluster.primary));
    } finally {
      await cluster.query(`ALTER ROLE ${users.trust} NOREPLICATION`);
    }
  });

  test('ordinary SQL, over a connection to one database', async () => {
    const walker = await walk(await start(), { ...logical, options: '-c search_path=a,b', application_name: 'walker' });
    expect(await walker.row('SHOW search_path')).toEqual(['a,b']);
    expect(await walker.row('SELECT current_database(), current_user')).toEqual(['postgres', users.replicator]);
    expect(await walker.row('SHOW application_name')).toEqual(['walker']);
  });

  test('WAL streams, the client stops it, and the connection goes on', async () => {
    const walker = await stream(await start());
    await makeWal(3_000_000);
    await until('WAL to come', () => walker.walBytes > 3_000_000);
    const status = Buffer.alloc(34);
    status[0] = 0x72;
    walker.socket.write(frame(0x64, status));
    await until('it to be taken', async () => (await cluster.query('SELECT 1')).length === 1);
    walker.socket.write(copyDone);
    await until('the end of the stream', () => walker.letters.endsWith('Z'));
    expect(walker.letters).toMatch(/^Wd+cC+Z$/);
    expect(await walker.row('IDENTIFY_SYSTEM')).toHaveLength(4);
  });

  test('two streams at once, and SQL beside them', async () => {
    const weir = await start();
    const [one, two] = [await stream(weir), await stream(weir)];
    const client = await connectPg(weir.url({ user: users.app }));
    await client.query('SELECT 1');
    await makeWal(2_000_000);
    await until('both to get it', () => one.walBytes > 2_000_000 && two.walBytes > 2_000_000);
  });

  test('a client that does not read costs no memory, and loses nothing', async () => {
    const weir = await start();
    const walker = await stream(weir);
    const before = process.memoryUsage().arrayBuffers;
    walker.socket.pause();
    const bytes = 64_000_000;
    await makeWal(bytes);
    let sent = '';
    await until(
      'the walsender to be stuck',
      async () => {
        const [row] = await cluster.query<{ sent: string; at: string }>(
          `SELECT sent_lsn AS sent, pg_current_wal_lsn() AS at FROM pg_stat_replication WHERE usename = $1 AND application_name = ''`,
          { values: [users.replicator] },
        );
        const isStuck = row !== undefined && row.sent === sent && row.sent !== row.at;
        sent = row?.sent ?? '';
        return isStuck;
      },
      { intervalMs: 500 },
    );
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16_000_000);
    walker.socket.resume();
    await until('all of it', () => walker.walBytes >= bytes);
  });
});

describe('the end', () => {
  test('a client that leaves takes its walsender with it', async () => {
    const weir = await start();
    const walkers = [await stream(weir), await walk(weir), await walk(weir, logical)];
    const mine = `SELECT pid FROM pg_stat_activity WHERE usename = '${users.replicator}' AND backend_type = 'walsender' AND application_name = ''`;
    expect(await cluster.query(mine)).toHaveLength(3);
    walkers[0]?.socket.destroy();
    walkers[1]?.socket.end(frame(0x58));
    walkers[2]?.socket.end();
    await until('them to be gone', async () => (await cluster.query(mine)).length === 0);
  });

  test('a walsender that is ended says so itself', async () => {
    const walker = await stream(await start());
    await cluster.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${users.replicator}' AND application_name = '' AND backend_type = 'walsender'`,
    );
    await until('the end', () => walker.isEnded);
    expect(walker.error).toMatch(/^57P01 terminating connection/);
    expect(walker.letters.match(/E/g)).toHaveLength(1);
  });

  test('drain ends streams between two messages, and does not wait for them', async () => {
    const weir = await start();
    const walkers = [await stream(weir), await stream(weir), await walk(weir, logical)];
    await makeWal(1_000_000);
    await weir.drain();
    for (const walker of walkers) {
      await until('the end', () => walker.isEnded);
      expect(walker.error).toMatch(/^57P01 Weir is shutting down/);
      expect(walker.rest).toBe(0);
    }
  });

  test('a cancel request reaches a command that waits', async () => {
    const weir = await start();
    const walker = await walk(weir, logical);
    const key = walker.heard.find(({ letter }) => letter === 'K')?.body ?? Buffer.alloc(0);
    const writer = await connectPg(pgUrl(cluster.primary, { user: SUPERUSER }));
    await writer.query('BEGIN');
    await writer.query('SELECT pg_current_xact_id()');
    const answer = walker.ask('CREATE_REPLICATION_SLOT weir_waits TEMPORARY LOGICAL pgoutput');
    const waits = `SELECT 1 FROM pg_stat_activity WHERE backend_type = 'walsender' AND wait_event_type = 'Lock'`;
    await until('it to wait', async () => (await cluster.query(waits)).length > 0);
    const canceller = connect(weir.port, weir.host);
    canceller.write(cancelRequest(key.readInt32BE(0), key.subarray(4)));
    expect((await answer).map(({ letter }) => letter).join('')).toBe('EZ');
    expect(walker.error).toMatch(/^57014/);
    canceller.destroy();
    await writer.query('ROLLBACK');
  });
});

describe('who may, and where', () => {
  test('the server decides who may replicate, in its own words', async () => {
    const weir = await start();
    expect(await refusal(weir, { ...physical, user: users.app })).toMatch(/^42501 .*(WAL sender|replication role)/);
    expect(await refusal(weir, { ...logical, database: 'no_such_database' })).toMatch(/^3D000 /);
    expect(await refusal(weir, { ...logical, database: 'weir', user: 'weir' })).toMatch(/^0A000 .*admin console/);
  });

  test('of rules, those about replication speak of physical replication', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'weir-hba-'));
    try {
      const file = join(dir, 'pg_hba.conf');
      writeFileSync(file, `host replication ${users.replicator} all trust\nhost postgres ${users.app} all trust\n`);
      const weir = await start({ auth: { type: 'hba', hba_file: file, user: users.monitor } });
      expect(await (await walk(weir, physical)).row('IDENTIFY_SYSTEM')).toHaveLength(4);
      expect(await refusal(weir, logical)).toMatch(/^28000 no pg_hba.conf entry/);
      expect(await refusal(weir, { ...physical, user: users.app })).toMatch(
        /^28000 no pg_hba.conf entry for replication connection/,
      );
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  test('physical replication finds the only server there is, whatever database is named', async () => {
    const weir = await start();
    for (const database of ['replication', 'postgres', users.replicator, 'anything']) {
      expect(await (await walk(weir, { ...physical, database })).row('IDENTIFY_SYSTEM')).toHaveLength(4);
    }
  });

  test('with "*" alone it finds that server, too', async () => {
    const { host, port } = cluster.primary;
    const primary = `postgres://${host}:${port}`;
    const config = { databases: { '*': { primary } }, auth: { type: 'trust', user: users.monitor } };
    const weir = await startTestWeir(config);
    started.push(weir);
    const walker = await walk(weir, { ...physical, database: 'replication' });
    expect(await walker.row('IDENTIFY_SYSTEM')).toHaveLength(4);
  });

  test('of several servers it must name one', async () => {
    const relay = await TcpRelay.start(cluster.primary);
    relays.push(relay);
    const elsewhere = { primary: `postgres://127.0.0.1:${relay.port}/postgres` };
    const weir = await start({ databases: { elsewhere } });
    expect(await refusal(weir, { ...physical, database: 'replication' })).toMatch(/^3D000 .*not clear which server/);
    expect(await (await walk(weir, physical)).row('IDENTIFY_SYSTEM')).toHaveLength(4);
  });

  test('weir.route=replica asks a replica', async () => {
    const weir = await start();
    for (const more of [{ 'weir.route': 'replica' }, { options: '-c weir.route=replica -c application_name=a\\ b' }]) {
      const walker = await walk(weir, { ...logical, ...more });
      expect(await walker.row('SELECT pg_is_in_recovery()')).toEqual(['t']);
      if ('options' in more) expect(await walker.row('SHOW application_name')).toEqual(['a b']);
    }
    expect(await (await walk(weir, logical)).row('SELECT pg_is_in_recovery()')).toEqual(['f']);
    expect(await refusal(weir, { ...logical, 'weir.route': 'nowhere' })).toMatch(/weir\.route/);
  });

  test('max_db_connections bounds them, and each gives its place back', async () => {
    const weir = await start({ max_db_connections: 2 });
    const walkers = [await walk(weir), await walk(weir)];
    expect(await refusal(weir, physical)).toMatch(/^53300 no connection to node primary is left/);
    walkers[0]?.socket.destroy();
    await until('a place', async () => (await refusal(weir, physical)) === 'not refused');
  });

  test('what the server has too few of is said by the server', async () => {
    const weir = await start();
    const walkers: Walker[] = [];
    let why = '';
    while (why === '' && walkers.length < 20) {
      const walker = new Walker(weir, physical);
      walkers.push(walker);
      why = await walker.ready().then(
        () => '',
        (error: Error) => error.message,
      );
    }
    expect(why).toMatch(/^53300 .*max_wal_senders/);
  });
});

describe('operators', () => {
  test('see both ends, and may kill them', async () => {
    const weir = await start();
    const walker = await stream(weir);
    await walk(weir, logical);
    const admin = await connectPg(weir.adminUrl());
    const rows = async (what: string): Promise<Record<string, string>[]> =>
      (await admin.query<Record<string, string>>(`SHOW ${what}`)).rows;
    const shown = (await rows('CLIENTS')).filter(({ replication }) => replication !== 'none');
    expect(shown.map(({ replication, state, node }) => [replication, state, node])).toEqual([
      ['physical', 'active', 'primary'],
      ['logical', 'active', 'primary'],
    ]);
    const servers = (await rows('SERVERS')).filter(({ replication }) => replication !== 'none');
    expect(servers.map(({ replication, state, link }) => [replication, state, link])).toEqual(
      ['active', 'idle'].map((state, i) => [shown[i]?.['replication'], state, shown[i]?.['ptr']]),
    );
    expect((await rows('POOLS')).filter(({ user }) => user === users.replicator)).toMatchObject([
      { node: 'primary', cl_active: '2', sv_active: '2' },
    ]);
    await admin.query(`KILL_CLIENT ${shown[0]?.['id'] ?? ''}`);
    await until('the end', () => walker.isEnded);
    expect(walker.error).toMatch(/^57P01/);
    await until(
      'it to be off the list',
      async () => (await rows('SERVERS')).filter(({ replication }) => replication !== 'none').length === 1,
    );
  });

  test('PAUSE holds new ones until RESUME, as it holds statements, and leaves those that are there', async () => {
    const weir = await start({ query_wait_timeout: '1h' });
    const before = await stream(weir);
    const admin = await connectPg(weir.adminUrl());
    await admin.query('PAUSE');
    const [waits, leaves] = [new Walker(weir, physical), new Walker(weir, logical)];
    await until('both to be logged in', () => waits.letters === 'R' && leaves.letters === 'R');
    leaves.socket.destroy();
    await admin.query('RESUME');
    await waits.ready();
    expect(before.isEnded).toBe(false);
    expect(await waits.row('IDENTIFY_SYSTEM')).toHaveLength(4);
  });

  test('PAUSE for longer than query_wait_timeout is said to be that', async () => {
    const weir = await start({ query_wait_timeout: '100ms' });
    const admin = await connectPg(weir.adminUrl());
    await admin.query('PAUSE');
    expect(await refusal(weir, physical)).toMatch(/^57P03 .*PAUSE/);
  });
});
