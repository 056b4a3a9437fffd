/** The places of a Weir of one process, when its share is another one. */
import { expect, test, vi } from 'vitest';
import { LocalShares } from '../../src/app/local-shares.ts';
import { NodeBudgets } from '../../src/pool/budget.ts';
import { createManualClock } from '../../src/util/clock.ts';
import { Scene, settled } from '../pool/scene.ts';

const address = { host: 'db1', port: 5432 };
const server = 'db1:5432';

function shares(): { readonly local: LocalShares; readonly one: Scene; readonly budgets: NodeBudgets } {
  const budgets = new NodeBudgets();
  const clock = createManualClock(1_000);
  const local = new LocalShares({
    budgets,
    nowMs: clock.nowMs,
    short: () => undefined,
    whenGone: () => Promise.resolve(),
  });
  const one = new Scene({ defaultPoolSize: 4 }, budgets.ofDatabase(address), clock);
  return { local, one, budgets };
}

/** Four connections were open, and the share has become one. */
async function squeezed(): Promise<ReturnType<typeof shares>> {
  const all = shares();
  const { local, one, budgets } = all;
  local.beginFixed(server, 4);
  const clients = ['a', 'b', 'c', 'd'].map((name) => one.wait(name));
  await one.logIn();
  local.beginFixed(server, 1);
  for (const client of clients) one.giveBack(client);
  await vi.waitFor(() => expect(budgets.ofServer(address).used).toBe(1));
  return all;
}

async function servedInTurn(scene: Scene, count: number): Promise<number> {
  const clients = Array.from({ length: count }, (_, i) => scene.wait(`client ${i}`));
  // Not until nobody logs in any more: a pool that is held to less closes each connection when it is there, and begins anew.
  for (let turn = 0; turn < 5; turn++) {
    for (const login of [...scene.logins]) login.succeed();
    await settled();
  }
  for (const client of clients) if (client.server !== undefined) scene.giveBack(client);
  await scene.advance(10);
  return scene.pool.servers().size;
}

test('a pool that had to close connections for a smaller share keeps them when the share is larger again', async () => {
  const { local, one } = await squeezed();
  local.beginFixed(server, 4);
  expect(await servedInTurn(one, 4)).toBe(4);
});

test('nor is it held to its part of it when the share has ended', async () => {
  const { local, one, budgets } = await squeezed();
  local.end(server);
  budgets.ofServer(address).limit = 4;
  expect(await servedInTurn(one, 4)).toBe(4);
});

test('another pool may have what the first one gave up, and then the first one again', async () => {
  const { local, one, budgets } = shares();
  const two = new Scene({ defaultPoolSize: 4 }, budgets.ofDatabase(address), one.clock);
  local.beginFixed(server, 6);
  const clients = [one, one, one, two, two, two].map((scene, i) => [scene, scene.wait(`client ${i}`)] as const);
  await one.logIn();
  await two.logIn();
  expect(budgets.ofServer(address).used).toBe(6);
  local.beginFixed(server, 4);
  for (const [scene, client] of clients) scene.giveBack(client);
  await vi.waitFor(() => expect(budgets.ofServer(address).used).toBe(4));
  for (const server of [...two.pool.servers()]) server.close('test');
  await vi.waitFor(() => expect(budgets.ofServer(address).used).toBe(2));
  expect(await servedInTurn(one, 4)).toBe(4);
});
