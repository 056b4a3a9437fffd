/** What the watchdog finds, each made on purpose, and what it leaves alone. */
import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { stuckLines } from '../../integration/harness/weir.ts';
import { until } from '../../integration/harness/until.ts';
import { Watchdog } from '../../src/app/watchdog.ts';
import { createLogger } from '../../src/observability/logger.ts';
import type { LogFields } from '../../src/observability/types.ts';
import type { Pool } from '../../src/pool/pool.ts';
import { flush, query } from '../../src/protocol/write.ts';
import { Backend } from '../../src/protocol/codes.ts';
import { readErrorFields } from '../../src/protocol/read.ts';
import type { ClientSession } from '../../src/request/client.ts';
import type { StuckKind } from '../../src/session/types.ts';
import { Request } from '../../src/session/request.ts';
import { createClassifier } from '../../src/sql/classifier.ts';
import { bind, execute, parseText } from '../fuzz/frames.ts';
import type { Mind } from '../fuzz/fake-postgres.ts';
import { framesOf } from '../fuzz/rude-client.ts';
import { makeWorld } from '../fuzz/world.ts';
import type { World } from '../fuzz/world.ts';

const classifier = await createClassifier();
let world: World;
let isSilent = false;
afterEach(() => world.stop());

interface Scene {
  readonly socket: Socket;
  readonly session: ClientSession;
  readonly pool: Pool;
  readonly watchdog: Watchdog;
  readonly lines: { event: string; fields: LogFields | undefined }[];
  heard(): { types: string; sqlstate: string | undefined; isClosed: boolean };
  /** So many seconds go by, as the watchdog sees them. */
  pass(seconds: number): void;
}

/** A client that was answered once, so that the pool of the primary has an idle server. */
async function scene(): Promise<Scene> {
  isSilent = false;
  const mind: Mind = (message) => (isSilent ? Buffer.alloc(0) : message);
  world = makeWorld({ classifier, withReplica: false, poolSize: 1, mind });
  const heard: Buffer[] = [];
  let isClosed = false;
  const socket = world.connect();
  socket.on('data', (chunk: Buffer) => heard.push(chunk));
  socket.on('close', () => (isClosed = true));
  const read = (): ReturnType<Scene['heard']> => {
    const { frames } = framesOf(Buffer.concat(heard));
    const error = frames.find(({ type }) => type === Backend.ErrorResponse)?.body;
    const sqlstate = error === undefined ? undefined : readErrorFields(error, 0, error.length).get('C');
    return { types: frames.map(({ type }) => String.fromCharCode(type)).join(''), sqlstate, isClosed };
  };
  socket.write(query("SELECT 'first'"));
  await until('the first answer', () => read().types.includes('TDCZ'), { intervalMs: 1 });
  const lines: Scene['lines'] = [];
  const watchdog = new Watchdog({
    sessions: () => world.sessions,
    databases: () => [world],
    log: (_level, event, _message, fields) => void lines.push({ event, fields }),
  });
  let nowMs = 0;
  watchdog.pass(nowMs);
  const pass = (seconds: number): void => {
    for (let i = 0; i < seconds; i++) watchdog.pass((nowMs += 1000));
  };
  const [session] = world.sessions;
  const [pool] = world.pools();
  if (session === undefined || pool === undefined) throw new Error('nobody is there');
  return { socket, session, pool, watchdog, lines, heard: read, pass };
}

function found({ watchdog }: Scene): Partial<Record<StuckKind, number>> {
  return Object.fromEntries(Object.entries(watchdog.counts).filter(([, times]) => times > 0));
}

async function sendSilently({ socket, session }: Scene, bytes: Buffer): Promise<void> {
  isSilent = true;
  socket.write(bytes);
  await until('the server to have it', () => session.inFlight.length > 0 && !session.server?.wire.hasPending, {
    intervalMs: 1,
  });
}

describe('a client', () => {
  const faults: [StuckKind, number, (at: Scene) => void | Promise<void>][] = [
    ['client_asleep', 65, ({ session }) => session.waiting('copy')],
    [
      'client_waiting',
      65,
      ({ session }) => {
        session.waiting('node');
        session.wait = { kind: 'node', sinceMs: 0, cancel: () => undefined };
      },
    ],
    ['client_paused', 5, ({ session }) => void session.wire.socket.pause()],
    [
      'answer_lost',
      5,
      ({ session, pool }) => {
        session.attached(pool, pool.tryCheckout() as never, undefined);
        const request = new Request();
        request.isComplete = true;
        session.inFlight.push(request);
      },
    ],
    [
      'server_paused',
      5,
      async (at) => {
        await sendSilently(at, query("SELECT 'never read'"));
        at.session.server?.wire.socket.pause();
      },
    ],
  ];

  test.each(faults)('%s is found, said, counted and closed', async (kind, afterSeconds, inject) => {
    const at = await scene();
    await inject(at);
    at.pass(1 + afterSeconds);
    expect(found(at)).toEqual({});
    at.pass(1);
    expect(found(at)).toEqual({ [kind]: 1 });
    expect(at.lines).toMatchObject([{ event: 'stuck', fields: { kind, user: 'app', database: 'shop' } }]);
    expect(() => JSON.stringify(at.lines)).not.toThrow();
    await until('the client to be told', () => at.heard().isClosed, { intervalMs: 1 });
    expect(at.heard().sqlstate).toBe('XX000');
    expect(world.sessions.size).toBe(0);
    at.pass(100);
    expect(found(at)).toEqual({ [kind]: 1 });
  });

  test('that gets on now and then is not stuck, however long it lasts', async () => {
    const at = await scene();
    at.session.waiting('copy');
    for (let i = 0; i < 10; i++) {
      at.pass(50);
      at.session.goOn(() => undefined);
      at.pass(1);
      at.session.waiting('copy');
    }
    expect(found(at)).toEqual({});
  });
});

