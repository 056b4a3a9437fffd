/**
 * Where a request goes, for every combination of facts. Fails if a write leaves the primary, or a read goes to a node that
 * is too old.
 */
import { describe, expect, it } from 'vitest';
import { route } from '../../src/routing/route.ts';
import type { RouteSettings } from '../../src/routing/decision.ts';
import type { RoutingFacts } from '../../src/routing/types.ts';
import type { NodeState, TopologySnapshot } from '../../src/topology/types.ts';
import { chance, facts, node, NOW, settings, snapshot } from './route-fixture.ts';

interface Row {
  readonly what: string;
  readonly facts?: Partial<RoutingFacts>;
  readonly settings?: Partial<RouteSettings>;
  readonly snapshot?: TopologySnapshot;
  /** Name; undefined: no node now. */
  readonly to: string | undefined;
  readonly isFallback?: boolean;
  readonly why: string | RegExp;
}

const db1 = node('db1', { role: 'primary', lagMs: 0 });
const one = (more: Partial<NodeState> = {}): TopologySnapshot => snapshot([node('db2', more)], db1);
const down = node('db1', { role: 'primary', isUp: false, problem: 'connection lost' });

const table: readonly Row[] = [
  // What is not a read
  { what: 'a write', facts: { isRead: false, why: 'writes public.t' }, to: 'db1', why: 'writes public.t; primary db1' },
  {
    what: 'a write that asks for a replica',
    facts: { isRead: false, why: 'writes public.t', forced: 'replica', forcedBy: 'hint' },
    to: 'db1',
    why: 'writes public.t; route=replica by hint not followed; primary db1',
  },
  {
    what: 'a write with the primary down',
    facts: { isRead: false, why: 'writes public.t' },
    snapshot: snapshot([node('db2')], down),
    to: undefined,
    why: 'writes public.t; primary db1 is down (connection lost)',
  },
  {
    what: 'a write with no primary',
    facts: { isRead: false, why: 'writes public.t' },
    snapshot: snapshot([node('db2')], null),
    to: undefined,
    why: 'writes public.t; no primary is known',
  },
  {
    what: 'a write with the primary draining',
    facts: { isRead: false, why: 'writes public.t' },
    snapshot: snapshot([node('db2')], node('db1', { role: 'primary', isDraining: true })),
    to: undefined,
    why: 'writes public.t; primary db1 is draining',
  },
  // Words of the user
  {
    what: 'a read forced to the primary',
    facts: { forced: 'primary', forcedBy: 'SET weir.route' },
    to: 'db1',
    why: 'read; route=primary by SET weir.route; primary db1',
  },
  {
    what: 'a read forced to a replica, primary included',
    facts: { forced: 'replica', forcedBy: 'hint' },
    settings: { primaryReads: 'always-included' },
    to: 'db2',
    why: /route=replica by hint; .*picked db2 \(cost 1\.0\), the only one/,
  },
  {
    what: 'a read forced to a replica that may not answer',
    facts: { forced: 'replica', forcedBy: 'hint', needLsn: 2000 },
    to: 'db1',
    isFallback: true,
    why: /route=replica by hint; consistency=session needs 0\/7D0; db2 replayed only 0\/3E8; no replica eligible: primary db1/,
  },
  {
    what: 'strict',
    facts: { consistency: 'strict' },
    to: 'db1',
    why: 'read; consistency=strict; primary db1',
  },
  {
    what: 'strict though forced to a replica',
    facts: { consistency: 'strict', forced: 'replica', forcedBy: 'hint' },
    to: 'db1',
    why: /not followed; consistency=strict/,
  },
  // Session
  {
    what: 'a session without demands',
    to: 'db2',
    why: /consistency=session needs nothing; db2 replayed 0\/3E8; picked db2/,
  },
  { what: 'own write replayed', facts: { needLsn: 1000 }, to: 'db2', why: /needs 0\/3E8; db2 replayed 0\/3E8/ },
  {
    what: 'own write not replayed',
    facts: { needLsn: 1001 },
    to: 'db1',
    isFallback: true,
    why: /db2 replayed only 0\/3E8/,
  },
  {
    what: 'own write not known yet',
    facts: { needLsn: undefined },
    to: 'db1',
    isFallback: true,
    why: /needs an LSN not known yet/,
  },
  {
    what: 'own write of an older timeline',
    facts: { needLsn: Infinity },
    to: 'db1',
    isFallback: true,
    why: /older timeline/,
  },
  { what: 'stays where it read', facts: { lastNode: 'db2', moveLsn: undefined }, to: 'db2', why: /picked db2/ },
  {
    what: 'stays where it read, though behind others',
    facts: { lastNode: 'db2', moveLsn: 5000 },
    to: 'db2',
    why: /picked db2/,
  },
  {
    what: 'does not move to one not known to be as far',
    facts: { lastNode: 'db3', moveLsn: undefined },
    to: 'db1',
    isFallback: true,
    why: /how far db3 was when last read is not known yet/,
  },
  {
    what: 'does not move to one that is behind',
    facts: { lastNode: 'db3', moveLsn: 1001 },
    to: 'db1',
    isFallback: true,
    why: /db2 replayed only 0\/3E8, reads on db3 were at 0\/3E9/,
  },
  { what: 'moves to one that is as far', facts: { lastNode: 'db3', moveLsn: 1000 }, to: 'db2', why: /picked db2/ },
  {
    what: 'moves from the primary likewise',
    facts: { lastNode: 'db1', moveLsn: 1001 },
    to: 'db1',
    isFallback: true,
    why: /reads on db1/,
  },
  {
    what: 'does not go anywhere behind its reads on a server that is gone, or in another process',
    facts: { lastNode: '', moveLsn: 1001 },
    to: 'db1',
    isFallback: true,
    why: /db2 replayed only 0\/3E8, earlier reads were at 0\/3E9/,
  },
  {
    what: 'nor before it is known how far those were',
    facts: { lastNode: '', moveLsn: undefined },
    to: 'db1',
    isFallback: true,
    why: /how far earlier reads were is not known yet/,
  },
  {
    what: 'not to one that came back and may be behind',
    snapshot: one({ isCatchingUp: true }),
    facts: { lastNode: 'db2' },
    to: 'db1',
    isFallback: true,
    why: /came back/,
  },
  // Eventual
  {
    what: 'eventual ignores LSNs',
    facts: { consistency: 'eventual', needLsn: Infinity, lastNode: 'db3', moveLsn: undefined },
    to: 'db2',
    why: /consistency=eventual; db2 lags 10 ms; picked db2/,
  },
  {
    what: 'eventual trusts one that came back',
    snapshot: one({ isCatchingUp: true }),
    facts: { consistency: 'eventual' },
    to: 'db2',
    why: /picked db2/,
  },
  // Health
  {
    what: 'down',
    snapshot: one({ isUp: false, problem: 'connect ECONNREFUSED' }),
    to: 'db1',
    isFallback: true,
    why: 'read; consistency=session needs nothing; db2 is down (connect ECONNREFUSED); no replica eligible: primary db1',
  },
  {
    what: 'not a replica',
    snapshot: one({ role: 'unknown' }),
    to: 'db1',
    isFallback: true,
    why: /db2 is not a replica/,
  },
  { what: 'draining', snapshot: one({ isDraining: true }), to: 'db1', isFallback: true, why: /db2 is draining/ },
  {
    what: 'ejected',
    snapshot: one({ ejectedUntilMs: NOW + 1500 }),
    to: 'db1',
    isFallback: true,
    why: /db2 is ejected for 2 s/,
  },
  { what: 'no longer ejected', snapshot: one({ ejectedUntilMs: NOW }), to: 'db2', why: /picked/ },
  {
    what: 'lagging',
    snapshot: one({ isLagging: true, lagMs: 900, caughtUpAtMs: NOW - 900 }),
    to: 'db1',
    isFallback: true,
    why: /db2 lags 900 ms/,
  },
  {
    what: 'lagging by now',
    snapshot: one({ caughtUpAtMs: NOW - 1001 }),
    to: 'db1',
    isFallback: true,
    why: /db2 lags 1001 ms/,
  },
  {
    what: 'lag unknown',
    snapshot: one({ isLagging: true, lagMs: Infinity, caughtUpAtMs: -Infinity }),
    facts: { consistency: 'eventual' },
    to: 'db1',
    isFallback: true,
    why: /db2 lags an unknown time/,
  },
  // Nobody
  {
    what: 'no replicas at all',
    snapshot: snapshot([], db1),
    to: 'db1',
    why: 'read; no replicas configured; primary db1',
  },
  {
    what: 'no replicas at all, primary_reads=never',
    snapshot: snapshot([], db1),
    settings: { primaryReads: 'never' },
    to: 'db1',
    why: /no replicas configured/,
  },
  {
    what: 'nobody, primary_reads=never',
    snapshot: one({ isUp: false }),
    settings: { primaryReads: 'never' },
    to: undefined,
    isFallback: true,
    why: /primary_reads=never: waiting/,
  },
  {
    what: 'nobody, and the primary is down',
    snapshot: snapshot([node('db2', { isUp: false })], down),
    to: undefined,
    isFallback: true,
    why: /no replica eligible: primary db1 is down \(connection lost\)/,
  },
  { what: 'a read while the primary is down', snapshot: snapshot([node('db2')], down), to: 'db2', why: /picked db2/ },
  // primary_reads
  {
    what: 'the primary included as the only one',
    snapshot: one({ isUp: false }),
    settings: { primaryReads: 'always-included' },
    to: 'db1',
    why: /db1 is the primary; .*picked db1/,
  },
];

