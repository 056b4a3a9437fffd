/**
 * Where new connections go, and clients that change their worker, how many clients come in, and when a dead worker is started
 * again. Fails when a worker gets more than its share, when a connection is given to nobody and kept, or when max_client_conn is
 * exceeded or leaks.
 */
import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { Entry } from '../../src/workers/ipc.ts';
import { Passing, type Room } from '../../src/workers/passing.ts';
import { hopelessAfter, Restarts } from '../../src/workers/restarts.ts';
import { onlyInAll } from '../../src/util/client-counts.ts';
import { Seats, type Seated } from '../../src/workers/seats.ts';
import { Spread, type Taker } from '../../src/workers/spread.ts';
import { nextWorkerState, type WorkerEvent, type WorkerState } from '../../src/workers/worker-state.ts';

class FakeWorker implements Taker {
  connections = 0;
  room: Room = 'free';
  /** It is gone. */
  isClosed = false;
  readonly given: (Entry | 'moved')[] = [];
  readonly aheads: (string | undefined)[] = [];

  give(entry: Entry, _socket: Socket, ahead?: Uint8Array): boolean {
    if (!this.take(entry)) return false;
    this.aheads.push(ahead === undefined ? undefined : Buffer.from(ahead).toString());
    return true;
  }

  giveMoved(): boolean {
    return this.take('moved');
  }

  private take(what: Entry | 'moved'): boolean {
    if (this.isClosed) return false;
    this.given.push(what);
    this.connections++;
    return true;
  }
}

function spreadOver(workers: FakeWorker[], mostWaiting = 3) {
  const clock = { nowMs: 0 };
  const spread = new Spread({
    takers: () => workers,
    mostWaiting: () => mostWaiting,
    longestWaitMs: () => 1000,
    nowMs: () => clock.nowMs,
  });
  return { spread, clock };
}

describe('new connections', () => {
  test('go to the worker with the fewest, also after some have closed', () => {
    const workers = [new FakeWorker(), new FakeWorker(), new FakeWorker()];
    const { spread } = spreadOver(workers);
    for (let i = 0; i < 30; i++) spread.add('plain', new Socket());
    expect(workers.map((worker) => worker.connections)).toEqual([10, 10, 10]);
    (workers[1] as FakeWorker).connections -= 6;
    for (let i = 0; i < 6; i++) spread.add('local', new Socket());
    expect(workers.map((worker) => worker.connections)).toEqual([10, 10, 10]);
    expect(workers[1]?.given.slice(10)).toEqual(Array(6).fill('local'));
  });

  test('a worker that is gone gets none, and the others do', () => {
    const workers = [new FakeWorker(), new FakeWorker()];
    (workers[0] as FakeWorker).isClosed = true;
    const { spread } = spreadOver(workers);
    spread.add('plain', new Socket());
    expect(workers[1]?.connections).toBe(1);
    expect(spread.waitingCount).toBe(0);
  });

  test('that another worker has given back keep the bytes that were read from them, also while they wait', () => {
    const workers: FakeWorker[] = [];
    const { spread } = spreadOver(workers);
    spread.add('plain', new Socket(), Buffer.from('one'));
    workers.push(new FakeWorker());
    spread.retry();
    spread.add('local', new Socket(), Buffer.from('two'));
    expect(workers[0]?.aheads).toEqual(['one', 'two']);
  });

  test('wait while there is no worker, in order, and are served by the next one', () => {
    const workers: FakeWorker[] = [];
    const { spread } = spreadOver(workers);
    spread.add('plain', new Socket());
    spread.add('http', new Socket());
    expect(spread.waitingCount).toBe(2);
    const worker = new FakeWorker();
    workers.push(worker);
    spread.retry();
    expect(worker.given).toEqual(['plain', 'http']);
    expect(spread.waitingCount).toBe(0);
  });

  test('wait a moment for the worker with the fewest; when it is stuck, another one gets them', () => {
    const workers = [new FakeWorker(), new FakeWorker()] as const;
    const { spread } = spreadOver([...workers]);
    workers[1].connections = 5;
    workers[0].room = 'soon';
    spread.add('plain', new Socket());
    expect(spread.waitingCount).toBe(1);
    workers[0].room = 'stuck';
    spread.sweep();
    expect([spread.waitingCount, workers[0].connections, workers[1].connections]).toEqual([0, 0, 6]);
    workers[1].room = 'stuck';
    spread.add('plain', new Socket());
    expect(spread.waitingCount).toBe(1);
    workers[0].room = 'free';
    spread.retry();
    expect([spread.waitingCount, workers[0].connections, workers[1].connections]).toEqual([0, 1, 6]);
  });

  test('are closed when they are too many or wait too long', () => {
    const { spread, clock } = spreadOver([], 2);
    const sockets = [new Socket(), new Socket(), new Socket()];
    for (const socket of sockets) spread.add('plain', socket);
    expect(sockets.map((socket) => socket.destroyed)).toEqual([false, false, true]);
    clock.nowMs = 999;
    spread.sweep();
    expect(spread.waitingCount).toBe(2);
    clock.nowMs = 1001;
    spread.sweep();
    expect(spread.waitingCount).toBe(0);
    expect(sockets.map((socket) => socket.destroyed)).toEqual([true, true, true]);
  });
});

