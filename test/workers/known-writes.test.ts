/**
 * The client of a write is not answered before all other workers know of the write, and they read no replica that may lack it. Nobody
 * waits for a worker that is gone or serves nobody, nor for ever for one that is silent. Fails if a worker that may show what is
 * out of date is not waited for.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { Guards } from '../../src/cache/guard.ts';
import { Freshness } from '../../src/cache/freshness.ts';
import { endOf, HeardWrites } from '../../src/cache/heard-writes.ts';
import type { Peers } from '../../src/cache/peers.ts';
import { SharedStamps } from '../../src/cache/shared-stamps.ts';
import { TagTable } from '../../src/cache/tags.ts';
import { noReplicaMs, shortWriteMs } from '../../src/cache/transport.ts';
import { createManualClock, type ManualClock } from '../../src/util/clock.ts';
import { noSuchTick } from '../../src/util/ticks.ts';
import { Channel } from '../../src/workers/channel.ts';
import { KnownWrites, HeardByAll } from '../../src/workers/known-writes.ts';
import type { SupervisorTopics, WorkerChannel, WorkerTopics } from '../../src/workers/messages.ts';
import { memoryWires } from './memory-wire.ts';

const leaseMs = 1_000;
/** A lease, and how long the message may take. */
const patienceMs = 3_000;

let clock: ManualClock;
let serving: { readonly channel: WorkerChannel }[];
let heardByAll: HeardByAll;
let bugs: unknown[];

beforeEach(() => {
  clock = createManualClock(1_000);
  serving = [];
  bugs = [];
  heardByAll = new HeardByAll(clock.nowMs, () => serving);
});

function worker() {
  const [up, down] = memoryWires();
  const channel: WorkerChannel = new Channel<WorkerTopics, SupervisorTopics>(up, (error) => bugs.push(error));
  channel.on('writes', (writes) => heardByAll.ask(channel, writes));
  serving.push({ channel });
  const writes = new KnownWrites(
    new Channel<SupervisorTopics, WorkerTopics>(down, (error) => bugs.push(error)),
    leaseMs,
  );
  const heard = new HeardWrites();
  const asked: string[] = [];
  writes.answer((token) => {
    asked.push(token);
    return heard.whenHeard(token, 60_000);
  });
  return { writes, heard, asked, channel, die: () => up.close() };
}

/** Whether it is over when all that is under way has arrived. */
async function isOver(known: Promise<void>): Promise<boolean> {
  let over = false;
  void known.then(() => (over = true));
  for (let turns = 0; turns < 12; turns++) await new Promise((resolve) => void setImmediate(resolve));
  return over;
}

describe('a write is known', () => {
  test('when the last of the others has heard of it, before or after the question', async () => {
    const [writer, early, late] = [worker(), worker(), worker()];
    early.heard.note('a:1');
    const known = writer.writes.knownToOthers('a:1');
    expect(await isOver(known)).toBe(false);
    late.heard.note('a:2');
    expect(await isOver(known)).toBe(false);
    late.heard.note('a:1');
    expect(await isOver(known)).toBe(true);
    expect([writer.asked, early.asked, late.asked]).toEqual([[], ['a:1'], ['a:1']]);
    expect(bugs).toEqual([]);
  });

  test('with the others of its turn, in one question', async () => {
    const [writer, other] = [worker(), worker()];
    let questions = 0;
    other.writes.answer((token) => {
      questions += token === 'a:1' ? 1 : 0;
      return Promise.resolve();
    });
    const all = ['a:1', 'a:2', 'a:3'].map(writer.writes.knownToOthers);
    expect(new Set(all).size).toBe(1);
    expect(await isOver(all[0]!)).toBe(true);
    expect(questions).toBe(1);
    expect(writer.writes.knownToOthers('a:4')).not.toBe(all[0]);
  });

  test('at once, if there is no other worker, or none that serves', async () => {
    const writer = worker();
    expect(await isOver(writer.writes.knownToOthers('a:1'))).toBe(true);
    const starting = worker();
    serving.pop();
    expect(await isOver(writer.writes.knownToOthers('a:2'))).toBe(true);
    expect(starting.asked).toEqual([]);
  });

  test('when a worker that has not heard of it is gone', async () => {
    const [writer, other] = [worker(), worker()];
    const known = writer.writes.knownToOthers('a:1');
    expect(await isOver(known)).toBe(false);
    other.die();
    expect(await isOver(known)).toBe(true);
  });
});

