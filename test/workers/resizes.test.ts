/**
 * One of three workers resizes the pools of all, through memory wires: once for each, not in each; not while a worker does not
 * answer; not from what an operator has changed since; and the next lead jumps to nothing. Fails when something that is not
 * known makes a pool larger, or a decision overtakes an operator.
 */
import { describe, expect, test } from 'vitest';
import type { LeasedPool } from '../../src/sizing/lease-types.ts';
import type { Predictor } from '../../src/sizing/types.ts';
import { Channel } from '../../src/workers/channel.ts';
import { Lead, type Follower } from '../../src/workers/lead.ts';
import type { SupervisorTopics, WorkerTopics } from '../../src/workers/messages.ts';
import { Resizes } from '../../src/workers/resizes.ts';
import { WorkerResizing } from '../../src/workers/worker-resizing.ts';
import { fakeNode, fakePool, type FakePool } from '../console/fakes.ts';
import { memoryWires } from './memory-wire.ts';

const settled = async (): Promise<void> => {
  for (let i = 0; i < 12; i++) await new Promise(setImmediate);
};

interface Worker {
  readonly pool: FakePool;
  readonly resizing: WorkerResizing;
  readonly known: Follower;
  readonly gone: () => void;
  isSilent: boolean;
  isResting: boolean;
}

class World {
  nowMs = 1_000;
  version: number | undefined = 1;
  /** Called when a worker is asked for its figures. */
  onSample = (): void => undefined;
  readonly resized: string[] = [];
  readonly warmed: string[] = [];
  predictor: Predictor | undefined;
  readonly logged: string[] = [];
  readonly unexpected: unknown[] = [];
  readonly lead = new Lead(
    () => undefined,
    () => this.nowMs,
  );
  readonly resizes = new Resizes({
    lead: this.lead,
    lessor: {
      resize: (pool, { from, to, reason }) => this.resize(pool, from, to, reason),
      keepWarm: (pools) => void this.warmed.push(pools.map(({ pool, count }) => `${pool.user} ${count}`).join()),
    },
    sizesVersion: () => this.version,
    log: (level, event, message) => void this.logged.push(`${level} ${event}: ${message}`),
    limitMs: 100,
  });
  readonly workers = [1, 2, 3].map((number) => this.start(number));

  private resize({ user }: LeasedPool, from: number, to: number, reason: string): void {
    this.resized.push(`${user} ${from}->${to} ${reason}`);
    for (const { pool } of this.workers) pool.set({ limit: to });
  }

  start(number: number, limit = 10): Worker {
    const [a, b] = memoryWires();
    const note = (error: unknown): void => void this.unexpected.push(error);
    const channel = new Channel<SupervisorTopics, WorkerTopics>(b, note);
    const pool = fakePool({ limit, active: 0, idle: 0, login: 0, resetting: 0, waiting: 0, checkouts: 0 });
    const known = { number, state: 'ready', channel: new Channel<WorkerTopics, SupervisorTopics>(a, note) };
    const topology = { database: 'shop', primary: undefined, replicas: [], nodes: [fakeNode()], epoch: 1 };
    let term: number | undefined;
    channel.on('lead', (news) => {
      term = news.isThisWorker ? news.term : undefined;
    });
    const worker: Worker = {
      pool,
      known,
      isSilent: false,
      isResting: false,
      gone: this.lead.attach(known),
      resizing: new WorkerResizing({
        channel: {
          on: (topic, handler) =>
            channel.on(topic, (body) => {
              this.onSample();
              return worker.isSilent ? new Promise(() => undefined) : handler(body);
            }),
          tell: (topic, body) => channel.tell(topic, body),
          ask: (topic, body) => channel.ask(topic, body),
        },
        leadTerm: () => term,
        sources: {
          pools: () => [pool],
          topologies: () => [{ database: 'shop', snapshot: () => topology }],
          settings: () => ({ enabled: true, targetWaitMs: 10, shrinkAfterMs: 300_000 }),
          poolSettings: () => ({
            ...{ defaultPoolSize: 5, maxDbConnections: 0 },
            ...{ reservePoolSize: 0, reservePoolTimeoutMs: 500 },
          }),
        },
        forecast: {
          tick: () => this.predictor,
          rest: () => void (worker.isResting = true),
        },
        nowMs: () => this.nowMs,
        onError: note,
      }),
    };
    this.resizes.attach(known.channel);
    channel.tell('follow', undefined);
    return worker;
  }

  /** Half a second. @param perWorker clients that wait in each */
  async tick(perWorker: number): Promise<void> {
    this.nowMs += 500;
    for (const { pool } of this.workers) {
      const { limit, checkouts, heldTotalMs } = pool.stats();
      const active = Math.floor(limit / this.workers.length) + 1;
      pool.set({ active, waiting: perWorker, checkouts: checkouts + 50, heldTotalMs: heldTotalMs + 1_000 });
      pool.maxWaitMs = perWorker > 0 ? 40 : 0;
      pool.peakInUse = active;
    }
    for (const { resizing } of this.workers) resizing.tick();
    await settled();
  }

