/** What a node has answered in the last ten seconds. Fails if something old still counts, or something recent does not. */
import { expect, it } from 'vitest';
import { OutcomeWindow } from '../../src/topology/outcome-window.ts';

it('counts what is at most nine to ten seconds old, second by second', () => {
  const window = new OutcomeWindow();
  window.add(1_000_500, 3, 1);
  window.add(1_004_000, 2, 2);
  expect(window.counts(1_009_999)).toEqual({ failed: 3, all: 8 });
  expect(window.counts(1_010_000)).toEqual({ failed: 2, all: 4 });
  expect(window.counts(1_014_000)).toEqual({ failed: 0, all: 0 });
});

it('forgets all after a long pause, and when it is told to', () => {
  const window = new OutcomeWindow();
  window.add(5_000, 7, 7);
  expect(window.counts(9_000_000)).toEqual({ failed: 0, all: 0 });
  window.add(9_000_000, 1, 1);
  window.clear();
  expect(window.counts(9_000_000)).toEqual({ failed: 0, all: 0 });
});
