/** The loads of the simulator, each of which a fixed size of the pool is wrong for in its own way. */
import type { Work } from './node.ts';
import type { Load } from './simulate.ts';

const node = { cores: 8, penalty: 0.004 };
/** Each of two replicas. */
const small = { cores: 4, penalty: 0.004 };
const minute = 60;
/** A client of a web page. */
const patient = 30_000;

/** Log-normal, as times of statements are: most are short, a few very long. */
function around(ms: number, random: () => number, spread = 0.8): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return ms * Math.exp(spread * normal - (spread * spread) / 2);
}

const cpuBound = (random: () => number): Work => ({
  template: 'cpu',
  cpuMs: around(4, random),
  waitMs: 0,
  hasLock: false,
});

const hotRow = (random: () => number): Work => ({
  template: 'lock',
  cpuMs: around(1, random),
  waitMs: 0,
  hasLock: true,
});

const waitBound = (random: () => number): Work => ({
  template: 'wait',
  cpuMs: around(0.5, random),
  waitMs: around(20, random, 0.3),
  hasLock: false,
});

export const loads = {
  cpu: {
    name: 'CPU-bound, 100 clients',
    ...{ node, work: cpuBound, clients: () => 100, thinkMs: 5, patienceMs: patient, seconds: minute },
  },
  wait: {
    name: 'wait-bound, 80 clients',
    ...{ node, clients: () => 80, thinkMs: 5, patienceMs: patient, seconds: minute },
    work: waitBound,
  },
  lock: {
    name: 'one hot row, 60 clients',
    ...{ node, clients: () => 60, thinkMs: 5, patienceMs: patient, seconds: minute },
    work: hotRow,
  },
  mixed: {
    name: 'reads, reports and a hot row, 80 clients',
    ...{ node, clients: () => 80, thinkMs: 10, patienceMs: patient, seconds: minute },
    work: (random) => {
      const kind = random();
      if (kind < 0.1) return hotRow(random);
      const [template, cpuMs] = kind < 0.15 ? (['report', 40] as const) : (['read', 2] as const);
      return { template, cpuMs: around(cpuMs, random), waitMs: 0, hasLock: false };
    },
  },
  switching: {
    name: 'CPU-bound and wait-bound, every 10 s',
    ...{ node, clients: () => 80, thinkMs: 5, patienceMs: patient, seconds: minute },
    work: (random, nowMs) => (Math.floor(nowMs / 10_000) % 2 === 0 ? cpuBound(random) : waitBound(random)),
  },
  burst: {
    name: '200 clients that appear in a second, every 20 s',
    ...{ node, thinkMs: 20, patienceMs: patient, seconds: minute, work: cpuBound },
    clients: (nowMs) => (nowMs % 20_000 < 5_000 ? 200 : 10),
  },
  overload: {
    name: '5 x what the node can do, clients give up after 1 s',
    ...{ node, patienceMs: 1_000, seconds: minute, work: cpuBound },
    perSecond: () => 5 * 2_000,
  },
  slow: {
    name: 'the node loses three quarters of its cores for 20 s, clients give up after 1 s',
    node: { cores: 2, penalty: 0.004 },
    ...{ patienceMs: 1_000, seconds: minute, work: cpuBound },
    perSecond: (nowMs) => (nowMs % 40_000 > 20_000 ? 2_000 : 300),
  },
  'slow-replica': {
    name: 'reads on two replicas, one of them five times as slow for 20 s of 40, clients give up after 1 s',
    ...{ node: small, replicas: 1, patienceMs: 1_000, seconds: minute, work: cpuBound },
    perSecond: () => 1_000,
    slowness: (nowMs) => (nowMs % 40_000 > 20_000 ? 5 : 1),
  },
  'lost-replica': {
    name: 'reads on two replicas, one of them lost for 20 s of 40, clients give up after 1 s',
    ...{ node: small, replicas: 1, patienceMs: 1_000, seconds: minute, work: cpuBound },
    perSecond: () => 800,
    isDown: (nowMs) => nowMs % 40_000 > 20_000,
  },
  herd: {
    name: 'a restart every 20 s, after which 1,000 clients come at once and give up after 1 s',
    ...{ node, thinkMs: 1_000, patienceMs: 1_000, seconds: minute, work: cpuBound },
    // All connections end with the restart.
    isDown: (nowMs) => nowMs % 20_000 > 19_000,
    clients: (nowMs) => (nowMs % 20_000 > 19_000 ? 0 : 1_000),
  },
} as const satisfies Readonly<Record<string, Load>>;