  async quietTicks(): Promise<void> {
    for (let i = 0; i < 3; i++) await this.tick(0);
  }
}

describe('three workers', () => {
  test('are resized once, by the sum of what they see', async () => {
    const world = new World();
    await settled();
    await world.quietTicks();
    expect(world.resized).toEqual([]);
    await world.tick(2);
    // Six clients wait, each needs a whole connection at 20 ms a statement.
    expect(world.resized).toEqual(['app 10->18 pressure']);
    expect(world.unexpected).toEqual([]);
  });

  test('are not resized while one does not answer; the log says that once, and what happened meanwhile counts later', async () => {
    const world = new World();
    await settled();
    await world.quietTicks();
    (world.workers[2] as Worker).isSilent = true;
    for (let i = 0; i < 3; i++) {
      await world.tick(2);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    expect(world.resized).toEqual([]);
    expect(world.logged).toEqual([
      'warn resize_waits: worker 3 does not answer: no pool is made larger or smaller until it does',
    ]);
    (world.workers[2] as Worker).isSilent = false;
    await world.tick(2);
    expect(world.resized).toHaveLength(1);
  });

  test('keep what an operator sets while the lead decides, or before it has heard of it', async () => {
    const world = new World();
    await settled();
    await world.quietTicks();
    world.onSample = () => void (world.version = 2);
    await world.tick(2);
    expect(world.resized).toEqual([]);
    world.onSample = () => undefined;
    world.version = undefined;
    await world.tick(2);
    expect(world.resized).toEqual([]);
    world.version = 3;
    await world.tick(2);
    expect(world.resized).toHaveLength(1);
  });

  test('go on from the same limit when the lead dies: the next looks twice before it makes a pool larger', async () => {
    const world = new World();
    await settled();
    await world.quietTicks();
    const [first] = world.workers.splice(0, 1);
    first?.gone();
    await settled();
    await world.tick(3);
    expect(world.resized).toEqual([]);
    await world.tick(3);
    expect(world.resized).toHaveLength(1);
    // The one before decides nothing any more.
    first?.pool.set({ waiting: 50 });
    first?.resizing.tick();
    await settled();
    expect(world.resized).toHaveLength(1);
    expect(world.unexpected).toEqual([]);
  });
});

describe('a predicted load', () => {
  const why = 'at 09:00 UTC this pool usually needs 34 (confidence 0.86)';
  const loads: number[] = [];
  const predictor = (connections: number | undefined): Predictor => ({
    observe: (_pool, load) => void loads.push(load),
    predicted: () => (connections === undefined ? undefined : { connections, why }),
    warmed: () => undefined,
  });

  test('is decided by the lead for all, said with each decision, and ended by it', async () => {
    const world = new World();
    await settled();
    await world.tick(0);
    expect(world.warmed).toEqual([]);
    world.predictor = predictor(34);
    await world.tick(0);
    expect([world.resized, world.warmed]).toEqual([['app 10->34 predicted'], ['app 34']]);
    // Four in use in each of the workers.
    expect(loads.at(-1)).toBe(12);
    await world.tick(0);
    expect(world.warmed).toEqual(['app 34', 'app 34']);
    world.predictor = predictor(undefined);
    await world.tick(0);
    expect(world.warmed.at(-1)).toBe('');
    world.predictor = undefined;
    await world.quietTicks();
    expect(world.warmed).toHaveLength(3);
    expect(world.resized).toHaveLength(1);
    expect(world.unexpected).toEqual([]);
  });

  test('is not the business of the other workers, nor of a lead that stops', async () => {
    const world = new World();
    await settled();
    world.predictor = predictor(34);
    await world.tick(0);
    expect(world.workers.map(({ isResting }) => isResting)).toEqual([false, true, true]);
    const [first] = world.workers;
    first?.resizing.stop();
    expect(first?.isResting).toBe(true);
    await world.tick(0);
    for (const { resizing } of world.workers) resizing.stop();
  });

  test('goes on with the next lead, and loses to what an operator sets meanwhile', async () => {
    const world = new World();
    await settled();
    world.predictor = predictor(34);
    await world.quietTicks();
    const [first] = world.workers.splice(0, 1);
    first?.gone();
    await settled();
    const before = world.warmed.length;
    for (const { pool } of world.workers) pool.set({ limit: 5, max: 5 });
    await world.quietTicks();
    expect(world.warmed.slice(before)).toEqual(['app 5', 'app 5', 'app 5']);
    expect(world.resized).toEqual(['app 10->34 predicted']);
  });
});
