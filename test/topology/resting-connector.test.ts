/**
 * The monitor of a server that nobody needs to ask: it connects when something goes wrong, and leaves again. Fails if it asks without
 * need, or does not ask when it must.
 */
import { describe, expect, it } from 'vitest';
import { RestingConnector } from '../../src/topology/resting-connector.ts';
import type { ProbeConnection } from '../../src/topology/samples.ts';
import { Unanswered } from '../../src/topology/unanswered.ts';
import { createManualClock } from '../../src/util/clock.ts';
import { fakeCluster } from './fake-nodes.ts';
import { nodeConfig } from './fixtures.ts';

function setUp() {
  const cluster = fakeCluster(['db1']);
  const clock = createManualClock(1_000_000);
  const state = { mayRest: true };
  const lost: string[] = [];
  const connector = new RestingConnector(cluster.connect, () => state.mayRest, clock);
  const { signal } = new AbortController();
  const connect = (): Promise<ProbeConnection> =>
    connector.connect(nodeConfig('db1'), (failure) => lost.push(failure.problem), signal);
  return { node: cluster.node('db1'), clock, state, lost, connector, connect };
}

describe('a monitor at rest', () => {
  it('takes the server for a primary that is up, and does not connect', async () => {
    const { node, connect } = setUp();
    const connection = await connect();
    expect(await connection.probe()).toEqual({ isInRecovery: false, lsn: 0, timeline: undefined });
    expect(connection.identity).toMatchObject({ isMute: true, limitation: undefined });
    expect(node.connects).toBe(0);
  });

  it('asks after an alarm, and leaves a second later with what it has learned', async () => {
    const { node, clock, connector, connect } = setUp();
    const connection = await connect();
    connector.alarm();
    expect(await connection.probe()).toEqual({ isInRecovery: false, lsn: 1000, timeline: 1 });
    expect(connection.identity).toMatchObject({ systemId: 'A', connectionLimit: 97 });
    clock.advance(999);
    await connection.probe();
    expect(node).toMatchObject({ connects: 1, probes: 2, open: 1 });
    clock.advance(1);
    const { identity } = connection;
    expect(await connection.probe()).toEqual({ isInRecovery: false, lsn: 0, timeline: 1 });
    expect(connection.identity).toBe(identity);
    expect(node).toMatchObject({ connects: 1, probes: 2, open: 0 });
  });

  it('asks a server that fails until it answers', async () => {
    const { node, clock, connector, connect } = setUp();
    const connection = await connect();
    node.down = { problem: 'refused', isStopped: true };
    connector.alarm();
    await expect(connection.probe()).rejects.toThrow('refused');
    clock.advance(60_000);
    await expect(connect()).rejects.toThrow('refused');
    node.down = undefined;
    const again = await connect();
    expect(await again.probe()).toMatchObject({ lsn: 1000 });
    clock.advance(1_000);
    expect(await again.probe()).toMatchObject({ lsn: 0 });
    expect(node.open).toBe(0);
  });

  it('watches a standby until it is promoted', async () => {
    const { node, clock, connector, connect } = setUp();
    const connection = await connect();
    node.sample = { isInRecovery: true, lsn: 5, timeline: 1 };
    connector.alarm();
    await connection.probe();
    clock.advance(60_000);
    expect(await connection.probe()).toMatchObject({ isInRecovery: true });
    node.sample = { isInRecovery: false, lsn: 6, timeline: 2 };
    expect(await connection.probe()).toMatchObject({ timeline: 2 });
    expect(await connection.probe()).toEqual({ isInRecovery: false, lsn: 0, timeline: 2 });
    expect(node.open).toBe(0);
  });

  it('connects to answer a question', async () => {
    const { node, connector, connect } = setUp();
    await expect(connector.ask('SELECT 1', [], 'db1')).rejects.toThrow('not connected to db1');
    await connect();
    expect(await connector.ask('SELECT 1', [], 'db1')).toEqual([]);
    expect(node.open).toBe(1);
  });

  it('tells of a connection that is lost while it asks', async () => {
    const { node, connector, connect, lost, clock } = setUp();
    const connection = await connect();
    connector.alarm();
    await connection.probe();
    node.cut('gone');
    expect(lost).toEqual(['gone']);
    clock.advance(60_000);
    await connect();
    expect(node).toMatchObject({ connects: 2, open: 1 });
  });

  it('is connected as long as a database needs it', async () => {
    const { node, clock, state, connect } = setUp();
    state.mayRest = false;
    const connection = await connect();
    await connection.probe();
    clock.advance(60_000);
    await connection.probe();
    expect(node).toMatchObject({ connects: 1, probes: 2, open: 1 });
    await connection.close();
    expect(node.open).toBe(0);
  });
});

describe('a server that owes answers', () => {
  it('is suspected every five seconds without one', () => {
    const unanswered = new Unanswered();
    const load = { outstanding: 1, answered: 7 };
    expect([0, 4_999, 5_000, 9_999, 10_000].map((nowMs) => unanswered.look(load, nowMs))).toEqual([
      ...[false, false, true, false, true],
    ]);
    load.answered++;
    expect([15_000, 19_999].map((nowMs) => unanswered.look(load, nowMs))).toEqual([false, false]);
    load.outstanding = 0;
    expect(unanswered.look(load, 30_000)).toBe(false);
    load.outstanding = 1;
    expect(unanswered.look(load, 34_999)).toBe(false);
    expect(unanswered.look(undefined, 60_000)).toBe(false);
  });
});
