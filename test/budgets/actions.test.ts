/** What budgets that burn call for, and that nothing stays in force of which nobody speaks any more. */
import { describe, expect, it } from 'vitest';
import { ActionsInForce, actionsOf, calledFor } from '../../src/budgets/actions.ts';
import { budgetActions, budgetKeys } from '../../src/budgets/types.ts';
import { fakeBudget } from '../console/fakes.ts';

describe('a budget that burns', () => {
  it.each([null, 0, 1])('at %s calls for nothing', (burn) =>
    expect(budgetKeys.flatMap((key) => calledFor(key, burn, budgetActions))).toEqual([]),
  );

  it('calls for what can help it, of what is wanted', () => {
    expect(calledFor('reads', 1.01, budgetActions)).toEqual(budgetActions);
    expect(calledFor('writes', 2, budgetActions)).toEqual(['shed_low_priority', 'raise_pool']);
    expect(calledFor('errors', 2, ['raise_pool', 'shed_low_priority'])).toEqual(['shed_low_priority']);
    expect(calledFor('replica_lag', 100, budgetActions)).toEqual([]);
  });

  it('is the reason, the first of several', () => {
    const rows = [
      fakeBudget({ budget: 'reads_p95', actions: ['raise_pool'], why: 'slow' }),
      fakeBudget({ budget: 'errors', actions: ['shed_low_priority', 'raise_pool'], why: 'failed' }),
      fakeBudget({ database: 'blog', actions: [] }),
    ];
    expect(actionsOf(rows)).toEqual([
      { database: 'shop', action: 'raise_pool', why: 'budget reads_p95 burns: slow' },
      { database: 'shop', action: 'shed_low_priority', why: 'budget errors burns: failed' },
    ]);
  });
});

it('an action is in force for its database, until another list comes or none comes for 15 s', () => {
  const clock = { nowMs: 1_000 };
  const inForce = new ActionsInForce(() => clock.nowMs);
  expect(inForce.why('raise_pool', 'shop')).toBeUndefined();
  inForce.set([{ database: 'shop', action: 'raise_pool', why: 'slow' }]);
  expect(inForce.why('raise_pool', 'shop')).toBe('slow');
  expect(inForce.why('raise_pool', 'blog')).toBeUndefined();
  expect(inForce.why('prefer_cache', 'shop')).toBeUndefined();
  clock.nowMs += 14_999;
  expect(inForce.all).toHaveLength(1);
  clock.nowMs += 1;
  expect(inForce.why('raise_pool', 'shop')).toBeUndefined();
  expect(inForce.all).toEqual([]);
  inForce.set([{ database: 'shop', action: 'raise_pool', why: 'slow' }]);
  inForce.set([]);
  expect(inForce.why('raise_pool', 'shop')).toBeUndefined();
});
