/** How reads are shared among replicas, per policy. Fails if a loaded or slower replica gets more than its share. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { policyNames, type BalanceHosts } from '../../src/balancing/policies.ts';
import type { PrimaryReads } from '../../src/config/config.ts';
import { route } from '../../src/routing/route.ts';
import type { NodeState } from '../../src/topology/types.ts';
import { chance, facts, node, NOW, settings, snapshot } from './route-fixture.ts';

const ROUNDS = 4000;

/** How many of `rounds` reads each node gets; `after` may play the node's part. */
function tally(
  replicas: readonly NodeState[],
  how: BalanceHosts = 'least-load',
  primaryReads: PrimaryReads = 'when-needed',
  after: (node: NodeState) => void = () => undefined,
): Record<string, number> {
  const counts: Record<string, number> = {};
  const random = chance(7);
  const turn = { value: 0 };
  const view = snapshot(replicas);
  for (let round = 0; round < ROUNDS; round++) {
    const picked = route(facts(), view, settings({ loadBalanceHosts: how, primaryReads }), random, turn).node;
    if (picked === undefined) throw new Error('no node');
    counts[picked.name] = (counts[picked.name] ?? 0) + 1;
    after(picked);
  }
  return counts;
}

const near = (count: number | undefined, share: number): void => {
  expect((count ?? 0) / ROUNDS).toBeGreaterThan(share - 0.05);
  expect((count ?? 0) / ROUNDS).toBeLessThan(share + 0.05);
};

describe('least-load', () => {
  it('shares evenly among idle equals', () => {
    const counts = tally([node('db2'), node('db3')]);
    near(counts['db2'], 1 / 2);
    near(counts['db3'], 1 / 2);
  });

  it('shares by weight among the idle', () => {
    const counts = tally([node('db2'), node('db3', { weight: 3 })]);
    near(counts['db2'], 1 / 4);
  });

  it('fills nodes by weight under load', () => {
    // Every request stays: what grows is the number outstanding.
    const counts = tally(
      [node('db2'), node('db3', { weight: 2 }), node('db4')],
      'least-load',
      'when-needed',
      (picked) => {
        picked.load.outstanding++;
      },
    );
    near(counts['db3'], 1 / 2);
    near(counts['db2'], 1 / 4);
    near(counts['db4'], 1 / 4);
  });

  it('prefers the less busy of two, always', () => {
    expect(tally([node('db2', { outstanding: 5 }), node('db3', { outstanding: 2 })])).toEqual({ db3: ROUNDS });
  });

  it('prefers the faster of two, always', () => {
    expect(tally([node('db2', { ewma: 4 }), node('db3')])).toEqual({ db3: ROUNDS });
  });

  it('never picks the worst of three', () => {
    const counts = tally([node('db2'), node('db3', { ewma: 2 }), node('db4', { ewma: 4 })]);
    expect(counts['db4']).toBeUndefined();
    expect(counts['db2']! > counts['db3']!).toBe(true);
  });

  it('does not let noise empty a node', () => {
    near(tally([node('db2', { ewma: 1.05 }), node('db3')])['db2'], 1 / 2);
  });

  it('forgets a slow spell that nobody has confirmed lately', () => {
    const old = {
      outstanding: 0,
      ewma: 10,
      ewmaAtMs: NOW - 120_000,
      fallbackReads: 0,
      fallbackRoom: Infinity,
      answered: 0,
      trials: 0,
    };
    near(tally([node('db2', { load: old }), node('db3')])['db2'], 1 / 2);
  });

  it('gives little to a node that has just come back', () => {
    near(tally([node('db2', { slowStart: 0.1 }), node('db3')])['db2'], 0.1 / 1.1);
  });

  it('counts the primary in when it is always included', () => {
    near(tally([node('db2')], 'least-load', 'always-included')['db1'], 1 / 2);
  });
});

describe('the other ways', () => {
  const three = [node('db2'), node('db3', { weight: 2 }), node('db4', { outstanding: 99 })];

  it('takes turns', () => {
    expect(tally(three, 'round-robin')).toEqual({ db2: 1334, db3: 1333, db4: 1333 });
  });

  it('takes turns among the eligible only', () => {
    expect(tally([node('db2'), node('db3', { isUp: false }), node('db4')], 'round-robin')).toEqual({
      db2: ROUNDS / 2,
      db4: ROUNDS / 2,
    });
  });

  it('draws', () => {
    for (const count of Object.values(tally(three, 'random'))) near(count, 1 / 3);
  });

  it('draws by weight', () => {
    near(tally(three, 'weighted')['db3'], 1 / 2);
  });

  it('counts turns without end', () => {
    const turn = { value: 2 ** 32 - 1 };
    const picked = route(facts(), snapshot(three), settings({ loadBalanceHosts: 'round-robin' }), chance(), turn);
    expect(picked.node).toBeDefined();
    expect(turn.value).toBe(0);
  });
});

