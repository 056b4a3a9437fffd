/** What a Weir may have of the connections of a server, when its settings change. */
import { afterEach, expect, test, vi } from 'vitest';
import { LocalShares } from '../../src/app/local-shares.ts';
import { SharedBudget } from '../../src/app/shared-budget.ts';
import type { Config } from '../../src/config/config.ts';
import { NodeBudgets } from '../../src/pool/budget.ts';
import type { ConnectionBudgetSettings } from '../../src/config/config.ts';
import { nodeCapacity } from '../../src/sizing/controller.ts';
import type { Topology } from '../../src/topology/types.ts';
import { createManualClock } from '../../src/util/clock.ts';
import { defaults } from '../config/defaults.ts';

const address = { host: 'db1', port: 5432 };
/** Nobody listens there. */
const redis = 'redis://127.0.0.1:1';
const off: ConnectionBudgetSettings = { redis: undefined, share: 1, maxConnections: 0 };

let stop: (() => Promise<void>) | undefined;
afterEach(() => stop?.());

function start(settings: ConnectionBudgetSettings): {
  readonly budgets: NodeBudgets;
  readonly budget: SharedBudget;
  readonly nodes: object[];
  readonly local: LocalShares;
  reload(settings: ConnectionBudgetSettings): void;
} {
  let now = settings;
  const nodes: object[] = [{ config: address }];
  const budgets = new NodeBudgets();
  const { nowMs } = createManualClock(1_000);
  const local = new LocalShares({ budgets, nowMs, short: () => undefined, whenGone: () => Promise.resolve() });
  const topology = { snapshot: () => ({ nodes }), ask: () => Promise.reject(new Error('not logged in')) };
  const budget = new SharedBudget({
    config: () => ({ ...defaults, budget: now }) as unknown as Config,
    budgets,
    topologies: () => [topology as unknown as Topology],
    local,
    keeper: local.book,
    leadTerm: () => 0,
    log: () => undefined,
    nowMs,
  });
  budget.start();
  budget.begin(address);
  stop = () => budget.stop();
  const reload = (to: ConnectionBudgetSettings): void => {
    now = to;
    budget.apply();
  };
  return { budgets, budget, nodes, local, reload };
}

test.each([off, { ...off, share: 0.5 }])(
  'without Redis again, a server of which nothing is known yet can be logged in to: else nothing would ever be known of it',
  (settings) => {
    const { budgets, reload } = start({ ...off, redis });
    const place = budgets.ofServer(address);
    expect(place.tryTake({ yieldIdle: () => false, starvedMs: 0 })).toBe(false);
    reload(settings);
    expect(place.tryTake({ yieldIdle: () => false, starvedMs: 0 })).toBe(true);
  },
);

test('with Redis from a reload on, the first word to the others says what the server can spare, if that is known', () => {
  const { nodes, local, reload } = start(off);
  nodes[0] = { config: address, systemId: '7', serverVersion: 150_000, connectionLimit: 100 };
  const say = vi.spyOn(local.book, 'say');
  reload({ ...off, redis });
  expect(say.mock.calls[0]?.[1].terms.budget).toBe(nodeCapacity({ connectionLimit: 100 }, 0));
});

test('a server that no database uses any more is not shown', () => {
  const { budget, nodes, reload } = start({ ...off, redis });
  expect(budget.figures()).toMatchObject([{ server: 'db1:5432', state: 'starting' }]);
  nodes.length = 0;
  reload({ ...off, redis });
  expect(budget.figures()).toEqual([]);
});
