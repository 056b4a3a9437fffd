/**
 * Connections that a pool keeps open ahead of a predicted load: opened without clients, not closed as idle, given up for
 * clients of other pools, and none of them when nothing is predicted. Fails if the minimum that operators see changes, or if
 * two pools take each other's connections again and again.
 */
import { expect, test } from 'vitest';
import { NodeBudget } from '../../src/pool/budget.ts';
import { Scene } from './scene.ts';

test('are opened two at a time, within the limit, and stay when they are idle', async () => {
  const scene = new Scene({ defaultPoolSize: 6, serverIdleTimeoutMs: 60_000 });
  scene.pool.keepWarm(9);
  expect(scene.logins.length).toBeGreaterThan(0);
  expect(await scene.logIn()).toHaveLength(6);
  expect(scene.pool.stats()).toMatchObject({ idle: 6, active: 0, min: 0, limit: 6 });
  await scene.advance(200_000);
  expect(scene.pool.stats().idle).toBe(6);
  scene.pool.setLimit(9, 'predicted', 'at 09:00');
  scene.pool.keepWarm(9);
  await scene.logIn();
  expect(scene.pool.stats()).toMatchObject({ idle: 9, resizes: { 'up:predicted': 1 } });
  scene.pool.keepWarm(0);
  await scene.advance(200_000);
  expect(scene.pool.stats().idle).toBe(0);
});

test('are there for clients at once', async () => {
  const scene = new Scene({ defaultPoolSize: 3 });
  scene.pool.keepWarm(3);
  await scene.logIn();
  expect(scene.pool.tryCheckout()).toBeDefined();
  expect(scene.logins).toHaveLength(0);
});

test('are not opened while the pool is paused, and after RESUME they are', async () => {
  const scene = new Scene({ defaultPoolSize: 3 });
  scene.pool.pause();
  scene.pool.keepWarm(3);
  expect(scene.logins).toHaveLength(0);
  scene.pool.resume();
  scene.pool.keepWarm(3);
  expect(await scene.logIn()).toHaveLength(3);
});

test('go to a pool with clients, and are not taken back from its idle ones', async () => {
  const budget = new NodeBudget();
  budget.limit = 4;
  const warm = new Scene({ defaultPoolSize: 4 }, budget);
  const busy = new Scene({ defaultPoolSize: 4 }, budget);
  warm.pool.keepWarm(4);
  await warm.logIn();
  expect(warm.pool.stats().idle).toBe(4);
  const client = busy.wait('a client');
  expect(await busy.logIn()).toHaveLength(1);
  expect([warm.pool.stats().idle, busy.pool.stats().active]).toEqual([3, 1]);
  busy.giveBack(client);
  await warm.advance(1_000);
  warm.pool.keepWarm(4);
  expect(warm.logins).toHaveLength(0);
  expect([warm.pool.stats().idle, busy.pool.stats().idle]).toEqual([3, 1]);
});

test('of two pools that have no room for both are opened as far as there is room, once', async () => {
  const budget = new NodeBudget();
  budget.limit = 4;
  const scenes = [new Scene({ defaultPoolSize: 4 }, budget), new Scene({ defaultPoolSize: 4 }, budget)];
  for (const { pool } of scenes) pool.keepWarm(4);
  for (let i = 0; i < 20; i++) {
    for (const scene of scenes) {
      await scene.advance(500);
      await scene.logIn();
      scene.pool.keepWarm(4);
    }
  }
  const connects = scenes.map(({ pool }) => pool.stats().connects);
  expect((connects[0] ?? 0) + (connects[1] ?? 0)).toBe(4);
});