describe('route: whatever comes', () => {
  const lsn = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constant(Infinity));
  const maybeLsn = fc.option(lsn, { nil: undefined });
  const replica = fc.record({
    role: fc.constantFrom('replica' as const, 'unknown' as const),
    isUp: fc.boolean(),
    isDraining: fc.boolean(),
    ejectedUntilMs: fc.constantFrom(0, NOW - 1, NOW + 1),
    lsn: fc.integer({ min: 0, max: 20 }),
    caughtUpAtMs: fc.constantFrom(-Infinity, NOW - 2000, NOW - 500),
    isLagging: fc.boolean(),
    isCatchingUp: fc.boolean(),
    outstanding: fc.nat({ max: 10 }),
    ewma: fc.double({ min: 0.5, max: 20, noNaN: true }),
  });

  it('never picks a node that the level forbids', () => {
    const how = fc.constantFrom(...policyNames);
    const question = fc.record({
      isRead: fc.boolean(),
      forced: fc.constantFrom('auto' as const, 'primary' as const, 'replica' as const),
      consistency: fc.constantFrom('eventual' as const, 'session' as const, 'strict' as const),
      needLsn: maybeLsn,
      lastNode: fc.constantFrom('', 'db1', 'db2', 'db3', 'db4'),
      moveLsn: maybeLsn,
    });
    const primaryReads = fc.constantFrom<PrimaryReads>('never', 'when-needed', 'always-included');
    const primary = fc.constantFrom('up', 'down', 'none');
    fc.assert(
      fc.property(
        fc.array(replica, { maxLength: 3 }),
        question,
        how,
        primaryReads,
        primary,
        fc.integer(),
        (states, demands, loadBalanceHosts, reads, primaryState, seed) => {
          const replicas = states.map((state, index) => node(`db${index + 2}`, state));
          const first = primaryState === 'none' ? null : node('db1', { role: 'primary', isUp: primaryState === 'up' });
          const asked = facts(demands);
          const limits = settings({ loadBalanceHosts, primaryReads: reads });
          const answer = route(asked, snapshot(replicas, first), limits, chance(seed), { value: 0 });
          expect(answer.why()).not.toBe('');
          const picked = answer.node;
          const isOpen = (candidate: NodeState): boolean =>
            asked.isRead &&
            asked.forced !== 'primary' &&
            asked.consistency !== 'strict' &&
            candidate.isUp &&
            !candidate.isDraining &&
            candidate.role === 'replica' &&
            candidate.ejectedUntilMs <= NOW &&
            !candidate.isLagging &&
            NOW - candidate.caughtUpAtMs! <= 1000 &&
            (asked.consistency === 'eventual' ||
              (!candidate.isCatchingUp &&
                asked.needLsn !== undefined &&
                candidate.lsn >= asked.needLsn &&
                (asked.lastNode === candidate.name ||
                  (asked.moveLsn !== undefined && candidate.lsn >= asked.moveLsn))));
          const open = replicas.filter(isOpen);
          if (picked === undefined) {
            if (open.length > 0) expect.fail('an eligible replica was left out');
            expect(primaryState !== 'up' || reads === 'never').toBe(true);
          } else if (picked.name === 'db1') {
            expect(picked.isUp).toBe(true);
            if (open.length > 0) expect(reads).toBe('always-included');
            if (answer.isFallback) expect(open).toEqual([]);
          } else {
            expect(open).toContain(picked);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});

describe('hash', () => {
  const keys = Array.from({ length: ROUNDS }, (_, index) => `cart ${index}`);
  const nodeOf = (key: string, replicas: readonly NodeState[]): string =>
    route(facts({ key }), snapshot(replicas), settings({ loadBalanceHosts: 'hash' }), chance(), { value: 0 }).node!
      .name;
  const shareOf = (name: string, replicas: readonly NodeState[]): number =>
    keys.filter((key) => nodeOf(key, replicas) === name).length;
  const three = [node('db2'), node('db3'), node('db4')];

  it('gives a key the same node each time, whatever the order and the load of the nodes', () => {
    const busy = [node('db4', { outstanding: 99 }), node('db2', { ewma: 9 }), node('db3')];
    for (const key of keys.slice(0, 200)) expect(nodeOf(key, busy)).toBe(nodeOf(key, three));
  });

  it('is the same in every process and version: clients are spread over several Weirs', () => {
    expect(['a', 'b', 'c', 'cart 1', 'cart 2', 'ü'].map((key) => nodeOf(key, three))).toEqual([
      'db2',
      'db3',
      'db3',
      'db3',
      'db2',
      'db2',
    ]);
  });

  it('spreads keys by weight', () => {
    for (const { name } of three) near(shareOf(name, three), 1 / 3);
    near(shareOf('db3', [node('db2'), node('db3', { weight: 3 })]), 3 / 4);
    near(shareOf('db3', [node('db2'), node('db3', { slowStart: 0.1 })]), 0.1 / 1.1);
  });

  it('moves only the keys of the node that is gone, and those to all others', () => {
    const rest = [node('db2'), node('db3', { isUp: false }), node('db4')];
    const moved = new Set<string>();
    for (const key of keys) {
      const before = nodeOf(key, three);
      const after = nodeOf(key, rest);
      if (before === 'db3') moved.add(after);
      else expect(after).toBe(before);
    }
    expect(moved).toEqual(new Set(['db2', 'db4']));
  });

  it('says whose hash it was', () => {
    const decision = route(
      facts({ key: 'cart 1', keyBy: 'weir.key' }),
      snapshot(three),
      settings({ loadBalanceHosts: 'hash' }),
      chance(),
      { value: 0 },
    );
    expect(decision.why()).toMatch(/; picked db\d \(hash of the weir.key\)$/);
  });
});
