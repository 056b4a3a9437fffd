/** Who keeps a connection for its catalog, and who gives it up for somebody else. */
import { expect, test } from 'vitest';
import { CatalogSeats } from '../../src/topology/catalog-seats.ts';
import type { SeatHolder } from '../../src/topology/catalog-seats.ts';

test('one who waits takes the seat of one, not everybody’s; who is busy keeps it', async () => {
  const seats = new CatalogSeats();
  const { signal } = new AbortController();
  const asked: number[] = [];
  const holders = Array.from({ length: 7 }, (_, i): SeatHolder => {
    const holder = {
      isWanted: () => {
        asked.push(i);
        if (i === 4) return false;
        seats.giveBack(holder);
        return true;
      },
    };
    return holder;
  });
  for (const holder of holders.slice(0, 5)) expect(await seats.take(holder, signal)).toBe(true);
  expect(asked).toEqual([]);
  expect(await seats.take(holders[5]!, signal)).toBe(true);
  expect(asked).toEqual([4, 3]);
  expect(await seats.take(holders[6]!, signal)).toBe(true);
  expect(asked).toEqual([4, 3, 5]);
  expect(seats.hasWaiters).toBe(false);
});
