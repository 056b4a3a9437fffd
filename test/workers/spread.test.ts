/**
 * Where new connections go, how many clients come in, and when a dead worker is started again. Fails when a worker gets
 * more than its share, when a connection is given to nobody and kept, or when max_client_conn is exceeded or leaks.
 */
import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { Entry } from '../../src/workers/ipc.ts';
import { hopelessAfter, Restarts } from '../../src/workers/restarts.ts';
import { Seats } from '../../src/workers/seats.ts';
import { Spread, type Taker } from '../../src/workers/spread.ts';
import { nextWorkerState, type WorkerEvent, type WorkerState } from '../../src/workers/worker-state.ts';

class FakeWorker implements Taker {
  connections = 0;
  isGone = false;
  readonly given: Entry[] = [];
  readonly aheads: (string | undefined)[] = [];

  give(entry: Entry, _socket: Socket, ahead?: Uint8Array): boolean {
    if (this.isGone) return false;
    this.given.push(entry);
    this.aheads.push(ahead === undefined ? undefined : Buffer.from(ahead).toString());
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
    (workers[0] as FakeWorker).isGone = true;
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

describe('max_client_conn over all workers', () => {
  test('is never exceeded, and a dead worker gives back exactly what it had', () => {
    const seats = new Seats(() => 5);
    const workers = [{ entered: 0 }, { entered: 0 }] as const;
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
