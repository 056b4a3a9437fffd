/**
 * What goes wrong, each for a while, and always mended at its end. By name, so that a run can be told to play only some.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PgNode } from '../integration/harness/pg-node.ts';
import { workersOf } from './processes.ts';
import type { Random } from './random.ts';
import { mostServers } from './stage.ts';
import type { Place, Stage } from './stage.ts';

export interface Fault {
  readonly name: string;
  /** Two at once are of different groups. */
  readonly group: 'node' | 'redis' | 'weir' | 'client';
  /** No client may lose anything, but those of a worker that is killed. */
  readonly isHarmless?: boolean;
  play(stage: Stage, random: Random): Promise<void>;
}

const replicaOf = (stage: Stage, random: Random): PgNode => random.pick(stage.cluster.replicas);
const sharedOf = (stage: Stage, random: Random): Place =>
  random.pick(stage.places.filter(({ toRedis }) => toRedis !== undefined));

async function paused(stage: Stage, nodes: readonly PgNode[], ms: number): Promise<void> {
  await Promise.all(nodes.map((node) => stage.tell(node, 'SELECT pg_wal_replay_pause()')));
  await sleep(ms);
  await Promise.all(nodes.map((node) => stage.tell(node, 'SELECT pg_wal_replay_resume()')));
}

async function frozen(node: PgNode, ms: number): Promise<void> {
  node.freeze();
  await sleep(ms);
  node.thaw();
}

const nodes: readonly Fault[] = [
  {
    name: 'pause-replay',
    group: 'node',
    play: (stage, random) => paused(stage, [replicaOf(stage, random)], random.between(300, 4_000)),
  },
  {
    name: 'pause-replay-everywhere',
    group: 'node',
    play: (stage, random) => paused(stage, stage.cluster.replicas, random.between(300, 2_500)),
  },
  {
    name: 'kill-replica',
    group: 'node',
    async play(stage, random) {
      const node = replicaOf(stage, random);
      await stage.cluster.kill(node);
      await sleep(random.between(0, 1_500));
      await stage.cluster.start(node);
    },
  },
  {
    name: 'kill-primary',
    group: 'node',
    async play(stage, random) {
      const node = stage.cluster.primary;
      await stage.cluster.kill(node);
      await sleep(random.between(0, 800));
      await stage.cluster.start(node);
    },
  },
  {
    name: 'freeze-replica',
    group: 'node',
    play: (stage, random) => frozen(replicaOf(stage, random), random.between(200, 4_000)),
  },
  {
    name: 'freeze-primary',
    group: 'node',
    play: (stage, random) => frozen(stage.cluster.primary, random.between(200, 3_000)),
  },
  { name: 'switch-over', group: 'node', play: (stage) => stage.switchOver() },
];

const redis: readonly Fault[] = [
  {
    name: 'kill-redis',
    group: 'redis',
    async play(stage, random) {
      await stage.redis.kill();
      await sleep(random.between(0, 2_500));
      await stage.redis.start();
    },
  },
  {
    name: 'freeze-redis',
    group: 'redis',
    async play(stage, random) {
      stage.redis.pause();
      await sleep(random.between(100, 4_000));
      stage.redis.resume();
    },
  },
  {
    name: 'flush-redis',
    group: 'redis',
    async play(stage) {
      for (let i = 0; i < 3; i++) {
        await stage.redis.command('FLUSHALL');
        await sleep(300);
      }
    },
  },
  {
    name: 'partition-redis',
    group: 'redis',
    async play(stage, random) {
      const { toRedis } = sharedOf(stage, random);
      toRedis?.blackhole();
      await sleep(random.between(500, 7_000));
      toRedis?.pass();
    },
  },
  {
    name: 'cut-redis',
    group: 'redis',
    async play(stage, random) {
      const { toRedis } = sharedOf(stage, random);
      toRedis?.setMode('refuse');
      toRedis?.reset();
      await sleep(random.between(200, 5_000));
      toRedis?.pass();
    },
  },
  {
    name: 'slow-redis',
    group: 'redis',
    async play(stage, random) {
      const { toRedis } = sharedOf(stage, random);
      if (toRedis === undefined) return;
      toRedis.delayMs = random.between(5, 60);
      await sleep(random.between(500, 4_000));
      toRedis.delayMs = 0;
    },
  },
  {
    // Commands are answered as ever, only the messages do not come.
    name: 'mute-redis',
    group: 'redis',
    async play(stage, random) {
      const { toRedis } = sharedOf(stage, random);
      toRedis?.blackhole({ direction: 'toClient', saying: 'weir-invalidations' });
      await sleep(random.between(500, 4_000));
      toRedis?.pass();
    },
  },
  {
    // Nothing comes back from Redis; then answers do, which are late, and messages later still.
    name: 'late-answers',
    group: 'redis',
    async play(stage, random) {
      const { toRedis } = sharedOf(stage, random);
      toRedis?.blackhole({ direction: 'toClient' });
      await sleep(random.between(500, 950));
      toRedis?.blackhole({ direction: 'toClient', saying: 'weir-invalidations' });
      await sleep(random.between(300, 900));
      toRedis?.pass();
    },
  },
  {
    // What each writes the others hear of late, but within a lease, and all else is as fast as ever.
    name: 'late-redis',
    group: 'redis',
    async play({ places }, random) {
      for (let i = 0; i < 8; i++) {
        for (const { toRedis } of places) toRedis?.blackhole({ direction: 'toClient', saying: 'weir-invalidations' });
        await sleep(random.between(50, 600));
        for (const { toRedis } of places) toRedis?.pass();
        await sleep(random.between(50, 400));
      }
    },
  },
];

