/** When the catalog of a database counts as known: a replica's does not, once the primary can be asked. */
import { describe, expect, test, vi } from 'vitest';
import type { Catalog } from '../../src/catalog/types.ts';
import { SchemaWatch, type CatalogSource } from '../../src/topology/schema-watch.ts';
import { nodeConfig } from './fixtures.ts';

const primary: CatalogSource = { node: nodeConfig('db1'), isPrimary: true };
const replica: CatalogSource = { node: nodeConfig('db2'), isPrimary: false };

interface Scene {
  readonly watch: SchemaWatch;
  /** Resolves when the next catalog was read, or could not be. */
  next(): Promise<void>;
  source: CatalogSource;
}

function sceneOf(read: (from: string) => Catalog, isUsed?: () => boolean): Scene {
  let happened = (): void => undefined;
  const scene: Scene = {
    source: replica,
    next: () => new Promise((resolve) => (happened = resolve)),
    watch: new SchemaWatch({
      connect: (from) =>
        Promise.resolve({ query: () => Promise.resolve([[from.name]]), close: () => Promise.resolve() } as never),
      source: () => scene.source,
      readCatalog: async (query) => read(((await query('SELECT 1')) as unknown as string[][])[0]?.[0] ?? ''),
      fingerprint: undefined,
      ...(isUsed === undefined ? {} : { isUsed }),
      onCatalog: () => setImmediate(() => happened()),
      onProblem: () => setImmediate(() => happened()),
    }),
  };
  return scene;
}

describe('the catalog has been looked for', () => {
  test('when the primary has told it, not when only a replica has', async () => {
    const scene = sceneOf((from) => ({ from }) as unknown as Catalog);
    const first = scene.next();
    scene.watch.start();
    await first;
    expect(scene.watch.catalog).toEqual({ from: 'db2' });
    expect(scene.watch.hasTried).toBe(false);
    scene.source = primary;
    const second = scene.next();
    scene.watch.kick();
    await second;
    expect(scene.watch.catalog).toEqual({ from: 'db1' });
    expect(scene.watch.hasTried).toBe(true);
    await scene.watch.stop();
  });

  test('when the primary could not tell it', async () => {
    const scene = sceneOf((from) => {
      throw new Error(`${from}: permission denied`);
    });
    const first = scene.next();
    scene.watch.start();
    await first;
    expect(scene.watch.hasTried).toBe(false);
    scene.source = primary;
    const second = scene.next();
    scene.watch.kick();
    await second;
    expect(scene.watch.catalog).toBeUndefined();
    expect(scene.watch.hasTried).toBe(true);
    await scene.watch.stop();
  });
});

describe('a database that nobody uses', () => {
  test('is asked for nothing; who comes while it falls asleep wakes it', async () => {
    const reads: string[] = [];
    let isUsed = true;
    let onUnused = (): void => undefined;
    const scene = sceneOf(
      (from) => {
        reads.push(from);
        return { from } as unknown as Catalog;
      },
      () => {
        const answer = isUsed;
        if (!answer) onUnused();
        return answer;
      },
    );
    scene.source = primary;
    isUsed = false;
    scene.watch.start();
    scene.watch.kick();
    expect(scene.watch.isAsleep).toBe(true);
    expect(reads).toEqual([]);

    // The second answer sends it to sleep; the first client is there before it lies down.
    let asked = 0;
    onUnused = () => {
      if (++asked !== 2) return;
      isUsed = true;
      queueMicrotask(() => scene.watch.wake());
    };
    scene.watch.wake();
    await vi.waitFor(() => {
      expect(asked).toBe(2);
      expect(scene.watch.catalog).toEqual({ from: 'db1' });
    });
    expect(reads).toEqual(['db1', 'db1']);
    expect(scene.watch.isAsleep).toBe(false);
    await scene.watch.stop();
  });
});

describe('somebody waits for a comparison', () => {
  async function scene(isPrimary: boolean): Promise<{ watch: SchemaWatch; looks: () => number; gone: () => void }> {
    let looks = 0;
    let source: CatalogSource | undefined = isPrimary ? primary : replica;
    let happened = (): void => undefined;
    const read = new Promise<void>((resolve) => (happened = resolve));
    const watch = new SchemaWatch({
      connect: () => Promise.resolve({ query: () => Promise.resolve([]), close: () => Promise.resolve() } as never),
      source: () => {
        looks++;
        return source;
      },
      readCatalog: () => Promise.resolve({} as Catalog),
      fingerprint: () => Promise.resolve('the same'),
      onCatalog: () => setImmediate(happened),
      onProblem: () => undefined,
    });
    watch.start();
    await read;
    return { watch, looks: () => looks, gone: () => (source = undefined) };
  }

  test('it comes soon, and proves what was written before it began', async () => {
    const { watch } = await scene(true);
    const needed = watch.next;
    expect(watch.confirmed).toBeLessThan(needed);
    watch.hurry();
    await vi.waitFor(() => expect(watch.confirmed).toBe(needed));
    await watch.stop();
  });

  test('a replica proves nothing', async () => {
    const { watch } = await scene(false);
    const needed = watch.next;
    watch.hurry();
    await vi.waitFor(() => expect(watch.next).toBeGreaterThan(needed));
    expect(watch.confirmed).toBe(0);
    await watch.stop();
  });

  test('while there is nobody to ask, one look is enough', async () => {
    const { watch, looks, gone } = await scene(true);
    gone();
    const before = looks();
    watch.hurry();
    await vi.waitFor(() => expect(looks()).toBeGreaterThan(before));
    const after = looks();
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(looks()).toBe(after);
    await watch.stop();
  });
});