function ask(row: Row): ReturnType<typeof route> {
  return route(facts(row.facts), row.snapshot ?? one(), settings(row.settings), chance(), { value: 0 });
}

describe('route: truth table', () => {
  for (const row of table) {
    it(row.what, () => {
      const answer = ask(row);
      expect(answer.node?.name).toBe(row.to);
      expect(answer.isFallback).toBe(row.isFallback ?? false);
      if (typeof row.why === 'string') expect(answer.why()).toBe(row.why);
      else expect(answer.why()).toMatch(row.why);
    });
  }

  it('says it as the documentation does', () => {
    const nodes = [node('db2', { lsn: 0x5a3f400, ewma: 1.9 }), node('db3', { lsn: 0x5a3f300, ewma: 0.8 })];
    const answer = route(facts({ needLsn: 0x5a3f2b8 }), snapshot(nodes), settings(), chance(), { value: 0 });
    expect(answer.why()).toBe(
      'read; consistency=session needs 0/5A3F2B8; db3 replayed 0/5A3F300; picked db3 (cost 0.8) over db2 (cost 1.9)',
    );
  });

  it('keeps its reason, whatever the session does with its facts and the load cells afterwards', () => {
    const question = { ...facts({ needLsn: 500 }) };
    const nodes = [node('db2'), node('db3', { ewma: 3 })];
    const answer = route(question, snapshot(nodes), settings(), chance(), { value: 0 });
    const before = answer.why();
    question.needLsn = 900;
    question.why = 'writes';
    nodes[0]!.load.outstanding = 50;
    expect(answer.why()).toBe(before);
  });
});

