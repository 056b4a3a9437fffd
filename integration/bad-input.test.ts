/**
 * What must not take Weir with it, against real PostgreSQL: SQL of every bad kind, floods of wrong log-ins, servers that
 * are none. Each gets a clear error, and the next proper client is served by the same process.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Frontend } from '../src/protocol/codes.ts';
import { errorResponse, frame } from '../src/protocol/write.ts';
import type { TestWeir, WeirProcess } from './harness/index.ts';
import {
  closeClients,
  connectPg,
  startWeir,
  startTestWeir,
  until,
  useCluster,
  users,
  weirConfig,
  workersOfTests,
} from './harness/index.ts';
import { RawClient } from './harness/raw-client.ts';

const cluster = useCluster();

/** Servers that only seem to be PostgreSQL: what they do with a connection once they have been asked for TLS. */
const impostors: Readonly<Record<string, (socket: Socket) => void>> = {
  garbage: (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
  hangs_up: (socket) => socket.destroy(),
  silent: () => undefined,
  huge: (socket) => socket.write(Buffer.from([0x52, 0x7f, 0xff, 0xff, 0xff])),
  full: (socket) => socket.end(refusal('53300', 'sorry, too many clients already')),
  starting: (socket) => socket.end(refusal('57P03', 'the database system is starting up')),
  other_password: (socket) => socket.end(refusal('28P01', 'password authentication failed for user "app"')),
  no_database: (socket) => socket.end(refusal('3D000', 'database "shop" does not exist')),
};
/** What no further try would change is told on as it is; of the others the client hears which node is the trouble. */
const finalRefusals: Readonly<Record<string, RegExp>> = {
  other_password: /^28P01: password authentication failed for user "app"$/,
  no_database: /^3D000: database "shop" does not exist$/,
  full: /^(57P03: no node of database|53300: cannot log in to node .*: sorry, too many clients already)/,
  starting: /^(57P03: no node of database|57P03: cannot log in to node .*: the database system is starting up)/,
};
const refusal = (sqlstate: string, message: string): Buffer => errorResponse({ severity: 'FATAL', sqlstate, message });

const listening: Server[] = [];
const sockets = new Set<Socket>();

async function startImpostor(answer: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', (first) => {
      if (first.length !== 8) return answer(socket);
      socket.write('N');
      socket.once('data', () => answer(socket));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  listening.push(server);
  return (server.address() as AddressInfo).port;
}

let weir: WeirProcess;
/** One that lets everybody in, so that the bytes can be written by hand. */
let raw: TestWeir;
beforeAll(async () => {
  raw = await startTestWeir(weirConfig(cluster, { serverUser: users.trust }, { auth: { type: 'trust' } }));
  const databases: Record<string, unknown> = {};
  for (const [name, answer] of Object.entries(impostors)) {
    const url = `postgres://app:secret@127.0.0.1:${await startImpostor(answer)}/shop`;
    databases[name] = { primary: { url }, query_wait_timeout: '500ms', server_connect_timeout: '500ms' };
  }
  const more = { databases, max_client_conn: 2000, tls: { server: { mode: 'prefer' } } };
  // It never is ready for all of these.
  weir = await startWeir(weirConfig(cluster, {}, more), { waitUntilReady: false });
});
afterEach(closeClients);
afterAll(async () => {
  await raw.stop();
  await weir.stop();
  for (const socket of sockets) socket.destroy();
  for (const server of listening) server.close();
});

async function expectServed(): Promise<void> {
  expect(weir.isRunning).toBe(true);
  const client = await connectPg(weir.url());
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  const { body } = await weir.http();
  expect(body).toMatch(/weir_unexpected_errors_total 0/);
}

async function outcomeOf(sql: string | pg.QueryConfig): Promise<string> {
  const client = await connectPg(weir.url());
  return client.query(sql as string).then(
    () => 'ok',
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );
}

/** SQLSTATE of the first error, or what came as the first value; straight or through Weir. */
async function answerTo(port: number, bytes: readonly Buffer[]): Promise<string> {
  const client = await RawClient.connect({ host: '127.0.0.1', port }, { user: users.trust, database: 'postgres' });
  try {
    let outcome = '';
    for (const one of bytes) {
      const answer = client.next();
      await client.send(one);
      const { sqlstate, values } = await answer;
      outcome = sqlstate ?? values.join();
    }
    return outcome;
  } catch (error) {
    // Weir ends connections on which PostgreSQL would go on: what matters is that it says the same why.
    return /\((\w{5})\)/.exec((error as Error).message)?.[1] ?? (error as Error).message;
  } finally {
    client.end();
  }
}

const text = (sql: string, encoding: BufferEncoding = 'latin1'): Buffer =>
  frame(Frontend.Query, Buffer.from(`${sql}\0`, encoding));
const message = (type: number, body: string): Buffer => frame(type, Buffer.from(body, 'latin1'));
const sync = frame(Frontend.Sync);
const withSync = (...messages: readonly Buffer[]): Buffer => Buffer.concat([...messages, sync]);
const parse = (sql: string, name = ''): Buffer => message(Frontend.Parse, `${name}\0${sql}\0\0\0`);
const bind = message(Frontend.Bind, '\0\0\0\0\0\0\0\0');
const execute = message(Frontend.Execute, '\0\0\0\0\0');

describe('messages that lie', () => {
  const table: Readonly<Record<string, readonly Buffer[]>> = {
    'a Query without its end': [message(Frontend.Query, 'SELECT 1')],
    'an empty Query message': [message(Frontend.Query, '')],
    'a Query with a zero in it': [message(Frontend.Query, 'SELECT 1\0; SELECT 2\0')],
    'a text that is not UTF-8': [text("SELECT 'caf\xe9'")],
    'a comment that does not end': [text('SELECT 1 /* and so on')],
    'a string that does not end': [text("SELECT 'and so on")],
    'a Parse that announces types it does not have': [withSync(message(Frontend.Parse, '\0SELECT 1\0\0\x05'))],
    'a Parse with more behind its types': [withSync(message(Frontend.Parse, '\0SELECT 1\0\0\0zz'))],
    'a Bind that announces values it does not have': [
      withSync(parse('SELECT 1'), message(Frontend.Bind, '\0\0\0\0\0\x07')),
    ],
    'a value longer than its Bind': [
      withSync(parse('SELECT $1::text'), message(Frontend.Bind, '\0\0\0\0\0\x01\x7f\xff\xff\xffab\0\0')),
    ],
    'a Bind of what was never parsed': [withSync(message(Frontend.Bind, '\0never\0\0\0\0\0\0\0'))],
    'an Execute of no portal': [withSync(message(Frontend.Execute, 'none\0\0\0\0\0'))],
    'an Execute cut short': [withSync(parse('SELECT 1'), bind, message(Frontend.Execute, 'none'))],
    'a Describe of neither': [withSync(message(Frontend.Describe, 'X\0'))],
    'a Close of neither': [withSync(message(Frontend.Close, 'X\0'))],
    'a message that nobody knows': [message(0x7a, 'what')],
    'a password in the middle': [message(Frontend.Password, 'secret\0')],
    'a call of a function that is not there': [message(Frontend.FunctionCall, '\x00\x0f\xff\xff\0\0\0\0\0\0')],
    'COPY data without a COPY': [Buffer.concat([message(Frontend.CopyData, 'one\n'), text('SELECT 7')])],
    'a COPY that fails, and its data behind it': [
      Buffer.concat([
        text('COPY no_such_table FROM STDIN'),
        message(Frontend.CopyData, 'a\n'),
        frame(Frontend.CopyDone),
      ]),
      text('SELECT 8'),
    ],
    'Latin 1 by request': [text("SET client_encoding = 'LATIN1'"), text("SELECT octet_length('caf\xe9')")],
    // The second byte of this character is a backslash: read as UTF-8, the string would go on behind its end.
    'TimeSlice JIS by request': [text("SET client_encoding = 'SJIS'"), text("SELECT length(E'\xe3\x81\x82\x5c') -- '")],
    'strings in the old manner': [
      text('SET standard_conforming_strings = off; SET backslash_quote = on'),
      text("SELECT 'it\\'s; DELETE FROM nothing; --'"),
    ],
  };

  test.each(Object.entries(table))('%s', async (_name, bytes) => {
    const straight = await answerTo(cluster.primary.port, bytes);
    expect(await answerTo(raw.port, bytes)).toBe(straight);
    expect(await answerTo(raw.port, [withSync(parse('SELECT 9'), bind, execute)])).toBe('9');
  });
});

describe('lengths that cannot be', () => {
  test.each([-1, 0, 3, 0x7fffffff])('%i', async (length) => {
    const bytes = Buffer.from([Frontend.Query, 0, 0, 0, 0]);
    bytes.writeInt32BE(length, 1);
    expect(await answerTo(raw.port, [bytes])).toBe('08P01');
    expect(await answerTo(raw.port, [text('SELECT 9')])).toBe('9');
  });
});

describe('texts that are too much', () => {
  const size = 5 * 1024 * 1024;
  const long = `SELECT length('${'x'.repeat(size)}') AS length`;

  test('5 MB as a query and as a prepared statement', async () => {
    const client = await connectPg(weir.url());
    const expected = [{ length: size }];
    expect((await client.query(long)).rows).toEqual(expected);
    expect((await client.query({ text: `${long}, $1::int AS n`, values: [1] })).rows).toEqual([{ length: size, n: 1 }]);
    const named = { name: 'long', text: long, values: [] };
    expect((await client.query(named)).rows).toEqual(expected);
    expect((await client.query(named)).rows).toEqual(expected);
    await expectServed();
  });

  test('a query whose beginning reads and whose end writes', async () => {
    const client = await connectPg(weir.url());
    await client.query('CREATE TEMP TABLE notes (id int)');
    await client.query(`SELECT 1 /* ${'x'.repeat(2 * 1024 * 1024)} */; INSERT INTO notes VALUES (1)`);
    expect((await client.query('SELECT count(*)::int AS n FROM notes')).rows).toEqual([{ n: 1 }]);
  });

  test('17 MB as a prepared statement are refused, with what to do', async () => {
    const client = await connectPg(weir.url());
    const error: unknown = await client
      .query({ text: `SELECT '${'x'.repeat(17 * 1024 * 1024)}', $1::int`, values: [1] })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: '54000', hint: expect.stringContaining('simple query') as string });
    await expectServed();
  });

  test.each([
    ['parentheses', `SELECT ${'('.repeat(5_000)}1${')'.repeat(5_000)}`],
    ['a hundred thousand parentheses', `SELECT ${'('.repeat(100_000)}1${')'.repeat(100_000)}`],
    ['sums', `SELECT 1${'+1'.repeat(7_000)}`],
    ['negations', `SELECT ${'NOT '.repeat(4_000)}true`],
    ['subqueries', `${'SELECT * FROM ('.repeat(300)}SELECT 1${') s'.repeat(300)}`],
    ['arrays', `SELECT ${'ARRAY['.repeat(3_000)}1${']'.repeat(3_000)}`],
    ['comments', `SELECT 1 ${'/*'.repeat(2_000)}`],
    ['statements', 'SELECT 1;'.repeat(5_000)],
    ['no SQL at all', '\u{1f600}'.repeat(1_000)],
  ])('nested or repeated: %s', async (_name, sql) => {
    const straight = await cluster.query(sql).then(
      () => 'ok',
      (error: { code?: string }) => error.code ?? '',
    );
    expect(await outcomeOf(sql)).toBe(straight);
    await expectServed();
  });

  test('an error message of a megabyte', async () => {
    const client = await connectPg(weir.url());
    const error: unknown = await client
      .query("DO $$ BEGIN RAISE EXCEPTION '%', repeat('x', 1000000); END $$")
      .catch((reason: unknown) => reason);
    expect((error as Error).message).toHaveLength(1_000_000);
    expect((await client.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
  });
});

describe('clients who may not come in', () => {
  const codeOf = async (config: pg.ClientConfig): Promise<string> => {
    const client = new pg.Client({
      host: weir.host,
      port: weir.port,
      database: 'postgres',
      user: users.app,
      ...config,
    });
    client.on('error', () => undefined);
    return client.connect().then(
      () => 'ok',
      (error: { code?: string; message: string }) => error.code ?? error.message,
    );
  };

  test('unknown databases and users', async () => {
    const password = 'weir-test-password';
    expect(await codeOf({ password, database: 'nowhere' })).toBe('3D000');
    expect(await codeOf({ password, user: 'nobody' })).toBe('28P01');
    expect(await codeOf({ password, database: 'weir' })).toBe('28000');
  });

  test('wrong passwords at speed hold nobody up and do not fill the log', async () => {
    const linesBefore = weir.logs.length;
    const attacks = Array.from({ length: 400 }, (_, i) =>
      codeOf({ password: `wrong ${i}`, user: i % 2 === 0 ? users.app : `user_${i}` }),
    );
    await expectServed();
    expect(new Set(await Promise.all(attacks))).toEqual(new Set(['28P01']));
    const { body } = await weir.http();
    expect(body).toMatch(/weir_auth_failures_total\{[^}]*wrong-password[^}]*\} (40[0-9])/);
    // Each worker limits the lines of its log.
    expect(weir.logs.length - linesBefore).toBeLessThan(60 * (workersOfTests() ?? 1));
  });

  test('who logs in, says half a message and is never heard of again costs nobody anything', async () => {
    const halves: pg.Client[] = [];
    for (let i = 0; i < 50; i++) {
      const client = await connectPg(weir.url());
      (client as unknown as { connection: { stream: Socket } }).connection.stream.write(
        Buffer.from([Frontend.Query, 0x3f, 0xff, 0xff, 0xf0, 0x53]),
      );
      halves.push(client);
    }
    await expectServed();
    for (const client of halves) (client as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
    const admin = await connectPg(weir.adminUrl());
    await until('them to be forgotten', async () => {
      const { rows } = await admin.query('SHOW CLIENTS');
      return rows.length <= 2;
    });
  });
});

describe('servers that are none', () => {
  test.each(Object.keys(impostors))('%s', async (database) => {
    const client = new pg.Client({ connectionString: weir.url({ database }) });
    client.on('error', () => undefined);
    const error: unknown = await client.connect().catch((reason: unknown) => reason);
    const { code, severity, message } = error as pg.DatabaseError;
    expect(severity).toBe('FATAL');
    expect(`${code}: ${message}`).toMatch(
      finalRefusals[database] ?? /^(57P03: no node of database|08006: cannot log in to node)/,
    );
    expect(weir.logs.some((line) => JSON.stringify(line).includes(database))).toBe(true);
    await expectServed();
  });
});