describe('a worker that does not hear', () => {
  test('is waited for as long as it may have a lease, and not asked again before it has answered', async () => {
    const [writer, silent] = [worker(), worker()];
    const first = writer.writes.knownToOthers('a:1');
    expect(await isOver(first)).toBe(false);
    clock.advance(patienceMs);
    const second = writer.writes.knownToOthers('a:2');
    expect(await isOver(second)).toBe(false);
    clock.advance(1);
    expect(await isOver(writer.writes.knownToOthers('a:3'))).toBe(true);
    expect(silent.asked).toEqual(['a:1', 'a:2']);
    silent.heard.note('a:1');
    silent.heard.note('a:2');
    expect([await isOver(first), await isOver(second)]).toEqual([true, true]);
    const fourth = writer.writes.knownToOthers('a:4');
    expect(await isOver(fourth)).toBe(false);
    silent.heard.note('a:4');
    expect(await isOver(fourth)).toBe(true);
  });

  test('and a supervisor that leaves: the next one is asked', async () => {
    const [writer, other] = [worker(), worker()];
    const known = writer.writes.knownToOthers('a:1');
    expect(await isOver(known)).toBe(false);
    writer.channel.refuseUnanswered(() => new Error('leaves'));
    expect(await isOver(known)).toBe(false);
    other.heard.note('a:1');
    expect(await isOver(known)).toBe(true);
  });
});

describe('heard writes', () => {
  test('what was learned counts no more: nobody waits', async () => {
    const heard = new HeardWrites();
    const waiting = [heard.whenHeard('a:1', 60_000), heard.whenHeard('a:1', 60_000), heard.whenHeard('a:2', 60_000)];
    expect(await isOver(waiting[0]!)).toBe(false);
    heard.forget();
    await Promise.all(waiting);
    heard.note('a:3');
    heard.forget();
    expect(await isOver(heard.whenHeard('a:3', 60_000))).toBe(false);
    heard.forget();
  });

  test('has an end', async () => {
    await new HeardWrites().whenHeard('a:1', 1);
  });

  test('many are remembered, not all', async () => {
    const heard = new HeardWrites();
    for (let n = 0; n <= 10_000; n++) heard.note(`a:${n}`);
    expect(await isOver(heard.whenHeard('a:1', 60_000))).toBe(true);
    expect(await isOver(heard.whenHeard('a:0', 60_000))).toBe(false);
    heard.forget();
  });
});

describe('who waits', () => {
  /** What a guard told the others, and what somebody waits for. */
  function guardOf() {
    const told: string[] = [];
    const asked: string[] = [];
    const table = new TagTable(true, 100);
    const ticks = { next: () => 1, lsnOf: () => undefined };
    const peers = {
      closed: (token: string) => Promise.resolve(void told.push(token)),
      opened: (token: string, _states: unknown, bump: boolean) => Promise.resolve(void told.push(`${token} ${bump}`)),
      knownToWorkers: (token: string) => Promise.resolve(void asked.push(token)),
    };
    const guards = new Guards('a', {
      table,
      peers: peers as unknown as Peers,
      isByTime: false,
      now: clock.nowMs,
      bumped: () => undefined,
      undecided: () => undefined,
    });
    const guard = guards.close(['7001.5.r16384'], false, '7001.5.', new Freshness(), undefined);
    return {
      told,
      asked,
      known: () => guard.knownToWorkers,
      acknowledge: () => guard.acknowledged(1, ticks),
      commit: () => guard.committed(1, ticks),
      rollBack: () => guard.rolledBack(),
    };
  }

  test('for the end of a short write nobody: its beginning is known', async () => {
    const { told, asked, known, commit } = guardOf();
    const before = known();
    expect(before).toBeDefined();
    clock.advance(shortWriteMs);
    commit();
    expect(known()).toBe(before);
    await known();
    expect([told, asked]).toEqual([['a:1', 'a:1 true'], ['a:1']]);
  });

  test('for the end of a long one its client', async () => {
    const { told, asked, known, acknowledge, commit } = guardOf();
    clock.advance(shortWriteMs + 1);
    // In the same bytes.
    acknowledge();
    commit();
    await known();
    expect([told, asked]).toEqual([
      ['a:1', 'a:1 true'],
      ['a:1', 'a:1 is over'],
    ]);
  });

  test('for each part of a long one, too', async () => {
    const { told, asked, known, acknowledge, commit } = guardOf();
    acknowledge();
    await isOver(Promise.resolve());
    clock.advance(shortWriteMs + 1);
    acknowledge();
    await known();
    commit();
    await known();
    expect(told).toEqual(['a:1', 'a:1:part:1 true', 'a:1:part:2 true', 'a:1 true']);
    expect(asked).toEqual(['a:1', 'a:1:part:2 is over', 'a:1 is over']);
  });

  test('for the end of one that was rolled back nobody', () => {
    const { told, asked, known, rollBack } = guardOf();
    clock.advance(shortWriteMs + 1);
    rollBack();
    expect([known(), told, asked]).toEqual([undefined, ['a:1', 'a:1 false'], ['a:1']]);
  });
});

