/**
 * Clients that go from one Weir to another and back while they work: one that never waits for its answers loses none and gets
 * none twice, its cancel key stays good, and what cannot be moved yet says why. Fails if a byte, an answer or a key is lost.
 */
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Backend } from '../src/protocol/codes.ts';
import { cancelRequest, query } from '../src/protocol/write.ts';
import { RawClient } from './differential/raw-client.ts';
import { Mover } from './harness/hand-over.ts';
import { startWeirInProcess, until, useCluster, weirConfig, type WeirInProcess } from './harness/index.ts';

let [one, two]: WeirInProcess[] = [];
let mover: Mover;
let database: string;

beforeAll(async () => {
  const cluster = useCluster();
  database = await cluster.createDatabase();
  const config = weirConfig(cluster, { database }, { auth: { type: 'trust' } });
  [one, two] = [await startWeirInProcess(config), await startWeirInProcess(config)];
  mover = new Mover();
});
afterAll(async () => {
  mover.close();
  await one?.stop();
  await two?.stop();
});

async function open(weir: WeirInProcess): Promise<RawClient> {
  const { password, users } = useCluster();
  const client = await RawClient.open({ host: weir.host, port: weir.port, user: users.app, password, database }, {});
  await client.until(() => client.received.some(({ type }) => type === Backend.ReadyForQuery));
  return client;
}

const rows = (client: RawClient): string[] =>
  client.received.filter(({ type }) => type === Backend.DataRow).map(({ body }) => body.toString('latin1', 6));

test('a client that never waits for its answers gets every one, once and in order', async () => {
  const client = await open(one!);
  const total = 3_000;
  const said = (async (): Promise<void> => {
    for (let i = 0; i < total; i++) {
      client.send(i % 5 === 0 ? query(`BEGIN; SELECT ${i}; COMMIT`) : query(`SELECT ${i}`));
      if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  let moves = 0;
  while (rows(client).length < total) {
    moves += (await mover.move(one!, two!, 1_000)).moved;
    moves += (await mover.move(two!, one!, 1_000)).moved;
    if (client.isClosed) break;
  }
  await said;
  expect(rows(client)).toEqual(Array.from({ length: total }, (_, i) => String(i)));
  expect(moves).toBeGreaterThan(3);
  client.close();
});

test('a transaction is waited for, then the client goes, and its cancel key is good there', async () => {
  const client = await open(one!);
  const key = client.received.find(({ type }) => type === Backend.BackendKeyData)!.body;
  const count = (type: number): number => client.received.filter((each) => each.type === type).length;
  client.send(query('BEGIN'));
  await client.until(() => count(Backend.ReadyForQuery) === 2);
  expect((await mover.move(one!, two!, 60)).waitedFor).toEqual(['the end of its transaction']);
  client.send(query('COMMIT'));
  await client.until(() => count(Backend.ReadyForQuery) === 3);
  expect((await mover.move(one!, two!, 2_000)).moved).toBe(1);
  expect(one!.app.handOvers.clients()).toEqual([]);
  expect(two!.app.handOvers.clients()).toEqual([key.readInt32BE(0)]);
  client.send(query('SELECT pg_sleep(60)'));
  await new Promise((resolve) => setTimeout(resolve, 300));
  connect(two!.port, two!.host).end(cancelRequest(key.readInt32BE(0), key.subarray(4)));
  await until('the cancel', () => count(Backend.ErrorResponse) === 1);
  client.close();
});

test('what another version packed is refused with words, and the client is told', async () => {
  const client = await open(one!);
  const id = one!.app.handOvers.clients()[0]!;
  const leaving = one!.app.handOvers.begin(id);
  if (typeof leaving === 'string') throw new Error(leaving);
  const { socket, packed } = (await leaving.done)!;
  const newer = { ...packed, session: { ...packed.session, version: 99 } };
  await expect(two!.app.handOvers.receive(newer, socket)).rejects.toThrow(/packed by version 99/);
  await client.until(() => client.isClosed);
  expect(client.received.at(-1)?.body.toString()).toContain('57P01');
});
