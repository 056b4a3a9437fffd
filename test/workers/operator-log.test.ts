/**
 * A worker that starts late is as one that has been there all along: in thousands of random histories of PAUSE, DRAIN, RESIZE
 * POOL, SET and the like, what the supervisor has kept leads to the same state. Fails when something is forgotten that still
 * holds, kept though it is void, or kept in the wrong order; or when the log grows with the number of commands.
 */
import { expect, test } from 'vitest';
import { resized, type PoolSize } from '../../src/pool/bounds.ts';
import type { Action, Change } from '../../src/workers/console-topics.ts';
import { OperatorLog } from '../../src/workers/operator-log.ts';

const databases = ['shop', 'blog'] as const;
const users = ['app', 'batch'] as const;
const nodes = ['db1', 'db2'] as const;

/** What a worker makes of actions. */
class ModelWorker {
  readonly paused = new Set<string>();
  readonly disabled = new Set<string>();
  readonly draining = new Set<string>();
  readonly settings = new Map<string, string>();
  /** Two are named by the file. */
  readonly nodes = new Map<string, string>([
    ['shop db1', 'file'],
    ['shop db2', 'file'],
  ]);
  readonly pools = new Map<string, PoolSize>();

  constructor() {
    this.newSizes();
  }

  private newSizes(database?: string): void {
    for (const name of databases.filter((each) => (database ?? each) === each))
      for (const user of users)
        for (const node of nodes) this.pools.set(`${name}.${user}@${node}`, { limit: 20, min: 0, max: 100 });
  }

  /** @returns databases whose pool sizes are those of the configuration again */
  do(what: Action | Change): readonly string[] {
    const named = 'database' in what && what.database !== undefined ? [what.database] : databases;
    switch (what.do) {
      case 'pause':
      case 'killDatabase':
        for (const name of named) this.paused.add(name);
        break;
      case 'resume':
        for (const name of named) this.paused.delete(name);
        break;
      case 'disable':
        this.disabled.add(what.database);
        break;
      case 'enable':
        this.disabled.delete(what.database);
        break;
      case 'setDraining':
        if (what.isDraining) this.draining.add(what.node);
        else this.draining.delete(what.node);
        break;
      case 'resizePool': {
        const { database, user, node, min, max } = what.request;
        for (const [key, size] of this.pools) {
          const [name, ofUser, ofNode] = key.split(/[.@]/);
          if (name !== database || (user ?? ofUser) !== ofUser || (node ?? ofNode) !== ofNode) continue;
          this.pools.set(key, { ...resized(size, { min, max }), limit: 0 });
        }
        break;
      }
      case 'set':
        this.settings.set(what.key, what.value);
        if (what.key !== 'sizes') return [];
        this.newSizes(what.value);
        return [what.value];
      case 'addNode': {
        const key = `${what.node.database} ${what.node.name ?? ''}`;
        if (!this.nodes.has(key)) this.nodes.set(key, what.node.url);
        break;
      }
      case 'removeNode':
        this.nodes.delete(`${what.database} ${what.node}`);
        break;
      case 'reload':
        this.settings.clear();
        for (const name of ['shop db1', 'shop db2']) this.nodes.set(name, 'file');
        break;
      default:
    }
    return [];
  }

  state(): object {
    const pools = [...this.pools].map(([key, { min, max }]) => `${key} ${min}-${max}`);
    return {
      paused: [...this.paused].sort(),
      disabled: [...this.disabled].sort(),
      draining: [...this.draining].sort(),
      settings: [...this.settings].filter(([key]) => key !== 'sizes').sort(),
      nodes: [...this.nodes].sort(),
      pools: pools.sort(),
    };
  }
}

function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function anything(roll: (below: number) => number): Action | Change {
  const one = <T>(list: readonly T[]): T => list[roll(list.length)] as T;
  const maybe = <T>(value: T): T | undefined => (roll(2) === 0 ? value : undefined);
  const database = one(databases);
  const bound = (): number => 1 + roll(60);
  switch (roll(12)) {
    case 10: {
      const node = one(['db1', 'db2', 'db3', 'db4']);
      return { do: 'addNode', node: { database, name: node, url: `postgres://${node}${one(['a', 'b'])}` } };
    }
    case 11:
      return { do: 'removeNode', database, node: one(['db1', 'db2', 'db3', 'db4']) };
    case 0:
    case 1:
      return { do: one(['pause', 'resume', 'killDatabase'] as const), database: maybe(database) };
    case 2:
      return { do: one(['disable', 'enable'] as const), database };
    case 3:
      return { do: 'setDraining', node: one(nodes), isDraining: roll(2) === 0 };
    case 4:
      return { do: 'set', key: one(['a', 'b']), value: String(roll(3)) };
    case 5:
      return roll(3) === 0 ? { do: 'reload' } : { do: 'set', key: 'sizes', value: database };
    case 6:
      return one<Action>([
        { do: 'killClient', id: 1 },
        { do: 'reconnect', database: undefined },
        { do: 'waitClose', database: undefined },
        { do: 'invalidate', request: { tables: [], tags: [], patterns: [], all: true } },
      ]);
    default: {
      const [min, max] = one([
        [bound(), undefined],
        [undefined, bound()],
        [roll(9), 9 + roll(60)],
      ] as const);
      return { do: 'resizePool', request: { database, user: maybe(one(users)), node: maybe(one(nodes)), min, max } };
    }
  }
}

test('what is kept leads a late worker to the state of those that were there', () => {
  for (let seed = 1; seed <= 4_000; seed++) {
    const roll = random(seed);
    const log = new OperatorLog();
    const old = new ModelWorker();
    const history: (Action | Change)[] = [];
    for (let step = 1; step <= 20; step++) {
      const what = anything(roll);
      history.push(what);
      const order = log.add(what, step);
      log.dropResizes(old.do(what), order);
    }
    const late = new ModelWorker();
    // It has read its configuration after the last RELOAD.
    for (const what of log.for(100)) late.do(what);
    expect(late.state(), `seed ${seed}: ${JSON.stringify(history)}`).toEqual(old.state());
  }
});

test('does not grow with the number of commands', () => {
  const roll = random(7);
  const log = new OperatorLog();
  for (let step = 0; step < 20_000; step++) log.add(anything(roll), step);
  expect(log.for(0).length).toBeLessThanOrEqual(1_000 + 36);
  for (const database of databases) {
    log.add({ do: 'resizePool', request: { database, user: undefined, node: undefined, min: 1, max: 2 } }, 0);
  }
  expect(log.for(0).length).toBeLessThanOrEqual(36);
});

test('a worker that has read its configuration before the last RELOAD reads it again, and only then', () => {
  const log = new OperatorLog();
  log.add({ do: 'set', key: 'a', value: '1' }, 50);
  log.add({ do: 'reload' }, 100);
  log.add({ do: 'set', key: 'b', value: '2' }, 150);
  expect(log.for(99)).toEqual([{ do: 'reload' }, { do: 'set', key: 'b', value: '2' }]);
  expect(log.for(101)).toEqual([{ do: 'set', key: 'b', value: '2' }]);
});
