/**
 * Pools of three workers, each with its own channel to one lessor, that share a limit of 10: with real Pool objects and
 * messages that arrive later. Fails when the pools together ever have more connections than the limit (those that are being
 * closed included), when a worker with waiting clients gets none, or when a place is not given back.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { Channel } from '../../src/workers/channel.ts';
import { LeasedPlaces } from '../../src/workers/leased-places.ts';
import { Lessor, type LostPlace } from '../../src/workers/lessor.ts';
import { memoryWires } from './memory-wire.ts';
import type { SupervisorTopics, WorkerTopics } from '../../src/workers/messages.ts';
import { Scene, settled, type Client } from '../pool/scene.ts';

const address = { host: '127.0.0.1', port: 5432 };

/** A worker of which only the pool is there; its clients use a connection for one turn of the loop, again and again. */
class Worker {
  readonly places: LeasedPlaces;
  readonly scene: Scene;
  readonly close: () => void;
  private readonly clients: Client[] = [];
  private names = 0;

  constructor(id: number, lessor: Lessor, unexpected: (error: unknown) => void) {
    const [here, there] = memoryWires();
    this.close = () => here.close();
    lessor.add(id, new Channel<WorkerTopics, SupervisorTopics>(there, unexpected));
    const channel = new Channel<SupervisorTopics, WorkerTopics>(here, unexpected);
    this.places = new LeasedPlaces({ channel, onSize: () => undefined });
    const settings = { defaultPoolSize: 10, maxPoolSize: 10 };
    this.scene = new Scene(settings, this.places.ofDatabase(address, 'shop'));
  }

  want(count: number): void {
    for (const client of this.clients.splice(count)) {
      client.ticket?.cancel();
      if (client.server !== undefined) this.scene.giveBack(client);
    }
    while (this.clients.length < count) this.clients.push(this.scene.wait(`client ${++this.names}`));
  }

  /** Statements end, log-ins succeed. */
  turn(): void {
    this.clients.forEach((client, index) => {
      if (client.server === undefined) return;
      this.scene.giveBack(client);
      this.clients[index] = this.scene.wait(`client ${++this.names}`);
    });
    for (const login of [...this.scene.logins]) login.succeed();
  }

  get open(): number {
    return this.scene.pool.servers().size;
  }

  /** Connections that the server sees, and log-ins. */
  get seen(): number {
    return this.scene.connected + this.scene.logins.length;
  }
}

class World {
  readonly bugs: unknown[] = [];
  readonly lost: { readonly place: LostPlace; readonly gone: () => void }[] = [];
  readonly lessor = new Lessor({
    nowMs: () => performance.now(),
    whenGone: (places) => places.map((place) => new Promise<void>((gone) => this.lost.push({ place, gone }))),
    resized: () => undefined,
    unexpected: (error) => void this.bugs.push(error),
    isEnding: () => false,
  });
  readonly workers = [1, 2, 3].map((id) => new Worker(id, this.lessor, (error) => void this.bugs.push(error)));
  most = 0;

  async until(what: string, isTrue: () => boolean, withinMs = 20_000): Promise<number> {
    const sinceMs = performance.now();
    while (!isTrue()) {
      if (performance.now() - sinceMs > withinMs) throw new Error(`not in ${withinMs} ms: ${what}`);
      for (const worker of this.workers) worker.turn();
      this.most = Math.max(
        this.most,
        this.workers.reduce((sum, { seen }) => sum + seen, 0),
      );
      await settled();
    }
    return performance.now() - sinceMs;
  }

  get open(): number[] {
    return this.workers.map(({ open }) => open);
  }
}

