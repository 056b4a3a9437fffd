/** The share of a Weir of several workers, as the supervisor keeps it. */
import { describe, expect, test } from 'vitest';
import type { Answer } from '../../src/shares/types.ts';
import { Channel } from '../../src/workers/channel.ts';
import { Lessor } from '../../src/workers/lessor.ts';
import type { SupervisorTopics, WorkerTopics } from '../../src/workers/messages.ts';
import { RemoteShares } from '../../src/workers/remote-shares.ts';
import { Leases } from '../../src/sizing/leases.ts';
import { SupervisorShares } from '../../src/workers/supervisor-shares.ts';
import { memoryWires } from './memory-wire.ts';

const server = 'db1:5432';
const granted: Answer = { limit: 5, budget: 10, weirs: 2, why: 'need met', atMs: 1, late: [], claimed: [] };

function lead(isEnding: () => boolean): { readonly shares: RemoteShares; readonly bugs: unknown[] } {
  const bugs: unknown[] = [];
  const unexpected = (error: unknown): void => void bugs.push(error);
  const lessor = new Lessor({ nowMs: () => 1_000, whenGone: () => [], resized: () => undefined, unexpected, isEnding });
  const [here, there] = memoryWires();
  lessor.add(1, new Channel<WorkerTopics, SupervisorTopics>(there, unexpected));
  return { shares: new RemoteShares(new Channel<SupervisorTopics, WorkerTopics>(here, unexpected)), bugs };
}

test('a lead that is replaced does not give up what the other workers have; a Weir that ends does', async () => {
  let isEnding = false;
  const { shares, bugs } = lead(() => isEnding);
  const terms = { budget: 10, fixed: 5 };
  const say = async (isLeaving: boolean): Promise<{ isLeaving: boolean; limit: number }> =>
    (await shares.say(server, { terms, seen: undefined, isLeaving, isRedisGone: false })).said;
  await say(false);
  await shares.hear(server, 1, granted);
  expect(await say(true)).toMatchObject({ isLeaving: false, limit: 5 });
  isEnding = true;
  expect(await say(true)).toMatchObject({ isLeaving: true, limit: 0 });
  expect(bugs).toEqual([]);
});

describe('a worker that shares, while the lead does not yet', () => {
  const pool = { server, database: 'shop', user: 'app', node: 'db1' };

  function supervisor(): { readonly leases: Leases; readonly shares: SupervisorShares } {
    const leases = new Leases();
    const never = { pids: () => [], changed: () => undefined, isEnding: () => false, state: undefined };
    return { leases, shares: new SupervisorShares({ leases, nowMs: () => 1_000, ...never }) };
  }

  test('takes nothing from the others: it was started with a newer file than they have read', () => {
    const { leases, shares } = supervisor();
    shares.spared(server, 50);
    shares.spared(server, 0);
    expect(leases.serverOf(server)?.level.limit).toBe(50);
  });

  test('nor where they have connections, and nobody knows what the server can spare', () => {
    const { leases, shares } = supervisor();
    leases.join(1, pool, { limit: 5, min: 0 });
    leases.load(1, pool, 0, { need: 1, closing: 0, wanted: 1, wantedForMin: 0 }, 1_000);
    leases.decide(1_000);
    shares.spared(server, 0);
    expect(leases.serverOf(server)?.level.limit).toBe(Infinity);
  });

  test('but where there is nothing yet, nothing is opened before the lead has heard of the other Weirs', () => {
    const { leases, shares } = supervisor();
    shares.spared(server, 0);
    expect(leases.serverOf(server)?.level.limit).toBe(0);
  });
});
