/**
 * Workers that share the monitors of one of them, over wires in memory: each server is probed once for all, the LSN of a
 * tick is always of a probe that was sent after the tick was given out, and the loss of the lead fails no server. Fails when
 * an answer from before a request counts, or a worker stays without answers.
 */
import { expect, test, vi } from 'vitest';
import type { NodeConfig } from '../../src/config/config.ts';
import { CatalogReadings } from '../../src/topology/catalog-readings.ts';
import type { MemberOptions } from '../../src/topology/member.ts';
import type { ConnectProbe, ProbeRow } from '../../src/topology/samples.ts';
import { ServerMonitors } from '../../src/topology/server-monitors.ts';
import { createTicker, type ProbeTicker } from '../../src/topology/ticker.ts';
import { systemClock } from '../../src/util/clock.ts';
import { Channel } from '../../src/workers/channel.ts';
import type { Wire } from '../../src/workers/channel.ts';
import { Lead, type Follower } from '../../src/workers/lead.ts';
import type { SupervisorChannel } from '../../src/workers/messages.ts';
import { sharedTime } from '../../src/workers/shared-time.ts';
import { SharedMonitors } from '../../src/workers/shared-monitors.ts';
import { identity, noTls, nodeConfig } from '../topology/fixtures.ts';

const node = nodeConfig('db1');
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Whole numbers below `n`, the same for the same seed. */
function numbers(seed: number): (n: number) => number {
  let state = seed * 2654435761 + 12345;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return ((state >>> 8) % 65_536) % n;
  };
}

/** As memoryWires, but each message is late by up to `maxMs`; in order. */
function lateWires(pick: (n: number) => number, maxMs: number): [Wire, Wire, () => void] {
  const listeners: ((envelope: never) => void)[][] = [[], []];
  const ends: (() => void)[] = [];
  const tails = [Promise.resolve(), Promise.resolve()];
  let isOpen = true;
  const end = (mine: 0 | 1): Wire => ({
    send(envelope) {
      const copy = structuredClone(envelope) as never;
      const lateMs = pick(maxMs + 1);
      tails[mine] = tails[mine]!.then(async () => {
        if (lateMs > 0) await pause(lateMs);
        if (isOpen) for (const listener of listeners[1 - mine]!) listener(copy);
      });
    },
    onEnvelope: (listener) => void listeners[mine]!.push(listener as (envelope: never) => void),
    onClosed: (listener) => void ends.push(listener),
  });
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    for (const each of ends) each();
  };
  return [end(0), end(1), close];
}

/** A server whose LSN is the number of what has happened at it. */
interface FakeServer {
  lsn: number;
  probes: number;
  open: number;
  readonly connect: ConnectProbe;
}

function fakeServer(delayMs: () => number): FakeServer {
  const server: FakeServer = {
    lsn: 1,
    probes: 0,
    open: 0,
    connect: async () => {
      await pause(delayMs());
      server.open++;
      let isOpen = true;
      return {
        identity: identity(),
        async probe() {
          server.probes++;
          await pause(delayMs());
          const { lsn } = server;
          await pause(delayMs());
          return { isInRecovery: false, lsn, timeline: 1 };
        },
        query: (sql: string): Promise<ProbeRow[]> => Promise.resolve([{ sql }]),
        close: () => {
          if (isOpen) server.open--;
          isOpen = false;
          return Promise.resolve();
        },
      };
    },
  };
  return server;
}

interface Worker {
  readonly follower: Follower;
  readonly monitors: SharedMonitors;
  readonly ticker: ProbeTicker;
  failures: number;
  samples: number;
  leave(): Promise<void>;
  die(): void;
}

interface World {
  readonly lead: Lead;
  readonly server: FakeServer;
  readonly bugs: unknown[];
  start(number: number): Worker;
  /** Questions about the catalog that reached the server. */
  readonly readings: { count: number; hold: Promise<void> };
  /** Log-ins that a lead was told are refused elsewhere. */
  readonly refused: string[];
}

function world(pick: (n: number) => number, maxLateMs: number): World {
  const server = fakeServer(() => pick(4));
  const bugs: unknown[] = [];
  const lead = new Lead(() => undefined, systemClock.nowMs);
  const readings = { count: 0, hold: Promise.resolve() };
  const refused: string[] = [];
  const start = (number: number): Worker => {
    const [ours, theirs, close] = lateWires(pick, maxLateMs);
    const unexpected = (error: unknown): void => void bugs.push(error);
    const follower: Follower = { number, state: 'ready', channel: new Channel(ours, unexpected) };
    const channel: SupervisorChannel = new Channel(theirs, unexpected);
    const leaveLead = lead.attach(follower);
    const local = new ServerMonitors();
    const catalog = new CatalogReadings({
      connect: (...args) => server.connect(...args),
      fingerprint: async () => {
        const run = ++readings.count;
        await readings.hold;
        return `run ${run}`;
      },
      readCatalog: () => Promise.reject(new Error('not here')),
    });
    const opened: { close(): Promise<void> }[] = [];
    const connect: ConnectProbe = async (...args) => {
      const connection = await server.connect(...args);
      opened.push(connection);
      return connection;
    };
    const logins = () => [{ key: '', rank: 0, connect }];
    const monitors = new SharedMonitors({
      channel,
      time: sharedTime(),
      local,
      databases: {
        join: (database, at, events) => local.join({ database, node: at, logins, events }, noTls, 100, systemClock),
        borrow: () => undefined,
        refused: (database, { name }, user) => void refused.push(`${number}: ${user} at ${name} of ${database}`),
        askCatalog: (asker, _database, _at, question) => catalog.ask(asker, node, question),
        releaseCatalog: (asker) => catalog.release(asker),
      },
    });
    const worker = watch(monitors, logins);
    return Object.assign(worker, {
      follower,
      die: () => {
        close();
        void worker.leave();
        for (const connection of opened) void connection.close();
        leaveLead();
      },
    });
  };
  return { lead, server, bugs, start, readings, refused };
}

