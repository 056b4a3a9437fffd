/** Who takes nothing of what waits for it does not read; who takes a little does. */
import { expect, test } from 'vitest';
import { noteTaken, type Taking } from '../../src/session/taken.ts';

test.each<[string, [taken: number, unsent: number][], number]>([
  [
    'who was sent nothing',
    [
      [0, 0],
      [0, 0],
    ],
    0,
  ],
  [
    'who has taken all',
    [
      [500, 0],
      [500, 0],
      [500, 0],
    ],
    0,
  ],
  [
    'who takes nothing any more',
    [
      [500, 100],
      [500, 100],
      [500, 200],
      [500, 200],
    ],
    3,
  ],
  [
    'who takes a little each second',
    [
      [500, 100],
      [501, 100],
      [502, 100],
    ],
    0,
  ],
  [
    'who has taken something at last',
    [
      [500, 100],
      [500, 100],
      [501, 100],
    ],
    0,
  ],
])('%s', (_who, seconds, untaken) => {
  const taking = { wire: { takenBytes: 0, unsentBytes: 0 }, takenBytes: 0, untakenSeconds: 0 } satisfies Taking;
  for (const [takenBytes, unsentBytes] of seconds) {
    Object.assign(taking.wire, { takenBytes, unsentBytes });
    noteTaken(taking);
  }
  expect(taking.untakenSeconds).toBe(untaken);
});
