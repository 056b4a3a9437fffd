/**
 * Workers whose event loop stands still, with a clock of the test's own: they get no new clients, and after thirty seconds they
 * are killed. Fails when one that answers is avoided, or one that does not is kept, or when a stall of the supervisor counts.
 */
import { expect, test } from 'vitest';
import { Liveness } from '../../src/workers/liveness.ts';
import { awake, killHung } from '../../src/workers/silent-workers.ts';

class Worker {
  readonly number: number;
  isRunning = true;
  isKilled = false;
  asked = 0;
  private readonly unanswered: (() => void)[] = [];
  readonly channel = {
    heard: 0,
    ask: (): Promise<never> => {
      this.asked++;
      return new Promise<never>((resolve) => {
        const answer = (): void => {
          this.channel.heard++;
          resolve(true as never);
        };
        if (this.isRunning) answer();
        else this.unanswered.push(answer);
      });
    },
  };

  constructor(number: number) {
    this.number = number;
  }

  wakeUp(): void {
    this.isRunning = true;
    for (const answer of this.unanswered.splice(0)) answer();
  }

  kill(): void {
    this.isKilled = true;
  }
}

class World {
  nowMs = 0;
  readonly workers = [1, 2, 3].map((number) => new Worker(number));
  readonly log: string[] = [];
  private readonly liveness = new Liveness(() => this.nowMs);

  private readonly silentMs = ({ channel }: Worker): number => this.liveness.silentMs(channel);

  async pass(ms: number, sweepMs = 250): Promise<void> {
    for (const end = this.nowMs + ms; this.nowMs < end;) {
      this.nowMs += sweepMs;
      this.liveness.sweep(this.workers.map(({ channel }) => channel));
      killHung(this.workers, this.silentMs, (_level, event, message) => this.log.push(`${event}: ${message}`));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  get awake(): number[] {
    return awake(this.workers, this.silentMs).map(({ number }) => number);
  }
}

test('a worker that does not answer gets no clients until it does again', async () => {
  const world = new World();
  await world.pass(10_000);
  expect(world.awake).toEqual([1, 2, 3]);
  const [, second] = world.workers as [Worker, Worker, Worker];
  expect(second.asked).toBeGreaterThan(15);
  expect(second.asked).toBeLessThan(25);
  second.isRunning = false;
  await world.pass(1_500);
  expect(world.awake).toEqual([1, 2, 3]);
  const before = second.asked;
  await world.pass(2_000);
  expect(world.awake).toEqual([1, 3]);
  expect(second.asked - before).toBeLessThanOrEqual(1);
  second.wakeUp();
  await world.pass(250);
  expect(world.awake).toEqual([1, 2, 3]);
  expect(world.log).toEqual([]);
});

test('one that says anything is awake, although what it was asked waits behind something', async () => {
  const world = new World();
  await world.pass(1_000);
  const [first] = world.workers as [Worker, Worker, Worker];
  first.isRunning = false;
  for (let i = 0; i < 40; i++) {
    first.channel.heard++;
    await world.pass(1_000);
  }
  expect(world.awake).toEqual([1, 2, 3]);
  expect(world.log).toEqual([]);
  await world.pass(3_000);
  expect(world.awake).toEqual([2, 3]);
});

test('it is killed once when it has not answered for thirty seconds', async () => {
  const world = new World();
  await world.pass(1_000);
  const [first] = world.workers as [Worker, Worker, Worker];
  first.isRunning = false;
  await world.pass(29_000);
  expect(world.workers.filter(({ isKilled }) => isKilled)).toEqual([]);
  await world.pass(5_000);
  expect(world.workers.filter(({ isKilled }) => isKilled)).toEqual([first]);
  expect(world.log).toEqual(['worker_killed: worker 1 has not answered for 30 s: it is killed']);
});

test('if none answers, all may be given clients: they wait there as well as anywhere', async () => {
  const world = new World();
  await world.pass(1_000);
  for (const worker of world.workers) worker.isRunning = false;
  await world.pass(5_000);
  expect(world.awake).toEqual([1, 2, 3]);
});

test('a supervisor that stood still itself blames nobody', async () => {
  const world = new World();
  await world.pass(1_000);
  for (const worker of world.workers) worker.isRunning = false;
  await world.pass(250);
  world.nowMs += 60_000;
  await world.pass(250);
  for (const worker of world.workers) worker.wakeUp();
  await world.pass(1_000);
  expect(world.awake).toEqual([1, 2, 3]);
  expect(world.log).toEqual([]);
});
