/**
 * The end of workers that are replaced: one without clients at once, one that still has some after all are replaced. Fails when a
 * client that was late is ended with its worker although it could still be moved.
 */
import { expect, test } from 'vitest';
import { Departures } from '../../src/workers/departures.ts';
import type { Emptied, PartingTimes } from '../../src/workers/messages.ts';

const graceMs = 30_000;

class Worker {
  readonly number: number;
  readonly state = 'ready';
  readonly done: string[] = [];
  readonly times: PartingTimes[] = [];
  private readonly emptied: Emptied;

  constructor(number: number, emptied: Emptied) {
    this.number = number;
    this.emptied = emptied;
  }
  empty(withinMs: number): Promise<Emptied> {
    this.done.push(`empty ${withinMs}`);
    return Promise.resolve(this.emptied);
  }
  part(times: PartingTimes): Promise<number> {
    this.done.push('part');
    this.times.push(times);
    return Promise.resolve(this.emptied.stay);
  }
  end(mode: string): Promise<void> {
    this.done.push(`end ${mode}`);
    return Promise.resolve();
  }
  kill(): void {
    this.done.push('kill');
  }
}

function bench(): { readonly departures: Departures; readonly logged: string[] } {
  const logged: string[] = [];
  const departures = new Departures({
    log: (level, event, message) => void logged.push(`${level} ${event}: ${message}`),
    emptyWithinMs: () => graceMs,
    endWithinMs: () => graceMs,
    isServing: () => true,
  });
  return { departures, logged };
}

test('without clients a worker ends at once', async () => {
  const { departures, logged } = bench();
  const worker = new Worker(1, { late: 0, silent: 0, stay: 0 });
  await departures.empty(worker);
  expect(worker.done).toEqual([`empty ${graceMs}`, 'end wait-for-servers']);
  expect(await departures.finish()).toBe(0);
  expect(worker.done).toHaveLength(2);
  expect(logged).toEqual([]);
});

test('those who cannot be moved are ended after all workers are replaced, spread over time', async () => {
  const { departures } = bench();
  const workers = [new Worker(1, { late: 0, silent: 0, stay: 20 }), new Worker(2, { late: 0, silent: 0, stay: 30 })];
  for (const worker of workers) await departures.empty(worker);
  for (const { done } of workers) expect(done).toEqual([`empty ${graceMs}`]);
  expect(await departures.finish()).toBe(50);
  for (const { done, times } of workers) {
    expect(done).toEqual([`empty ${graceMs}`, 'part', 'end wait-for-servers']);
    expect(times).toEqual([{ overMs: 5_000, graceMs }]);
  }
});

test('those who were late can still be moved until all workers are replaced', async () => {
  const { departures, logged } = bench();
  const worker = new Worker(1, { late: 2, silent: 0, stay: 0 });
  await departures.empty(worker);
  expect(worker.done).toEqual([`empty ${graceMs}`]);
  expect(await departures.finish()).toBe(0);
  expect(worker.done).toEqual([`empty ${graceMs}`, 'part', 'end wait-for-servers']);
  expect(worker.times).toEqual([{ overMs: 0, graceMs }]);
  expect(logged).toEqual(['warn restart_cut: 2 clients of worker 1 did not come to rest in time']);
});

test('a log-in that waits for its client does not hold up the others, and has until all workers are replaced', async () => {
  const { departures, logged } = bench();
  const worker = new Worker(1, { late: 0, silent: 3, stay: 0 });
  await departures.empty(worker);
  expect(worker.done).toEqual([`empty ${graceMs}`]);
  await departures.finish();
  expect(worker.done).toEqual([`empty ${graceMs}`, 'part', 'end wait-for-servers']);
  expect(worker.times).toEqual([{ overMs: 0, graceMs }]);
  expect(logged).toEqual([]);
});