const weirs: readonly Fault[] = [
  {
    name: 'freeze-weir',
    group: 'weir',
    async play(stage, random) {
      const { weir } = random.pick(stage.places);
      weir.signal('SIGSTOP');
      await sleep(random.between(100, 6_000));
      weir.signal('SIGCONT');
    },
  },
  {
    name: 'kill-weir',
    group: 'weir',
    async play(stage, random) {
      const place = random.pick(stage.places);
      await place.weir.kill();
      await sleep(random.between(0, 500));
      await stage.restartWeir(place);
    },
  },
  {
    name: 'slow-primary',
    group: 'weir',
    async play(stage, random) {
      const { toPrimary } = random.pick(stage.places);
      toPrimary.delayMs = random.between(5, 60);
      await sleep(random.between(500, 3_000));
      toPrimary.delayMs = 0;
    },
  },
  {
    name: 'cut-primary',
    group: 'weir',
    async play(stage, random) {
      const { toPrimary } = random.pick(stage.places);
      for (let i = random.below(4); i >= 0; i--) {
        if (random.chance(0.5)) toPrimary.reset();
        else toPrimary.cut();
        await sleep(random.between(50, 600));
      }
    },
  },
];

function signalWorker(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}

/** Only for Weirs of several workers. */
export const workerFaults: readonly Fault[] = [
  {
    name: 'kill-worker',
    group: 'weir',
    isHarmless: true,
    async play(stage, random) {
      const { weir } = random.pick(stage.places);
      const pids = workersOf(weir.pid);
      if (pids.length > 0) stage.killed.kill(weir.pid, random.pick(pids));
      await sleep(random.between(500, 3_000));
    },
  },
  {
    name: 'freeze-worker',
    group: 'weir',
    isHarmless: true,
    async play(stage, random) {
      const pids = workersOf(random.pick(stage.places).weir.pid);
      if (pids.length === 0) return;
      const pid = random.pick(pids);
      signalWorker(pid, 'SIGSTOP');
      await sleep(random.between(100, 6_000));
      signalWorker(pid, 'SIGCONT');
    },
  },
  {
    name: 'restart-workers',
    group: 'weir',
    isHarmless: true,
    async play(stage, random) {
      random.pick(stage.places).weir.signal('SIGUSR2');
      await sleep(random.between(1_000, 6_000));
    },
  },
  {
    name: 'resize-pool',
    group: 'client',
    isHarmless: true,
    async play(stage, random) {
      const place = random.pick(stage.places);
      for (let i = 0; i < 3; i++) {
        await stage.ask(
          place,
          `RESIZE POOL ${place.world.name}.app MIN 0 MAX ${Math.round(random.between(3, mostServers))}`,
        );
        await sleep(random.between(100, 1_000));
      }
      await stage.ask(place, `RESIZE POOL ${place.world.name}.app MIN 0 MAX ${mostServers}`);
    },
  },
  {
    name: 'reload',
    group: 'client',
    isHarmless: true,
    async play(stage, random) {
      const place = random.pick(stage.places);
      for (let i = 0; i < 3; i++) {
        place.weir.signal('SIGHUP');
        await sleep(random.between(100, 1_500));
      }
    },
  },
];

const clients: readonly Fault[] = [
  {
    name: 'cancel',
    group: 'client',
    async play(stage, random) {
      for (let i = 0; i < 40; i++) {
        random.pick(random.pick(stage.worlds).sessions).cancel();
        await sleep(random.between(5, 40));
      }
    },
  },
  {
    name: 'leave',
    group: 'client',
    async play(stage, random) {
      for (let i = 0; i < 20; i++) {
        random.pick(random.pick(stage.worlds).sessions).drop();
        await sleep(random.between(5, 80));
      }
    },
  },
  {
    name: 'terminate',
    group: 'client',
    async play(stage, random) {
      const sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'";
      for (let i = 0; i < 12; i++) {
        await Promise.all(stage.cluster.nodes.map((node) => stage.tell(node, sql)));
        await sleep(random.between(100, 200));
      }
    },
  },
];

/** Longer than the bound on age: whatever is old by then stays so. */
const lullMs = 7_000;

/** No fault at all: nobody writes, and so nothing but time can put right what a fault has left behind. */
const lull: Fault = {
  name: 'lull',
  group: 'client',
  isHarmless: true,
  async play(stage) {
    for (const world of stage.worlds) world.pauses++;
    await sleep(lullMs);
    for (const world of stage.worlds) world.pauses--;
  },
};

export const faults: readonly Fault[] = [...nodes, ...redis, ...weirs, ...clients, lull];