describe('zones', () => {
  const inZone = (name: string, zone: string | undefined, more: Parameters<typeof node>[1] = {}): NodeState => {
    const made = node(name, more);
    return { ...made, config: { ...made.config, zone } };
  };
  const decide = (replicas: readonly NodeState[], zone: string | undefined = 'a') =>
    route(facts(), snapshot(replicas), settings({ zone }), chance(), { value: 0 });
  const picks = (replicas: readonly NodeState[], zone?: string): Set<string | undefined> =>
    new Set(
      Array.from(
        { length: 200 },
        (_, seed) => route(facts(), snapshot(replicas), settings({ zone }), chance(seed), { value: 0 }).node?.name,
      ),
    );
  const load = {
    outstanding: 0,
    ewma: 1,
    ewmaAtMs: NOW,
    fallbackReads: 0,
    fallbackRoom: Infinity,
    answered: 0,
    trials: 0,
  };

  it('prefers its own, however busy', () => {
    const replicas = [inZone('db2', 'b'), inZone('db3', 'a', { outstanding: 50 }), inZone('db4', undefined)];
    expect(picks(replicas, 'a')).toEqual(new Set(['db3']));
    expect(decide(replicas).why()).toMatch(/; zone=a preferred; picked db3/);
  });

  it('balances within its own', () => {
    expect(picks([inZone('db2', 'a'), inZone('db3', 'a'), inZone('db4', 'b')], 'a')).toEqual(new Set(['db2', 'db3']));
  });

  it.each([
    ['is down', { isUp: false }],
    ['is ejected', { ejectedUntilMs: NOW + 1000 }],
    ['lags', { isLagging: true }],
    ['has clients that wait', { load: { ...load, isFull: true } }],
  ])('goes to another if its own %s', (_what, more) => {
    const replicas = [inZone('db2', 'b'), inZone('db3', 'a', more)];
    expect(decide(replicas).node?.name).toBe('db2');
    expect(decide(replicas).why()).toContain('no replica of zone a is eligible and has room');
  });

  it('has all alike if all are full, or no zone is set', () => {
    const full = { load: { ...load, isFull: true } };
    expect(picks([inZone('db2', 'b', full), inZone('db3', 'a', full)], 'a')).toEqual(new Set(['db2', 'db3']));
    expect(picks([inZone('db2', 'b'), inZone('db3', 'a')])).toEqual(new Set(['db2', 'db3']));
    const unset = route(facts(), snapshot([inZone('db2', 'b')]), settings(), chance(), { value: 0 });
    expect(unset.why()).not.toContain('zone');
  });
});