/** What monitor.ts does for a primary. */
function watch(monitors: SharedMonitors, logins: MemberOptions['logins']): Omit<Worker, 'follower' | 'die'> {
  const ticker = createTicker(() => member.hurry(5));
  let tick: number | undefined;
  const worker = { monitors, ticker, failures: 0, samples: 0, leave: () => member.leave() };
  const member = monitors.join(
    {
      database: 'shop',
      node,
      logins,
      isTickAwaited: () => ticker.isDemanded(),
      events: {
        connected: () => undefined,
        sending: () => void (tick = ticker.begin()),
        sampled: (sample) => {
          worker.samples++;
          if (tick !== undefined) ticker.finish(tick, sample.lsn);
        },
        failed: () => void worker.failures++,
        intervalMs: () => (ticker.isDemanded() ? 5 : 20),
      },
    },
    noTls,
    100,
    systemClock,
  );
  return worker;
}

/** Takes ticks while things happen at the server; @returns how many were answered */
async function takeTicks(
  { server }: World,
  worker: Worker,
  pick: (n: number) => number,
  count: number,
): Promise<number> {
  let answered = 0;
  for (let i = 0; i < count; i++) {
    const written = ++server.lsn;
    const tick = worker.ticker.next();
    for (let waited = 0; waited < 500; waited++) {
      const lsn = worker.ticker.lsnOf(tick);
      if (lsn !== undefined) {
        // The rule: what was written before the tick was given out lies before its LSN.
        expect(lsn).toBeGreaterThanOrEqual(written);
        answered++;
        break;
      }
      await pause(1);
    }
    if (pick(3) === 0) await pause(pick(8));
  }
  return answered;
}

test('the LSN of a tick is of a probe sent after it was given out, on every worker, whatever is late or dies', async () => {
  const runs = Array.from({ length: 60 }, async (_, seed) => {
    const pick = numbers(seed + 1);
    const all = world(pick, 1 + pick(6));
    const workers = [1, 2, 3].map((number) => all.start(number));
    const ticking = workers.map((worker) => takeTicks(all, worker, pick, 25));
    await pause(20 + pick(60));
    // Its ticks are not answered any more.
    const victim = workers[(all.lead.number ?? 1) - 1]!;
    victim.die();
    const answered = await Promise.all(ticking.filter((_each, i) => workers[i] !== victim));
    expect(answered).toEqual([25, 25]);
    for (const worker of workers) if (worker !== victim) expect(worker.failures).toBe(0);
    expect(all.bugs).toEqual([]);
    for (const worker of workers) await worker.leave();
  });
  await Promise.all(runs);
}, 60_000);

test('one connection for all workers, and about as many probes as one worker alone sends', async () => {
  const pick = numbers(1);
  const all = world(pick, 1);
  const workers = [1, 2, 3].map((number) => all.start(number));
  await vi.waitFor(() => expect(workers.every(({ samples }) => samples > 5)).toBe(true), 5_000);
  expect(all.server.open).toBe(1);
  const before = { probes: all.server.probes, samples: workers.map(({ samples }) => samples) };
  await pause(300);
  const probes = all.server.probes - before.probes;
  for (const [i, worker] of workers.entries())
    expect(worker.samples - before.samples[i]!).toBeGreaterThan(probes / 2 - 2);
  for (const worker of workers) await worker.leave();
});

test('a lead that dies is replaced, nobody takes that for a failure, and its connection is made anew', async () => {
  const all = world(numbers(2), 1);
  const workers = [1, 2, 3].map((number) => all.start(number));
  await vi.waitFor(() => expect(workers.every(({ samples }) => samples > 2)).toBe(true), 5_000);
  const first = workers.find(({ monitors }) => monitors.isLead)!;
  first.die();
  const rest = workers.filter((worker) => worker !== first);
  const before = rest.map(({ samples }) => samples);
  await vi.waitFor(() => expect(rest.every(({ samples }, i) => samples > before[i]! + 3)).toBe(true), 5_000);
  expect(rest.filter(({ monitors }) => monitors.isLead)).toHaveLength(1);
  expect(rest.map(({ failures }) => failures)).toEqual([0, 0]);
  expect(all.server.open).toBe(1);
  for (const worker of rest) await worker.leave();
});

