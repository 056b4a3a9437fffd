/**
 * What is said before there is a session: what servers remark during log-in reaches the client for whom it was made, and a
 * client that says Terminate before it is logged in has left, as at PostgreSQL.
 */
import { connect as connectTcp } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Backend } from '../src/protocol/codes.ts';
import { startupMessage, terminate } from '../src/protocol/write.ts';
import { line, query } from './differential/messages.ts';
import { RawClient } from './differential/raw-client.ts';
import { PASSWORD, startWeir, until, useCluster, users, weirConfig } from './harness/index.ts';
import type { WeirConfig, WeirProcess } from './harness/index.ts';

const cluster = useCluster();
const hasLoginTriggers = cluster.majorVersion >= 17;
let database: string;
const weirs: WeirProcess[] = [];
const open: RawClient[] = [];

beforeAll(async () => {
  database = await cluster.createDatabase();
  if (!hasLoginTriggers) return;
  await cluster.query(
    `CREATE FUNCTION hello() RETURNS event_trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE NOTICE 'hello, %', session_user; RAISE WARNING 'mind the step'; END $$;
     CREATE EVENT TRIGGER hello ON login EXECUTE FUNCTION hello();`,
    { database },
  );
  await cluster.waitForReplicas();
});
afterEach(async () => {
  for (const client of open.splice(0)) client.close();
  for (const weir of weirs.splice(0)) await weir.stop();
});
afterAll(() => cluster.dropDatabase(database));

async function start(more: WeirConfig): Promise<WeirProcess> {
  const base = { resize: { enabled: false }, log: { level: 'debug' }, default_pool_size: 2, max_pool_size: 2 };
  const weir = await startWeir(weirConfig(cluster, { database, replicas: [] }, { ...base, ...more }));
  weirs.push(weir);
  return weir;
}

interface At {
  readonly host: string;
  readonly port: number;
}

/** Answers up to ReadyForQuery. */
async function answer(client: RawClient): Promise<string[]> {
  await client.until(() => client.received.some(({ type }) => type === Backend.ReadyForQuery));
  return client.received.splice(0).map(({ type, body }) => line(type, body));
}

async function logIn(at: At, parameters: Record<string, string> = {}): Promise<{ client: RawClient; said: string[] }> {
  const address = { host: at.host, port: at.port, user: users.app, password: PASSWORD, database };
  const client = await RawClient.open(address, parameters);
  open.push(client);
  return { client, said: noticesIn(await answer(client)) };
}

const noticesIn = (lines: readonly string[]): string[] => lines.filter((one) => one.startsWith('NoticeResponse'));

async function ask(client: RawClient, sql: string): Promise<string[]> {
  client.send(query(sql).bytes);
  return answer(client);
}

describe.skipIf(!hasLoginTriggers)('what the server remarks during log-in', () => {
  test.each(['transaction', 'session'])('reaches the client that it was opened for (%s mode)', async (mode) => {
    const straight = await logIn(cluster.primary);
    expect(straight.said.map((one) => /\|M([^|]*)/.exec(one)?.[1])).toEqual(['hello, app', 'mind the step']);
    const weir = await start({ pool_mode: mode });
    const first = await logIn(weir);
    expect(first.said).toEqual(straight.said);
    // Its server is there; in session mode it is the one that was asked for the log-in.
    expect(noticesIn(await ask(first.client, 'BEGIN'))).toEqual([]);
    const second = await logIn(weir);
    expect(second.said).toEqual([]);
    // Nobody has used the other place: its server is opened for this statement.
    const lines = await ask(second.client, 'SELECT 1');
    expect(noticesIn(lines)).toEqual(straight.said);
    expect(lines.at(-1)).toBe('ReadyForQuery I');
    expect(noticesIn(await ask(second.client, 'SELECT 1'))).toEqual([]);
    await until('both log-ins to be in the log', () => {
      const notices = weir.logs.filter(({ event, level }) => event === 'server_notice' && level === 'debug');
      return notices.length === 4;
    });
  });

  test('client_min_messages of the client counts', async () => {
    for (const options of ['-c client_min_messages=warning', '-c client_min_messages=error']) {
      const weir = await start({});
      const through = await logIn(weir, { options });
      const straight = await logIn(cluster.primary, { options });
      expect(through.said, options).toEqual(straight.said);
    }
  });

  test('of a server that was opened for nobody is told to nobody', async () => {
    // A client of another worker would have a server opened for it.
    const weir = await start({ min_pool_size: 2, workers: 1 });
    await until('its servers', async () => {
      const { body } = await weir.http();
      return /weir_server_connections\{[^}]*state="idle"[^}]*\} 2/.test(body);
    });
    const { client, said } = await logIn(weir);
    expect(said).toEqual([]);
    expect(noticesIn(await ask(client, 'SELECT 1'))).toEqual([]);
  });
});

describe('Terminate before the log-in is over', () => {
  /** Everything that is heard until the connection is closed. */
  function hear(at: At, says: readonly Buffer[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const heard: Buffer[] = [];
      const socket = connectTcp(at.port, at.host);
      socket.setTimeout(20_000, () => reject(new Error('it is still open')));
      socket.on('data', (chunk) => heard.push(chunk));
      socket.on('error', reject);
      socket.on('close', () => {
        socket.destroy();
        resolve(Buffer.concat(heard).toString('latin1'));
      });
      const [first, ...rest] = says;
      socket.write(first ?? Buffer.alloc(0));
      // The rest comes when there is an answer to the beginning.
      if (rest.length > 0) socket.once('data', () => rest.forEach((one) => socket.write(one)));
    });
  }

  test('as the first packet: closed without a word, as by PostgreSQL', async () => {
    const weir = await start({});
    const pieces = [terminate, terminate.subarray(0, 4), Buffer.concat([terminate, terminate])];
    for (const says of pieces) {
      expect(await hear(cluster.primary, [says])).toBe('');
      expect(await hear(weir, [says])).toBe('');
    }
    const lines = weir.logs.filter(({ event }) => String(event).startsWith('login_'));
    // What repeats itself is said once.
    expect(lines.map(({ event, level }) => [event, level])).toEqual([['login_abandoned', 'debug']]);
  });

  test('in the middle of it: nothing more is said', async () => {
    const weir = await start({});
    const says = [startupMessage({ user: users.app, database }), terminate];
    const straight = await hear(cluster.primary, says);
    const through = await hear(weir, says);
    // PostgreSQL complains, to somebody who does not listen any more.
    expect(straight.startsWith(through)).toBe(true);
    expect(straight.slice(through.length)).toMatch(/^(E.*C08P01.*got message type 88.*)?$/s);
    expect(weir.logs.filter(({ event }) => event === 'login_abandoned').length).toBe(1);
    expect(weir.logs.some(({ event }) => event === 'login_refused')).toBe(false);
  });
});
