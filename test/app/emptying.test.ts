/**
 * A worker that is replaced gives its clients away until nobody is left, also nobody who is still on the way in. Fails if one of
 * them is left behind, to be cut off with the worker.
 */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { giveAllAway, type Way } from '../../src/app/emptying.ts';
import type { LeavingClient, PackedClient } from '../../src/app/hand-overs.ts';

/** Clients that are at rest at once, and some that arrive later. */
class Worker {
  arriving = 0;
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
}

const way: Way = {
  give: () => true,
  unexpected(error) {
    throw error;
  },
};

test('those who are logging in are waited for, and given away, too', async () => {
  const worker = new Worker();
  worker.seat(1);
  worker.arriving = 1;
  const left = giveAllAway(worker, way, 60_000);
  await sleep(100);
  expect(worker.given).toEqual([1]);
  worker.seat(2);
  worker.arriving = 0;
  expect(await left).toBe(0);
  expect(worker.given).toEqual([1, 2]);
});

test('one that never logs in is not waited for longer than the others', async () => {
  const worker = new Worker();
  worker.arriving = 1;
  expect(await giveAllAway(worker, way, 50)).toBe(1);
});