test('a worker and the one that replaces it at its place each get their answers', async () => {
  const all = world(numbers(5), 1);
  const lead = all.start(1);
  const [old, fresh] = [all.start(2), all.start(2)];
  const others = [old, fresh];
  await vi.waitFor(() => expect(others.every(({ samples }) => samples > 2)).toBe(true), 5_000);
  expect(lead.monitors.isLead).toBe(true);
  old.die();
  const before = fresh.samples;
  await vi.waitFor(() => expect(fresh.samples).toBeGreaterThan(before + 3), 5_000);
  expect(others.map(({ failures }) => failures)).toEqual([0, 0]);
  expect(all.bugs).toEqual([]);
  for (const worker of [lead, fresh]) await worker.leave();
});

test('a lead that is told to end leads no more, before its process has ended', async () => {
  const all = world(numbers(6), 1);
  const [first, second] = [all.start(1), all.start(2)];
  await vi.waitFor(() => expect([first, second].every(({ samples }) => samples > 2)).toBe(true), 5_000);
  expect(first.monitors.isLead).toBe(true);
  (first.follower as { state: string }).state = 'emptying';
  all.lead.sweep();
  expect(all.lead.number).toBe(1);
  (first.follower as { state: string }).state = 'ending';
  all.lead.sweep();
  expect(all.lead.number).toBe(2);
  await vi.waitFor(() => expect(second.monitors.isLead).toBe(true), 5_000);
  const before = [first.samples, second.samples];
  await vi.waitFor(() => expect(first.samples > before[0]! + 3 && second.samples > before[1]! + 3).toBe(true), 5_000);
  expect(first.failures + second.failures).toBe(0);
  expect(all.bugs).toEqual([]);
  for (const worker of [first, second]) await worker.leave();
});

test('the lead hears which client log-ins servers refuse to other workers', async () => {
  const all = world(numbers(7), 0);
  const workers = [1, 2].map((number) => all.start(number));
  await vi.waitFor(() => expect(workers.every(({ samples }) => samples > 0)).toBe(true), 5_000);
  for (const [i, { monitors }] of workers.entries()) monitors.loginRefused('shop', node as NodeConfig, `user${i + 1}`);
  await vi.waitFor(() => expect(all.refused).toEqual([`1: user2 at ${node.name} of shop`]), 5_000);
  for (const worker of workers) await worker.leave();
});

test('what several workers ask of a catalog is asked once, by a run that begins after the question', async () => {
  const all = world(numbers(3), 0);
  const workers = [1, 2, 3].map((number) => all.start(number));
  await vi.waitFor(() => expect(all.lead.number).toBeDefined());
  const { signal } = new AbortController();
  let release = (): void => undefined;
  all.readings.hold = new Promise((resolve) => (release = resolve));
  const ask = async (worker: Worker): Promise<unknown> =>
    (await worker.monitors.askCatalog('shop', node as NodeConfig, 'fingerprint', signal))[0]?.['fingerprint'];
  const running = ask(workers[0]!);
  await vi.waitFor(() => expect(all.readings.count).toBe(1), 5_000);
  const late = workers.map((worker) => ask(worker));
  await pause(50);
  release();
  expect(await running).toBe('run 1');
  expect(await Promise.all(late)).toEqual(['run 2', 'run 2', 'run 2']);
  for (const worker of workers) await worker.leave();
});

test('a question about a catalog is asked again at the next lead', async () => {
  const all = world(numbers(4), 0);
  const workers = [1, 2].map((number) => all.start(number));
  await vi.waitFor(() => expect(workers.some(({ monitors }) => monitors.isLead)).toBe(true), 5_000);
  const first = workers.find(({ monitors }) => monitors.isLead)!;
  const other = workers.find((worker) => worker !== first)!;
  all.readings.hold = new Promise(() => undefined);
  const { signal } = new AbortController();
  const answer = other.monitors.askCatalog('shop', node as NodeConfig, 'fingerprint', signal);
  await vi.waitFor(() => expect(all.readings.count).toBe(1), 5_000);
  all.readings.hold = Promise.resolve();
  first.die();
  expect((await answer)[0]).toEqual({ fingerprint: 'run 2' });
  await other.leave();
});

test('a time that another process tells never comes out younger than it is', () => {
  for (let seed = 0; seed < 2_000; seed++) {
    const pick = numbers(seed);
    let machine = 1_000_000 + pick(1_000_000);
    const zero = [pick(500_000), pick(500_000)] as const;
    const now = (): number => (machine += pick(100) / 1_000);
    const [sender, receiver] = zero.map((offset) => sharedTime(() => now() - offset, now));
    const sentAt = now();
    const arrived = receiver!.toLocal(sender!.toShared(sentAt - zero[0])) + zero[1];
    expect(arrived).toBeLessThanOrEqual(sentAt);
    expect(sentAt - arrived).toBeLessThan(1);
  }
});
