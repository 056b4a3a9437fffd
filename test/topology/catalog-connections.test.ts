/** Who keeps a connection for its catalog, and who gives it up for somebody else. */
import { expect, test } from 'vitest';
import { CatalogConnections } from '../../src/topology/catalog-connections.ts';
import type { ConnectionHolder } from '../../src/topology/catalog-connections.ts';

test('one who waits takes the connection of one, not everybody’s; who is busy keeps it', async () => {
  const connections = new CatalogConnections();
  const { signal } = new AbortController();
  const asked: number[] = [];
  const holders = Array.from({ length: 7 }, (_, i): ConnectionHolder => {
    const holder = {
      isWanted: () => {
        asked.push(i);
        if (i === 4) return false;
        connections.giveBack(holder);
        return true;
      },
    };
    return holder;
  });
  for (const holder of holders.slice(0, 5)) expect(await connections.take(holder, signal)).toBe(true);
  expect(asked).toEqual([]);
  expect(await connections.take(holders[5]!, signal)).toBe(true);
  expect(asked).toEqual([4, 3]);
  expect(await connections.take(holders[6]!, signal)).toBe(true);
  expect(asked).toEqual([4, 3, 5]);
  expect(connections.hasWaiters).toBe(false);
});

test('who stops waiting gets nothing, and whoever waits behind does', async () => {
  const connections = new CatalogConnections();
  const { signal } = new AbortController();
  const busy = Array.from({ length: 7 }, (): ConnectionHolder => ({ isWanted: () => false }));
  for (const holder of busy.slice(0, 5)) expect(await connections.take(holder, signal)).toBe(true);
  const stopping = new AbortController();
  const gone = connections.take(busy[5]!, stopping.signal);
  const next = connections.take(busy[6]!, signal);
  expect(connections.hasWaiters).toBe(true);
  stopping.abort();
  expect(await gone).toBe(false);
  connections.giveBack(busy[0]!);
  expect(await next).toBe(true);
  expect(connections.hasWaiters).toBe(false);
});