describe('in the other worker', () => {
  function other() {
    const table = new TagTable(true, 100);
    let tick = 1;
    const ticks = { next: () => tick, lsnOf: () => undefined };
    table.attach('db:', ticks);
    const stamps = new SharedStamps({
      table,
      instanceId: 'b',
      now: clock.nowMs,
      peerBumped: () => undefined,
      peersDdl: () => undefined,
      confirms: true,
    });
    const common = { incarnation: 'i', from: 'a', token: 'a:1' };
    let number = 0;
    /** The ticks to which a replica must have come: that of the table, of another one, of everything. */
    const needed = (): number[] => [
      table.lastWrite(['db:r1'], ticks, clock.nowMs()),
      table.lastWrite(['db:r2'], ticks, clock.nowMs()),
      table.lastWriteInDatabase('db:', ticks, clock.nowMs()),
    ];
    return {
      table,
      stamps,
      needed,
      begin: (tags = ['db:r1']) => stamps.apply({ ...common, number: ++number, kind: 'close', tags }),
      end: (...bumped: number[]) =>
        stamps.apply({ ...common, number: ++number, kind: 'open', tags: ['db:r1'], stamps: bumped }),
      probed: () => void tick++,
    };
  }

  test('its beginning and its end are heard of', async () => {
    const { stamps, begin, end } = other();
    const begun = stamps.heard.whenHeard('a:1', 60_000);
    const ended = stamps.heard.whenHeard(endOf('a:1'), 60_000);
    expect(await isOver(begun)).toBe(false);
    begin();
    expect([await isOver(begun), await isOver(ended)]).toEqual([true, false]);
    end(7);
    expect(await isOver(ended)).toBe(true);
  });

  test('no replica is read that may lack it, of a table that nobody knew either', () => {
    const { needed, begin, end, probed } = other();
    needed();
    for (let i = 0; i < 9; i++) probed();
    const before = needed();
    expect(before.every((tick) => tick < 10)).toBe(true);
    begin();
    expect(needed()).toEqual([10, before[1], 10]);
    probed();
    expect(needed()).toEqual([11, before[1], 11]);
    end(7);
    probed();
    expect(needed()).toEqual([11, before[1], 11]);
  });

  test('but while a long one goes on they are, and after a rollback', () => {
    const long = other();
    const before = long.needed();
    for (let i = 0; i < 9; i++) long.probed();
    long.begin();
    clock.advance(noReplicaMs - 1);
    // Said again, so that it does not lapse.
    long.begin();
    expect(long.needed()[0]).toBe(10);
    clock.advance(1);
    expect(long.needed()).toEqual(before);
    const undone = other();
    for (let i = 0; i < 9; i++) undone.probed();
    const then = undone.needed();
    undone.begin();
    undone.end();
    expect(undone.needed()).toEqual(then);
  });

  test('and none at all beside a write of unknown outcome', () => {
    const { table, needed, begin } = other();
    needed();
    table.state('db:r2').changeUndecided(1);
    begin();
    expect(needed()[2]).toBe(noSuchTick);
  });

  test('of all tables, if it may have written any', () => {
    const { needed, begin, probed } = other();
    needed();
    for (let i = 0; i < 9; i++) probed();
    begin(['db:all']);
    expect(needed()).toEqual([10, 10, 10]);
  });
});