describe('clients that change their worker', () => {
  const moved = { packed: 'session', ahead: new Uint8Array() };

  test('go before the new connections, none is too much, and they are closed after the same time', () => {
    const worker = new FakeWorker();
    worker.isClosed = true;
    const { spread, clock } = spreadOver([worker], 1);
    const sockets = [new Socket(), new Socket(), new Socket()] as const;
    spread.add('plain', new Socket());
    spread.addMoved(sockets[0], moved);
    spread.addMoved(sockets[1], moved);
    worker.isClosed = false;
    spread.retry();
    expect(worker.given).toEqual(['moved', 'moved', 'plain']);
    worker.isClosed = true;
    spread.addMoved(sockets[2], moved);
    clock.nowMs = 1001;
    spread.sweep();
    expect(sockets.map((socket) => socket.destroyed)).toEqual([false, false, true]);
  });

  test('and connections go to the next supervisor when that works', () => {
    const { spread } = spreadOver([]);
    spread.add('http', new Socket(), Buffer.from('one'));
    spread.addMoved(new Socket(), moved);
    const heard: unknown[] = [];
    spread.leaveTo({
      accepted: (entry, _socket, ahead) => heard.push([entry, Buffer.from(ahead ?? '').toString()]),
      moved: (_socket, what) => heard.push(what),
    });
    expect(heard).toEqual([moved, ['http', 'one']]);
    expect(spread.waitingCount).toBe(0);
  });
});

describe('connections on their way to a worker', () => {
  test('are few at a time; there is room again when it says that it has them', async () => {
    const asked: (() => void)[] = [];
    let rooms = 0;
    let nowMs = 0;
    const passing = new Passing({
      ask: () => new Promise<void>((resolve) => asked.push(resolve)),
      hasRoom: () => void rooms++,
      nowMs: () => nowMs,
    });
    let sent = 0;
    const fill = (): void => {
      for (; passing.room === 'free'; sent++) passing.sent();
    };
    fill();
    expect([sent, asked.length, rooms]).toEqual([8, 2, 0]);
    expect(passing.room).toBe('soon');
    nowMs = 100;
    expect(passing.room).toBe('stuck');
    asked[0]!();
    await new Promise((resolve) => setImmediate(resolve));
    fill();
    expect([sent, asked.length, rooms]).toEqual([12, 3, 1]);
  });
});

