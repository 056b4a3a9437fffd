/**
 * Until when a request waits for a node whose circuit is open. Fails if a client waits in vain, or gets an error during a
 * failover that it could have waited for.
 */
import { expect, it } from 'vitest';
import { route } from '../../src/routing/route.ts';
import { circuitRefusal, worthWaitingUntil } from '../../src/routing/worth-waiting.ts';
import type { RoutingFacts } from '../../src/routing/types.ts';
import type { NodeState } from '../../src/topology/types.ts';
import { chance, facts, node, NOW, settings, snapshot } from './route-fixture.ts';

const since = NOW - 5_000;
const downFor5s = { isUp: false, circuit: 'open', circuitSinceMs: since, circuitWhy: 'ECONNREFUSED' } as const;
const ejected = { circuit: 'open', circuitSinceMs: since, circuitWhy: 'resets', ejectedUntilMs: NOW + 900 } as const;
const primary = (more: Partial<NodeState>): NodeState => node('db1', { role: 'primary', lagMs: 0, ...more });

function untilOf(nodes: { primary?: NodeState | null; replica?: NodeState }, asked: Partial<RoutingFacts>): number {
  const { primary: first = null, replica = node('db2') } = nodes;
  const shot = snapshot([replica], first);
  const never = settings({ primaryReads: 'never' });
  const decision = route(facts(asked), shot, asked.isRead === false ? settings() : never, chance(), { value: 0 });
  expect(decision.node).toBeUndefined();
  return worthWaitingUntil(decision, 30_000);
}

it('a write waits for a primary that is down as long as a failover may take', () => {
  expect(untilOf({ primary: primary(downFor5s) }, { isRead: false })).toBe(since + 30_000);
});

it('a write waits without such a limit where no circuit is in the way', () => {
  expect(untilOf({ primary: primary({ isDraining: true }) }, { isRead: false })).toBe(Infinity);
  expect(untilOf({ primary: primary({ isUp: false, circuit: 'closed' }) }, { isRead: false })).toBe(Infinity);
  // Nobody knows the primary yet: the replica may be promoted.
  expect(untilOf({ primary: null }, { isRead: false })).toBe(Infinity);
});

it('a read that only replicas may take does not wait for one that too many failures have opened', () => {
  expect(untilOf({ primary: primary({}), replica: node('db2', ejected) }, {})).toBe(-Infinity);
  expect(untilOf({ primary: primary({}), replica: node('db2', downFor5s) }, {})).toBe(since + 30_000);
  expect(untilOf({ primary: primary({}), replica: node('db2', { isLagging: true }) }, {})).toBe(Infinity);
});

it('a read that waits for what a primary would tell gives up with the primary', () => {
  const shot = snapshot([node('db2')], primary(downFor5s));
  const decision = route(facts({ needLsn: undefined }), shot, settings(), chance(), { value: 0 });
  expect(decision.node).toBeUndefined();
  expect(worthWaitingUntil(decision, 30_000)).toBe(since + 30_000);
});

it('only three clients at a time wait for a half-open primary, and none for an open one', () => {
  const waiting = (count: number) => () => count;
  expect(circuitRefusal(primary({}), waiting(99), NOW)).toBeUndefined();
  expect(circuitRefusal(primary({ circuit: 'half-open', circuitWhy: 'w' }), waiting(2), NOW)).toBeUndefined();
  expect(circuitRefusal(primary({ circuit: 'half-open', circuitWhy: 'w' }), waiting(3), NOW)).toMatch(
    /3 clients are let/,
  );
  expect(circuitRefusal(primary(ejected), waiting(0), NOW)).toBe('the circuit of primary db1 is open: resets');
  expect(circuitRefusal(node('db2', ejected), waiting(0), NOW)).toBeUndefined();
});

it('three reads at a time go to a half-open replica, others go elsewhere', () => {
  const replica = node('db2', { circuit: 'half-open' });
  const go = (): string | undefined =>
    route(facts(), snapshot([replica], primary({})), settings(), chance(), { value: 0 }).node?.name;
  expect(go()).toBe('db2');
  replica.load.trials = 3;
  expect(go()).toBe('db1');
});
