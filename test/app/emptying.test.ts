/**
 * A worker that is replaced gives its clients away until nobody is left, also nobody who is still on the way in. Fails if one of
 * them is left behind, to be cut off with the worker, or if a client that sends nothing holds up the restart.
 */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, expect, test } from 'vitest';
import { giveAllAway, type Way } from '../../src/app/emptying.ts';
import type { LeavingClient, PackedClient } from '../../src/app/hand-overs.ts';
import type { GiveConnection } from '../../src/frontend/types.ts';

/** Clients that are at rest at once, and some that arrive later. */
class Worker {
  arriving = 0;
  waitingForClient = 0;
  /** Connections whose client has sent nothing yet. */
  fresh = 0;
  readonly given: number[] = [];
  private readonly seated = new Set<number>();

  seat(id: number): void {
    this.seated.add(id);
  }
  clients(): number[] {
    return [...this.seated];
  }
  begin(id: number): LeavingClient {
    this.seated.delete(id);
    this.given.push(id);
    const packed = {} as PackedClient;
    return { done: Promise.resolve({ socket: {} as Socket, packed }), waitsFor: undefined, cancel: () => undefined };
  }
  receive(): Promise<void> {
    return Promise.resolve();
  }
  giveFreshAway(give: GiveConnection): void {
    for (; this.fresh > 0; this.fresh--, this.arriving--, this.waitingForClient--)
      give('plain', {} as Socket, Buffer.alloc(0));
  }
}

const patient = { withinMs: 60_000, loginsMs: 60_000 };
let givenFresh = 0;
beforeEach(() => (givenFresh = 0));

const way: Way = {
  give: () => true,
  giveFresh: () => ++givenFresh > 0,
  written: () => sleep(0),
  unexpected(error) {
    throw error;
  },
};

test('many go a few at a time, the next ones when those have left this process', async () => {
  const worker = new Worker();
  for (let id = 1; id <= 50; id++) worker.seat(id);
  const writtenAt: number[] = [];
  const slow: Way = {
    ...way,
    async written() {
      writtenAt.push(worker.given.length);
      await sleep(0);
    },
  };
  expect(await giveAllAway(worker, slow, patient)).toEqual({ late: 0, silent: 0 });
  expect(writtenAt).toEqual([16, 32, 48]);
  expect(worker.given).toHaveLength(50);
});

test('those who are logging in are waited for, and given away, too', async () => {
  const worker = new Worker();
  worker.seat(1);
  worker.arriving = 1;
  const left = giveAllAway(worker, way, patient);
  await sleep(100);
  expect(worker.given).toEqual([1]);
  worker.seat(2);
  worker.arriving = 0;
  expect(await left).toEqual({ late: 0, silent: 0 });
  expect(worker.given).toEqual([1, 2]);
});

test('one that never logs in is not waited for longer than the others', async () => {
  const worker = new Worker();
  worker.arriving = 1;
  expect(await giveAllAway(worker, way, { withinMs: 50, loginsMs: 50 })).toEqual({ late: 1, silent: 0 });
});

test('one whose client sends nothing is waited for only shortly, others as long as it takes', async () => {
  const worker = new Worker();
  worker.arriving = worker.waitingForClient = 1;
  expect(await giveAllAway(worker, way, { withinMs: 60_000, loginsMs: 50 })).toEqual({ late: 0, silent: 1 });
  worker.arriving = 2;
  const left = giveAllAway(worker, way, { withinMs: 60_000, loginsMs: 50 });
  await sleep(150);
  worker.arriving = 1;
  worker.seat(1);
  expect(await left).toEqual({ late: 0, silent: 1 });
  expect(worker.given).toEqual([1]);
});

test('connections of which nothing was taken are given away at once, and those that come later', async () => {
  const worker = new Worker();
  worker.fresh = worker.arriving = worker.waitingForClient = 3;
  worker.arriving++;
  const left = giveAllAway(worker, way, patient);
  await sleep(100);
  expect(givenFresh).toBe(3);
  worker.fresh = worker.waitingForClient = 1;
  expect(await left).toEqual({ late: 0, silent: 0 });
  expect(givenFresh).toBe(4);
});
