/**
 * One question to a server, and every way in which it may answer wrongly, late or not at all. Fails if any of them hangs or
 * passes.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { AuthQueryConnection, StatementError } from '../../src/backend/auth-query-connection.ts';
import { connectServer } from '../../src/backend/login.ts';
import { Backend } from '../../src/protocol/codes.ts';
import { ProtocolError } from '../../src/protocol/read.ts';
import {
  bindComplete,
  commandComplete,
  dataRow,
  errorResponse,
  frame,
  noticeResponse,
  parseComplete,
  readyForQuery,
} from '../../src/protocol/write.ts';
import type { FakeServer, Peer } from './fake-server.ts';
import { startFakeServer } from './fake-server.ts';

let server: FakeServer | undefined;
let connection: AuthQueryConnection | undefined;
afterEach(async () => {
  connection?.close();
  await server?.stop();
});

const never = new AbortController().signal;
const notice = noticeResponse({ severity: 'NOTICE', sqlstate: '00000', message: 'so so' });
const begun = Buffer.concat([parseComplete, bindComplete]);
const done = Buffer.concat([commandComplete('SELECT 1'), readyForQuery('I')]);

/** A connection whose server answers each question (Parse, Bind, Execute, Sync) with these bytes, in turn; null: not at all. */
async function ask(...answers: readonly (Buffer | null)[]): Promise<AuthQueryConnection> {
  const talk = async (peer: Peer): Promise<void> => {
    await peer.startup();
    peer.welcome();
    for (const answer of answers) {
      for (let type = 0; type !== 'S'.charCodeAt(0);) type = (await peer.reader.next(1 << 16)).type;
      if (answer !== null) peer.say(answer);
    }
    peer.socket.resume();
  };
  server = await startFakeServer(talk);
  const tls = { mode: 'disable', cert: undefined, key: undefined, ca: undefined } as const;
  const { node } = server;
  const options = { node, database: 'shop', user: 'a', password: undefined, tls, timeoutMs: 20_000 };
  connection = new AuthQueryConnection(await connectServer(options));
  return connection;
}

describe('an auth.query connection', () => {
  it('asks one question after another, and takes an error for an answer', async () => {
    const refusal = errorResponse({ severity: 'ERROR', sqlstate: '42501', message: 'permission denied' });
    const row = dataRow(['ann', null]);
    const asked = await ask(
      Buffer.concat([begun, notice, row, done]),
      Buffer.concat([refusal, readyForQuery('I')]),
      Buffer.concat([begun, done]),
    );
    expect(await asked.ask('SELECT $1', ['ann'], 1, never)).toEqual([['ann', null]]);
    const error = await asked.ask('SELECT $1', ['ann'], 1, never).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StatementError);
    expect(error).toMatchObject({ sqlstate: '42501', message: 'permission denied' });
    expect(asked.isOpen).toBe(true);
    expect(await asked.ask('SELECT $1', ['ann'], 1, never)).toEqual([]);
  });

  it.each([
    ['a row that ends early', frame(Backend.DataRow, Buffer.from([0, 2, 0, 0, 0, 1, 65]))],
    ['a value longer than its row', frame(Backend.DataRow, Buffer.from([0, 1, 0x7f, 0, 0, 0, 65]))],
    ['a value of negative length', frame(Backend.DataRow, Buffer.from([0, 1, 0xff, 0xff, 0xff, 0xfe]))],
    ['a row of nothing', frame(Backend.DataRow, Buffer.alloc(0))],
    ['a message that is too long', Buffer.from([Backend.DataRow, 0x7f, 0, 0, 0])],
    ['COPY', frame(Backend.CopyOutResponse, Buffer.from([0, 0, 0]))],
    ['a transaction that goes on', Buffer.concat([begun, commandComplete('BEGIN'), readyForQuery('T')])],
    ['no end of notices', Buffer.concat(Array.from({ length: 1_001 }, () => notice))],
  ])('gives up a server that answers with %s', async (_what, bytes) => {
    const asked = await ask(bytes);
    await expect(asked.ask('SELECT $1', ['ann'], 1, never)).rejects.toBeInstanceOf(ProtocolError);
    expect(asked.isOpen).toBe(false);
  });

  it('gives up a server that says nothing, for the reason of the signal', async () => {
    const asked = await ask(null);
    const controller = new AbortController();
    const answer = asked.ask('SELECT $1', ['ann'], 1, controller.signal);
    controller.abort(new Error('too late'));
    await expect(answer).rejects.toThrow('too late');
    expect(asked.isOpen).toBe(false);
  });
});