test.each(['json', 'pretty'] as const)('a %s log line of it is what the tests of Weir fail for', async (format) => {
  const at = await scene();
  const written: string[] = [];
  const logger = createLogger({ level: 'error', format, destination: { write: (text) => void written.push(text) } });
  const watchdog = new Watchdog({ sessions: () => world.sessions, databases: () => [], log: logger.log });
  at.session.wire.socket.pause();
  for (let i = 0; i < 10; i++) watchdog.pass(1000 * i);
  logger.flush();
  expect(stuckLines(written.join(''))).toHaveLength(1);
  expect(stuckLines('{"event":"listening"}\n')).toEqual([]);
});

describe('a server', () => {
  test('that was handed out and that nobody has', async () => {
    const at = await scene();
    const server = at.pool.tryCheckout();
    at.pass(6);
    expect(found(at)).toEqual({});
    at.pass(1);
    expect(found(at)).toEqual({ server_unheld: 1 });
    expect(at.lines).toMatchObject([{ event: 'stuck', fields: { server: { state: 'active', isQuiet: true } } }]);
    expect(server?.isAlive).toBe(false);
  });

  test('that never answers what Weir asks, and one that is idle and owes something', async () => {
    const at = await scene();
    const server = at.pool.tryCheckout();
    isSilent = true;
    const asked = server?.run('SELECT 1');
    at.pass(66);
    expect(found(at)).toEqual({});
    at.pass(1);
    expect(found(at)).toEqual({ server_owes_nobody: 1 });
    await expect(asked).rejects.toThrow('it was stuck');
  });

  test('that is idle and owes something', async () => {
    const at = await scene();
    isSilent = true;
    const [server] = at.pool.servers();
    const asked = server?.run('SELECT 1');
    at.pass(7);
    expect(found(at)).toEqual({ server_owes_nobody: 1 });
    await expect(asked).rejects.toThrow('it was stuck');
  });
});

describe('is left alone:', () => {
  const legitimate: Record<string, (at: Scene) => void | Promise<void>> = {
    'an idle client': () => undefined,
    'a long statement': (at) => sendSilently(at, query("SELECT 'long'")),
    'a client in line behind it': async (at) => {
      await sendSilently(at, query("SELECT 'long'"));
      const second = world.connect();
      second.write(query("SELECT 'second'"));
      await until('it to be in line', () => at.pool.stats().waiting === 1, { intervalMs: 1 });
    },
    'what is pipelined behind it': (at) =>
      sendSilently(at, Buffer.concat([query("SELECT 'long'"), query("INSERT INTO lines VALUES ('x')")])),
    'an open transaction': async (at) => {
      at.socket.write(query('BEGIN'));
      await until('it to be open', () => at.heard().types.endsWith('CZ'), { intervalMs: 1 });
      await until('it to be known', () => at.session.server !== undefined, { intervalMs: 1 });
    },
    'a batch that waits for the rest': async (at) => {
      at.socket.write(Buffer.concat([parseText('', "SELECT 'x'"), bind('', ''), execute(''), flush]));
      await until('its answers', () => at.heard().types.endsWith('12DC'), { intervalMs: 1 });
    },
    'a client that does not take its answer': async (at) => {
      at.socket.pause();
      at.socket.write(query(`SELECT '${'x'.repeat(600_000)}'`));
      await until('its socket to be full', () => at.session.wire.willDrain, { intervalMs: 1 });
      at.socket.write(query("SELECT 'next'"));
    },
    'a process that was stopped for an hour': (at) => {
      at.session.waiting('copy');
      at.pass(1);
      at.watchdog.pass(3_600_000);
    },
  };

  test.each(Object.entries(legitimate))('%s', async (_what, begin) => {
    const at = await scene();
    await begin(at);
    at.pass(60);
    expect(found(at)).toEqual({});
    expect(at.session.isClosed).toBe(false);
  });
});
