/**
 * What a client is told at log-in, in one of several workers: by a server of its own worker, or else by what another worker
 * knows. Fails if a log-in waits for a server although another worker knows, if hearsay is kept, or believed although it is of
 * other defaults, or if a server stays checked out.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ServerConnection } from '../../src/backend/server.ts';
import type { Pool } from '../../src/pool/pool.ts';
import type { Waiter } from '../../src/pool/waiter.ts';
import type { Database, Services } from '../../src/session/context.ts';
import { Settings } from '../../src/session/settings.ts';
import { WelcomeDesk } from '../../src/session/welcome.ts';
import type { Reported, WelcomePeers, WelcomeQuestion } from '../../src/session/welcome-types.ts';

const ofServer: Reported = new Map([['TimeZone', 'Asia/Tokyo']]);
const elsewhere: Reported = new Map([['TimeZone', 'Europe/Oslo']]);

let idle: ServerConnection[];
let waiting: Waiter[];
let checkedIn: ServerConnection[];
let asked: WelcomeQuestion[];
let answer: Reported | undefined;
let defaults: string | undefined;

beforeEach(() => {
  vi.useFakeTimers();
  [idle, waiting, checkedIn, asked, answer, defaults] = [[], [], [], [], undefined, 'today'];
});
afterEach(() => vi.useRealTimers());

function server(): ServerConnection {
  const login = { parameters: ofServer, takeNotices: () => [] };
  return { login, isAlive: true, sessionState: {} } as unknown as ServerConnection;
}

function makeDesk(hasPeers = true): WelcomeDesk {
  const pool = {
    tryCheckout: () => idle.pop(),
    uncountCheckout: () => undefined,
    wait: (waiter: Waiter) => {
      waiting.push(waiter);
      return { cancel: () => void waiting.splice(waiting.indexOf(waiter), 1) };
    },
    checkin: (used: ServerConnection) => void checkedIn.push(used),
  } as unknown as Pool;
  const node = { isUp: true, role: 'primary' };
  const database = {
    name: 'shop',
    topology: { snapshot: () => ({ primary: node, nodes: [node] }) },
    pool: () => pool,
    defaultsKnown: () => Promise.resolve(),
    defaultsKey: () => defaults,
  } as unknown as Database;
  const peers: WelcomePeers = {
    ask: (question) => {
      asked.push(question);
      return Promise.resolve(answer);
    },
  };
  return new WelcomeDesk(database, { nowMs: () => 0 } as Services, hasPeers ? peers : undefined);
}

const zoneOf = async (desk: WelcomeDesk): Promise<string | undefined> =>
  (await desk.receive('ann', new Map())).reported.get('TimeZone');
const turns = (): Promise<unknown> => vi.advanceTimersByTimeAsync(1);

test('an idle server is asked, and no other worker; its answer is kept', async () => {
  idle = [server()];
  const desk = makeDesk();
  expect(await zoneOf(desk)).toBe('Asia/Tokyo');
  expect(await zoneOf(desk)).toBe('Asia/Tokyo');
  expect([checkedIn.length, asked]).toEqual([1, []]);
});

test('without an idle server, what another worker knows is the answer at once, and is not kept', async () => {
  answer = elsewhere;
  const desk = makeDesk();
  expect(await zoneOf(desk)).toBe('Europe/Oslo');
  expect(asked).toEqual([{ database: 'shop', user: 'ann', settings: Settings.none.key, defaults: 'today' }]);
  expect(waiting).toEqual([]);
  idle = [server()];
  expect(await zoneOf(desk)).toBe('Asia/Tokyo');
});

test('one that waits for a server is let in when another worker knows, and leaves the queue', async () => {
  const zone = zoneOf(makeDesk());
  await turns();
  expect(waiting).toHaveLength(1);
  answer = elsewhere;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await zone).toBe('Europe/Oslo');
  expect([waiting, vi.getTimerCount()]).toEqual([[], 0]);
});

test('one that gets its server first asks no more', async () => {
  const zone = zoneOf(makeDesk());
  await turns();
  waiting[0]?.granted(server());
  expect(await zone).toBe('Asia/Tokyo');
  expect([checkedIn.length, vi.getTimerCount()]).toEqual([1, 0]);
});

test('a server that is granted in the moment of the answer goes back', async () => {
  const zone = zoneOf(makeDesk());
  await turns();
  const [waiter] = waiting;
  answer = elsewhere;
  const late = server();
  // In the same turn: the answer is on its way, and not heard yet.
  vi.advanceTimersByTime(1_000);
  waiter?.granted(late);
  expect(['Europe/Oslo', 'Asia/Tokyo']).toContain(await zone);
  await turns();
  expect(checkedIn).toEqual([late]);
});

test('a refusal by the pool is the refusal of the client', async () => {
  const zone = expect(zoneOf(makeDesk())).rejects.toThrow('no more');
  await turns();
  waiting[0]?.refused(Object.assign(new Error('no more'), { errorName: 'server_refused' }) as never, false);
  await zone;
  expect(vi.getTimerCount()).toBe(0);
});

test('nobody is asked while the defaults of new sessions are not known here', async () => {
  [answer, defaults] = [elsewhere, undefined];
  const zone = zoneOf(makeDesk());
  await vi.advanceTimersByTimeAsync(1_000);
  expect(asked).toEqual([]);
  waiting[0]?.granted(server());
  expect(await zone).toBe('Asia/Tokyo');
});

test('what was forgotten while another worker was asked is asked again', async () => {
  let answered: (reported: Reported | undefined) => void = () => undefined;
  const desk = makeDesk();
  const ask = vi.fn(() => new Promise<Reported | undefined>((resolve) => (answered = resolve)));
  (desk as unknown as { peers: { ask: unknown } }).peers.ask = ask;
  const zone = zoneOf(desk);
  await turns();
  desk.forget();
  answered(elsewhere);
  await turns();
  expect(waiting).toHaveLength(1);
  waiting[0]?.granted(server());
  await turns();
  idle = [server()];
  answered(undefined);
  expect(await zone).toBe('Asia/Tokyo');
});

test('another worker is answered with what a server has said, if both know the same defaults', async () => {
  idle = [server()];
  const desk = makeDesk();
  const question = { database: 'shop', user: 'ann', settings: Settings.none.key, defaults: 'today' };
  expect(desk.answer(question)).toBeUndefined();
  await zoneOf(desk);
  expect(desk.answer(question)).toEqual(ofServer);
  expect(desk.answer({ ...question, user: 'bob' })).toBeUndefined();
  expect(desk.answer({ ...question, defaults: 'yesterday' })).toBeUndefined();
  // It only wants to know whether she could log in.
  expect(desk.answer({ ...question, defaults: undefined })).toEqual(ofServer);
  desk.forget();
  expect(desk.answer(question)).toBeUndefined();
});

test('a process that is the whole Weir waits for its server', async () => {
  const desk = makeDesk(false);
  expect(await desk.isKnownElsewhere('ann')).toBe(false);
  const zone = zoneOf(desk);
  await vi.advanceTimersByTimeAsync(1_000);
  expect([asked, waiting.length]).toEqual([[], 1]);
  waiting[0]?.granted(server());
  expect(await zone).toBe('Asia/Tokyo');
});