describe('three workers that share a limit of 10', () => {
  let world: World | undefined;
  afterEach(() => {
    for (const { places } of world?.workers ?? []) places.stop();
    world?.lessor.stop();
  });

  test('divide it by need, and never have more', async () => {
    world = new World();
    const [one, two, three] = world.workers as [Worker, Worker, Worker];
    one.want(30);
    await world.until('one has all', () => one.open === 10);
    two.want(30);
    await world.until('both have the same', () => one.open === 5 && two.open === 5);
    one.want(0);
    three.want(2);
    await world.until('idle ones go where they are needed', () => three.open === 2 && two.open === 8);
    expect(world.most).toBe(10);
    for (const worker of world.workers) {
      worker.want(0);
      worker.scene.pool.close();
    }
    const { lessor } = world;
    await world.until('all is given back', () => [1, 2, 3].every((id) => lessor.placesOf(id) === 0));
    expect(world.lost).toEqual([]);
    expect(world.bugs).toEqual([]);
  });

  test('share what is to be open ahead of a load, and give it to clients wherever they come', async () => {
    world = new World();
    const [one, , three] = world.workers as [Worker, Worker, Worker];
    const { lessor } = world;
    const pool = { database: 'shop', user: 'app', node: 'db1', server: '127.0.0.1:5432' };
    /** As the lead does, again and again. */
    const untilWarm = (count: number, open: string): Promise<number> =>
      (world as World).until(open, () => {
        lessor.keepWarm(count === 0 ? [] : [{ pool, count }]);
        return world?.open.join() === open;
      });
    await untilWarm(8, '3,3,2');
    expect(one.scene.pool.stats()).toMatchObject({ idle: 3, min: 0, limit: 10 });
    // More than the limit is never open.
    await untilWarm(30, '4,3,3');
    three.want(10);
    await untilWarm(30, '0,0,10');
    three.want(4);
    await untilWarm(0, '0,0,10');
    expect(world.most).toBe(10);
    expect(world.bugs).toEqual([]);
  });

  test('what a worker uses between two reports counts: busy pools keep their connections', async () => {
    world = new World();
    const [one, two] = world.workers as [Worker, Worker, Worker];
    one.want(30);
    two.want(30);
    await world.until('both have the same', () => one.open === 5 && two.open === 5);
    one.want(0);
    const backends = (): unknown[] =>
      [one, two].map((worker) => Array.from(worker.scene.pool.servers(), (s) => s.processId));
    const before = backends();
    const untilMs = performance.now() + 500;
    await world.until('many reports were sent', () => {
      // All are used, but at none of the moments at which a report is made.
      one.want(5);
      one.want(0);
      return performance.now() >= untilMs;
    });
    expect(backends()).toEqual(before);
    await world.until('when they are not used any more, they go where they are needed', () => two.open === 10);
    expect(world.bugs).toEqual([]);
  });

  test('the places of a worker that dies are free when its backends are gone', async () => {
    world = new World();
    const [one, two] = world.workers as [Worker, Worker, Worker];
    one.want(30);
    await world.until('one has all', () => one.open === 10);
    const pids = [...one.scene.pool.servers()].map(({ processId }) => processId);
    one.want(0);
    one.close();
    const { lost } = world;
    await world.until('the death is known', () => lost.length === 10);
    expect(lost.map(({ place }) => place.processId).sort()).toEqual(pids.sort());
    two.want(30);
    let turns = 0;
    await world.until('time passes', () => ++turns > 20);
    expect(two.open + two.scene.logins.length).toBe(0);
    for (const { gone } of lost.slice(0, 4)) gone();
    await world.until('four are free', () => two.open === 4);
    for (const { gone } of lost.slice(4)) gone();
    await world.until('all are free', () => two.open === 10);
    expect(world.bugs).toEqual([]);
  });

  test('a connection that is cut, not closed, keeps its place until its backend is gone', async () => {
    world = new World();
    const [one] = world.workers as [Worker];
    one.want(30);
    await world.until('one has all', () => one.open === 10);
    const [server] = one.scene.pool.servers();
    server?.destroy('a test');
    const { lost } = world;
    await world.until('the loss is known', () => lost.length === 1);
    expect(lost[0]?.place).toMatchObject({ host: '127.0.0.1', port: 5432, processId: server?.processId });
    expect(one.open).toBe(9);
    lost[0]?.gone();
    await world.until('the place is used again', () => one.open === 10);
  });

  test('a replication connection gets the place of an idle one, or is refused', async () => {
    world = new World();
    const [one] = world.workers as [Worker];
    one.places.ofServer(address).limit = 10;
    one.want(30);
    await world.until('one has all', () => one.open === 10);
    expect(one.places.ofServer(address).used).toBe(10);
    let refused: unknown = 'nothing yet';
    void one.places
      .ofDatabase(address, 'shop')
      .reserve('db1', 'app', Infinity)
      .then((place) => (refused = place));
    await world.until('it is refused', () => refused === undefined);
    one.want(0);
    await world.until('they are idle', () => one.scene.pool.inUse === 0);
    const reserved = one.places.ofDatabase(address, 'shop').reserve('db1', 'app', Infinity);
    await world.until('one is closed for it', () => one.open === 9);
    const place = await reserved;
    place?.opened(4711);
    const { lessor } = world;
    await settled();
    expect(lessor.placesOf(1)).toBe(10);
    place?.release(true);
    await world.until('it is given back', () => lessor.placesOf(1) === 9);
    expect(world.bugs).toEqual([]);
  });
});