describe('max_client_conn over all workers', () => {
  test('is never exceeded, and a dead worker gives back exactly what it had', () => {
    const seats = new Seats(() => onlyInAll(5));
    const workers = [newWorker(), newWorker()] as const;
    const [a, b] = workers;
    expect([a, b, a, b, a, b].map((worker) => seats.tryEnter(worker))).toEqual([true, true, true, true, true, false]);
    seats.leave(b, 1);
    expect(seats.tryEnter(b)).toBe(true);
    seats.leaveAll(a);
    expect(a.entered).toBe(0);
    // What it says after its end does not count twice.
    seats.leave(a, 3);
    expect([1, 2, 3, 4].map(() => seats.tryEnter(b))).toEqual([true, true, true, false]);
  });
});

describe('a worker that has ended', () => {
  test('is started again at once if it had served, and then with pauses', () => {
    const restarts = new Restarts();
    expect(restarts.pauseAfter(5_000)).toBe(0);
    expect(restarts.pauseAfter(100)).toBe(500);
    expect(restarts.pauseAfter(120_000)).toBe(0);
    expect(restarts.count).toBe(3);
  });

  test('is started with growing pauses, up to half a minute, if it never serves', () => {
    const restarts = new Restarts();
    const pauses = Array.from({ length: 9 }, () => restarts.pauseAfter(undefined));
    expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    expect(restarts.failedStarts).toBe(9);
    expect(hopelessAfter).toBe(3);
    restarts.pauseAfter(10);
    expect(restarts.failedStarts).toBe(0);
  });
});

describe('the states of a worker', () => {
  const states: readonly WorkerState[] = ['starting', 'ready', 'emptying', 'ending', 'gone'];
  const events: readonly WorkerEvent[] = ['serves', 'replaced', 'told to end', 'exited'];
  const expected: Readonly<Record<WorkerState, readonly (WorkerState | undefined)[]>> = {
    starting: ['ready', undefined, 'ending', 'gone'],
    ready: [undefined, 'emptying', 'ending', 'gone'],
    emptying: [undefined, undefined, 'ending', 'gone'],
    ending: ['ending', undefined, 'ending', 'gone'],
    gone: [undefined, undefined, undefined, undefined],
  };
  test.each(states)('every event in %s', (state) => {
    expect(events.map((event) => nextWorkerState(state, event))).toEqual(expected[state]);
  });
});

const newWorker = (): Seated => ({ entered: 0, guests: new Map() });

describe('clients of one user, or of one database', () => {
  test('count for all workers together, and go on counting with the next supervisor and after the end of a worker', () => {
    const limits = { ...onlyInAll(100), perUser: 3, users: new Map([['free', 0]]), databases: new Map([['shop', 2]]) };
    const [a, b] = [newWorker(), newWorker()];
    const seats = new Seats(() => limits);
    const guest = (user: string, database: string): { user: string; database: string } => ({ user, database });
    expect(seats.tryEnter(a, guest('app', 'shop'))).toBe(true);
    expect(seats.tryEnter(b, guest('app', 'other'))).toBe(true);
    expect(seats.tryEnter(a, guest('app', 'other'))).toBe(true);
    expect(seats.tryEnter(b, guest('app', 'shop'))).toBe('max_user_client_connections');
    expect(seats.tryEnter(b, guest('free', 'shop'))).toBe(true);
    expect(seats.tryEnter(b, guest('free', 'shop'))).toBe('max_db_client_connections');
    expect(seats.tryEnter(b, undefined)).toBe(true);

    const next = new Seats(() => limits);
    for (const worker of [a, b]) next.goOn(structuredClone(worker));
    expect(next.tryEnter(b, guest('app', 'other'))).toBe('max_user_client_connections');
    next.leave(a, guest('app', 'other'));
    next.leave(a, guest('nobody', 'other'));
    expect(next.tryEnter(b, guest('app', 'other'))).toBe(true);
    next.leaveAll(b);
    expect([1, 2, 3].map(() => next.tryEnter(a, guest('app', 'other')))).toEqual([
      true,
      true,
      'max_user_client_connections',
    ]);
  });
});
