/** Weir's own connections: how many there are, which one is used again, and what is closed when. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { OwnConnections } from '../../src/topology/own-connections.ts';
import type { Place } from '../../src/topology/own-connections.ts';

interface Link {
  readonly name: string;
  isOpen: boolean;
}

const { signal } = new AbortController();
let closed: string[];
let connections: OwnConnections<Link>;

const make = (): OwnConnections<Link> =>
  new OwnConnections({
    max: 2,
    isOpen: (link) => link.isOpen,
    close: (link) => closed.push(link.name),
    keepIdleMs: 1000,
  });

beforeEach(() => {
  closed = [];
  connections = make();
});
afterEach(() => {
  connections.stop();
  vi.useRealTimers();
});

async function open(name: string): Promise<Place<Link>> {
  const place = await connections.take(signal);
  expect(place?.connection).toBeUndefined();
  place!.connection = { name, isOpen: true };
  return place!;
}

/** What has come by the time that everything else had its turn. */
async function soon<T>(promise: Promise<T>): Promise<T | 'not yet'> {
  return Promise.race([promise, new Promise<'not yet'>((resolve) => setImmediate(() => resolve('not yet')))]);
}

test('never more than its limit, and the one used last is used again', async () => {
  const a = await open('a');
  const b = await open('b');
  expect(connections.isFull).toBe(true);
  expect(connections.hasWaiters).toBe(false);
  const waiting = connections.take(signal);
  expect(connections.hasWaiters).toBe(true);
  expect(await soon(waiting)).toBe('not yet');
  connections.giveBack(b);
  expect((await waiting)?.connection?.name).toBe('b');
  connections.giveBack(a);
  connections.giveBack(b);
  expect((await connections.take(signal))?.connection?.name).toBe('b');
  expect(closed).toEqual([]);
  expect(connections.size).toBe(2);
});

test('a connection that was lost while nobody used it is not lent', async () => {
  const a = await open('a');
  connections.giveBack(a);
  a.connection!.isOpen = false;
  const next = await connections.take(signal);
  expect(next?.connection).toBeUndefined();
  expect(connections.size).toBe(1);
});

test('who gives up waiting takes nobody’s place', async () => {
  const a = await open('a');
  await open('b');
  const gone = new AbortController();
  const waiting = connections.take(gone.signal);
  gone.abort();
  expect(await waiting).toBeUndefined();
  const next = connections.take(signal);
  connections.giveBack(a);
  expect((await next)?.connection?.name).toBe('a');
  expect(await connections.take(gone.signal)).toBeUndefined();
});

test('what is idle for long is closed', async () => {
  vi.useFakeTimers();
  connections = make();
  const a = await open('a');
  const b = await open('b');
  connections.giveBack(a);
  await vi.advanceTimersByTimeAsync(900);
  expect(closed).toEqual([]);
  await vi.advanceTimersByTimeAsync(300);
  expect(closed).toEqual(['a']);
  connections.giveBack(b);
  connections.stop();
  await vi.advanceTimersByTimeAsync(0);
  expect(closed).toEqual(['a', 'b']);
  expect(vi.getTimerCount()).toBe(0);
});

test('retired: what is lent is closed when it is given back; stopped: at once', async () => {
  const a = await open('a');
  const b = await open('b');
  connections.giveBack(b);
  const retired = connections.retire();
  connections.giveBack(a);
  await retired;
  expect(closed).toEqual(['a', 'b']);
  expect(connections.size).toBe(0);

  connections = make();
  const c = await open('c');
  connections.stop();
  expect(closed).toEqual(['a', 'b', 'c']);
  // A log-in that comes through after that.
  c.connection = { name: 'late', isOpen: true };
  connections.giveBack(c);
  expect(closed).toEqual(['a', 'b', 'c', 'late']);
});
