/**
 * The topology of a database over nodes of a test: what it tells listeners, when it reads the catalog. Fails if a change is
 * not told.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { createTopology } from '../../src/topology/topology.ts';
import type { TopologyOptions } from '../../src/topology/topology.ts';
import type { Topology, TopologySnapshot } from '../../src/topology/types.ts';
import { systemClock } from '../../src/util/clock.ts';
import { fakeCatalog, fakeCluster } from './fake-nodes.ts';
import type { FakeCluster, FakeNode } from './fake-nodes.ts';
import { databaseConfig, nodeConfig, noTls } from './fixtures.ts';

const running: Topology[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((topology) => topology.stop()));
});

function start(cluster: FakeCluster, more: Partial<TopologyOptions> = {}) {
  const lines: { level: string; event: object; message: string }[] = [];
  let version = 0;
  const topology = createTopology({
    database: databaseConfig(2),
    databaseName: 'shop',
    routing: { maxReplicaLagMs: 1000, primaryReads: 'when-needed' },
    monitorCredentials: undefined,
    tls: noTls,
    connectTimeoutMs: 1000,
    clock: systemClock,
    log: (level, event, message) => lines.push({ level, event, message }),
    readCatalog: () => Promise.resolve(fakeCatalog(++version)),
    connect: cluster.connect,
    ...more,
  });
  running.push(topology);
  topology.start();
  return { topology, lines };
}

/** Looks until it is so; a few seconds at most. */
async function eventually(what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`not within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const names = ['db1', 'db2', 'db3'];
const usable = (snapshot: TopologySnapshot): string[] =>
  snapshot.replicas.filter((node) => node.isUp && node.isLagging === false).map((node) => node.name);
const isReady = (topology: Topology): boolean =>
  topology.snapshot().primary?.isUp === true && usable(topology.snapshot()).length === 2;

describe('topology', () => {
  it('comes up by itself and says so once', async () => {
    const { topology, lines } = start(fakeCluster(names));
    await eventually('everything up', () => isReady(topology) && topology.catalog() !== undefined);
    expect(topology.snapshot().primary?.name).toBe('db1');
    expect(topology.snapshot().nodes.map((node) => node.name)).toEqual(names);
    expect(topology.snapshot().primary?.connectionLimit).toBe(97);
    expect(lines.filter((line) => line.message === 'db1 is the primary')).toHaveLength(1);
  });

  it('resolves a tick by a probe sent after it', async () => {
    const cluster = fakeCluster(names);
    const { topology } = start(cluster);
    await eventually('everything up', () => isReady(topology));
    cluster.node('db1').sample = { isInRecovery: false, lsn: 5000, timeline: 1 };
    const tick = topology.ticker.next();
    expect(topology.ticker.lsnOf(tick)).toBeUndefined();
    await eventually('the tick', () => topology.ticker.lsnOf(tick) !== undefined);
    expect(topology.ticker.lsnOf(tick)).toBe(5000);
  });

  it('has one probe in flight however many ticks are asked for', async () => {
    const cluster = fakeCluster(names);
    const { topology } = start(cluster);
    await eventually('everything up', () => isReady(topology));
    let release = (): void => undefined;
    const db1 = cluster.node('db1');
    db1.hold = new Promise((resolve) => (release = resolve));
    topology.ticker.next();
    const before = db1.probes;
    await eventually('a probe under way', () => db1.probes > before);
    const ticks = Array.from({ length: 100 }, () => topology.ticker.next());
    const db2 = cluster.node('db2').probes;
    await eventually('others going on', () => cluster.node('db2').probes > db2 + 1);
    expect(db1.probes).toBe(before + 1);
    expect(ticks.map((tick) => topology.ticker.lsnOf(tick))).toEqual(ticks.map(() => undefined));
    db1.hold = undefined;
    release();
    await eventually('the ticks', () => topology.ticker.lsnOf(ticks[99]!) === 1000);
  });

  it('probes a server without replicas no more often for sessions that ask for ticks: no replica waits for them', async () => {
    const [lone, primary] = [fakeCluster(['db1']), fakeCluster(names)];
    const routing = { maxReplicaLagMs: 4000, primaryReads: 'when-needed' } as const;
    const without = start(lone, { database: databaseConfig(0), routing }).topology;
    const withReplicas = start(primary, { routing }).topology;
    await eventually('both up', () => without.snapshot().primary?.isUp === true && isReady(withReplicas));
    const before = [lone.node('db1').probes, primary.node('db1').probes] as const;
    await eventually('many probes', () => {
      without.ticker.next();
      withReplicas.ticker.next();
      return primary.node('db1').probes - before[1] >= 12;
    });
    expect(lone.node('db1').probes - before[0]).toBeLessThan(6);
  });

  it('notices a lost primary at once and a promoted replica without being told', async () => {
    const cluster = fakeCluster(names);
    const { topology, lines } = start(cluster);
    await eventually('everything up', () => isReady(topology));
    const seen: TopologySnapshot[] = [];
    topology.onChange((snapshot) => seen.push(snapshot));
    const token = topology.ticker.next();

    cluster.node('db1').down = { problem: 'cannot connect: ECONNREFUSED', isStopped: true };
    cluster.node('db1').cut('connection lost');
    expect(topology.snapshot().primary).toMatchObject({ name: 'db1', isUp: false });
    expect(seen.at(-1)?.primary?.isUp).toBe(false);

    cluster.node('db2').sample = { isInRecovery: false, lsn: 2000, timeline: 2 };
    await eventually('the new primary', () => topology.snapshot().primary?.name === 'db2');
    expect(topology.snapshot()).toMatchObject({ epoch: 2, primary: { isUp: true, role: 'primary' } });
    expect(topology.ticker.lsnOf(token)).toBe(Infinity);
    expect(usable(topology.snapshot())).toEqual([]);
    expect(lines.some((line) => line.level === 'warn' && line.message === 'db2 is the primary')).toBe(true);

    cluster.node('db3').sample = { isInRecovery: true, lsn: 2000, timeline: 2 };
    await eventually('db3 to follow', () => usable(topology.snapshot()).includes('db3'));

    cluster.node('db1').down = undefined;
    await eventually('the old primary to be seen', () => /stale/.test(topology.snapshot().nodes[0]!.problem ?? ''));
    expect(topology.snapshot().primary?.name).toBe('db2');
    expect(topology.snapshot().nodes[0]!.isUp).toBe(false);
  });

  it('does not listen to a connection that is gone', async () => {
    const cluster = fakeCluster(names);
    const { topology } = start(cluster);
    await eventually('everything up', () => isReady(topology));
    let release = (): void => undefined;
    const db2 = cluster.node('db2');
    db2.hold = new Promise((resolve) => (release = resolve));
    const before = db2.probes;
    await eventually('a probe under way', () => db2.probes > before);
    db2.down = { problem: 'cannot connect: ECONNREFUSED', isStopped: true };
    db2.cut('connection lost');
    const states: boolean[] = [];
    topology.onChange((snapshot) => states.push(snapshot.nodes[1]!.isUp));
    release();
    await eventually('some attempts', () => db2.connects > 2);
    expect(topology.snapshot().nodes[1]!.isUp).toBe(false);
    expect(states).not.toContain(true);
  });

  it('asks at once when a role is suspected, and again if an answer was under way', async () => {
    const cluster = fakeCluster(names);
    const { topology } = start(cluster);
    await eventually('everything up', () => isReady(topology));
    let release = (): void => undefined;
    const db1 = cluster.node('db1');
    db1.hold = new Promise((resolve) => (release = resolve));
    topology.suspectRole('db1');
    const before = db1.probes;
    await eventually('the probe', () => db1.probes > before);
    db1.sample = { isInRecovery: true, lsn: 1000, timeline: 1 };
    topology.suspectRole('db1');
    db1.hold = undefined;
    release();
    await eventually('the demotion', () => topology.snapshot().primary === undefined);
  });

  it('tells listeners of changes, not of progress, and survives one that throws', async () => {
    const cluster = fakeCluster(names);
    const { topology, lines } = start(cluster);
    await eventually('everything up', () => isReady(topology));
    let calls = 0;
    topology.onChange(() => {
      throw new Error('oops');
    });
    const off = topology.onChange(() => calls++);
    const first = topology.snapshot();
    cluster.node('db1').sample = { isInRecovery: false, lsn: 9000, timeline: 1 };
    await eventually('progress', () => topology.snapshot().primary?.lsn === 9000);
    expect(topology.snapshot()).not.toBe(first);
    expect(calls).toBe(0);
    expect(topology.setDraining('db2', true)).toBe(true);
    expect(calls).toBe(1);
    expect(lines.some((line) => line.message === 'a listener of the topology failed')).toBe(true);
    off();
    topology.setDraining('db2', false);
    expect(calls).toBe(1);
    expect(topology.setDraining('nowhere', true)).toBe(false);
  });

  it('tells of progress, too, when reads have nobody but replicas to wait for', async () => {
    const cluster = fakeCluster(names);
    const { topology } = start(cluster, { routing: { maxReplicaLagMs: 1000, primaryReads: 'never' } });
    await eventually('everything up', () => isReady(topology));
    let lsn = 0;
    topology.onChange((snapshot) => (lsn = snapshot.replicas[0]!.lsn));
    cluster.node('db2').sample = { isInRecovery: true, lsn: 1500, timeline: 1 };
    await eventually('the news', () => lsn === 1500);
  });

  it('ejects and reports it, and shrugs at names it does not know', async () => {
    const ejected: string[] = [];
    const { topology } = start(fakeCluster(names), { onEjection: (node, reason) => ejected.push(`${node} ${reason}`) });
    await eventually('everything up', () => isReady(topology));
    topology.reportFailure('nowhere', 'lost', '');
    topology.reportSuccess('nowhere');
    for (let i = 0; i < 5; i++) topology.reportFailure('db3', 'lost', 'ECONNRESET');
    expect(ejected).toEqual(['db3 lost']);
    expect(topology.snapshot().nodes[2]!.ejectedUntilMs).toBeGreaterThan(0);
  });

  it('does not hammer a node that refuses', async () => {
    const cluster = fakeCluster(names);
    cluster.node('db3').down = { problem: 'cannot connect: ECONNREFUSED', isStopped: true };
    const { topology } = start(cluster);
    const db2 = cluster.node('db2');
    await eventually('some time', () => db2.probes >= 4);
    for (let i = 0; i < 1000; i++) topology.reportFailure('db3', 'connect', 'ECONNREFUSED');
    const before = cluster.node('db3').connects;
    await eventually('some more', () => db2.probes >= 6);
    expect(before).toBeLessThan(20);
    expect(cluster.node('db3').connects).toBeLessThan(before + 20);
  });

  it('leaves nothing open, and can be stopped twice and early', async () => {
    const cluster = fakeCluster(names);
    const { topology } = start(cluster);
    await eventually('everything up', () => isReady(topology) && topology.catalog() !== undefined);
    await Promise.all([topology.stop(), topology.stop()]);
    await topology.stop();
    expect(names.map((name) => cluster.node(name).open)).toEqual([0, 0, 0]);

    const other = start(cluster).topology;
    await other.stop();
    await eventually('late connections closed', () => names.every((name) => cluster.node(name).open === 0));
  });
});

describe('catalog', () => {
  it('is undefined from a change on until it was read after the change', async () => {
    const cluster = fakeCluster(names);
    const pending: ((version: number) => void)[] = [];
    const { topology } = start(cluster, {
      readCatalog: () => new Promise((resolve) => pending.push((version) => resolve(fakeCatalog(version)))),
    });
    await eventually('a reading', () => pending.length === 1);
    expect(topology.catalog()).toBeUndefined();
    // The change comes while it is being read: this reading does not count.
    topology.catalogChanged();
    topology.catalogChanged();
    pending[0]!(1);
    await eventually('a second reading', () => pending.length === 2);
    expect(topology.catalog()).toBeUndefined();
    pending[1]!(2);
    await eventually('a catalog', () => topology.catalog() !== undefined);
    expect(topology.catalog()?.version).toBe(2);
    topology.catalogChanged();
    expect(topology.catalog()).toBeUndefined();
    await eventually('a third reading', () => pending.length === 3);
    pending[2]!(3);
    await eventually('a catalog', () => topology.catalog()?.version === 3);
    expect(pending).toHaveLength(3);
  });

  it('is read again when its fingerprint differs', async () => {
    let fingerprint = 'a';
    let version = 0;
    const { topology } = start(fakeCluster(names), {
      readCatalog: () => Promise.resolve(fakeCatalog(++version)),
      catalogFingerprint: () => Promise.resolve(fingerprint),
    });
    await eventually('a catalog', () => topology.catalog()?.version === 1);
    fingerprint = 'b';
    await eventually('another', () => topology.catalog()?.version === 2);
  });

  it('is tried again when reading fails', async () => {
    let attempts = 0;
    const { topology, lines } = start(fakeCluster(names), {
      readCatalog: () =>
        ++attempts < 3 ? Promise.reject(new Error('permission denied')) : Promise.resolve(fakeCatalog(attempts)),
    });
    await eventually('a catalog', () => topology.catalog()?.version === 3);
    expect(lines.filter((line) => /permission denied/.test(line.message)).length).toBeGreaterThanOrEqual(1);
  });

  it('is not read before it is known who the primary is', async () => {
    const cluster = fakeCluster(names);
    cluster.node('db1').sample = { isInRecovery: true, lsn: 1000, timeline: 1 };
    let version = 0;
    const { topology } = start(cluster, { readCatalog: () => Promise.resolve(fakeCatalog(++version)) });
    await eventually('replicas seen', () => topology.snapshot().replicas.every((node) => node.role === 'replica'));
    // Nobody knows which timeline is right without a primary: nothing is read from anywhere.
    expect(topology.catalog()).toBeUndefined();
    cluster.node('db1').sample = { isInRecovery: false, lsn: 1000, timeline: 1 };
    await eventually('a catalog', () => topology.catalog() !== undefined);
  });

  it('is read again after a promotion', async () => {
    const cluster = fakeCluster(names);
    const { topology } = start(cluster);
    await eventually('a catalog', () => isReady(topology) && topology.catalog() !== undefined);
    const before = topology.catalog()!.version;
    cluster.node('db1').down = { problem: 'gone', isStopped: true };
    cluster.node('db1').cut('gone');
    cluster.node('db2').sample = { isInRecovery: false, lsn: 2000, timeline: 2 };
    await eventually('another catalog', () => (topology.catalog()?.version ?? 0) > before);
    expect(topology.snapshot().primary?.name).toBe('db2');
  });
});

describe('without credentials', () => {
  it('knows whether the configured primary takes connections, and uses no replica', async () => {
    const { createServer } = await import('node:net');
    let knocks = 0;
    const lines: string[] = [];
    const server = createServer((socket) => {
      knocks++;
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const base = databaseConfig(1);
    const anonymous = { user: undefined, password: undefined, host: '127.0.0.1', port: address.port };
    const topology = createTopology({
      database: {
        ...base,
        primary: { ...base.primary, ...anonymous },
        replicas: base.replicas.map((node) => ({ ...node, ...anonymous })),
      },
      databaseName: 'shop',
      routing: { maxReplicaLagMs: 1000, primaryReads: 'when-needed' },
      monitorCredentials: undefined,
      tls: noTls,
      connectTimeoutMs: 1000,
      clock: systemClock,
      log: (level, _event, message) => void lines.push(`${level}: ${message}`),
      readCatalog: () => Promise.resolve(fakeCatalog(1)),
    });
    try {
      topology.start();
      await eventually('the primary', () => topology.snapshot().primary?.isUp === true);
      await eventually('the replica', () => topology.snapshot().nodes[1]?.problem?.includes('no log-in') === true);
      const [primary, replica] = topology.snapshot().nodes;
      const problem =
        /^no log-in for the monitor, .*: set "auth": {"user": "NAME"} with a line "NAME" "PASSWORD" in auth.file/;
      expect(primary!.problem).toMatch(problem);
      expect(replica).toMatchObject({ isUp: false });
      expect(replica!.problem).toMatch(problem);
      // Once, however many nodes there are and however often they are asked.
      expect(lines.filter((line) => line.includes('no log-in for the monitor'))).toHaveLength(1);
      const tick = topology.ticker.next();
      const before = knocks;
      await eventually('some probes', () => knocks > before + 2);
      expect(topology.ticker.lsnOf(tick)).toBeUndefined();
      await new Promise((resolve) => server.close(resolve));
      await eventually('its end', () => topology.snapshot().primary?.isUp === false);
    } finally {
      await topology.stop();
      server.close();
    }
  });
});

describe('nodes that come and go', () => {
  const nodes = (...which: readonly string[]) => which.map((name) => nodeConfig(name));

  it('reads from a new one when it has what the primary had, and knows the others as before', async () => {
    const cluster = fakeCluster([...names, 'db4']);
    const { topology, lines } = start(cluster);
    await eventually('everything up', () => isReady(topology));
    const before = topology.snapshot();
    cluster.node('db4').sample = { isInRecovery: true, lsn: 500, timeline: 1 };
    const connects = cluster.node('db2').connects;
    expect(topology.setNodes(nodes('db1', 'db3', 'db4', 'db2'))).toBe(true);
    expect(topology.snapshot().nodes.map((node) => node.name)).toEqual(['db1', 'db3', 'db4', 'db2']);
    const db4 = () => topology.snapshot().nodes[2]!;
    await eventually('it is up', () => db4().isUp);
    expect(db4()).toMatchObject({ isCatchingUp: true });
    cluster.node('db4').sample = { isInRecovery: true, lsn: 1000, timeline: 1 };
    await eventually('it has caught up', () => db4().isCatchingUp === false && db4().isLagging === false);
    expect(db4().slowStart).toBeLessThan(1);
    expect(topology.snapshot().epoch).toBe(before.epoch);
    expect(topology.snapshot().nodes[3]!.load).toBe(before.nodes[1]!.load);
    expect(cluster.node('db2').connects).toBe(connects);
    expect(lines.filter(({ message }) => message === 'db4 is up (replica)')).toHaveLength(1);
  });

  it('leaves one that is gone, and tells listeners', async () => {
    const cluster = fakeCluster(names);
    const { topology } = start(cluster);
    await eventually('everything up', () => isReady(topology));
    const told: string[][] = [];
    topology.onChange((snapshot) => told.push(snapshot.nodes.map((node) => node.name)));
    expect(topology.setNodes(nodes('db1', 'db3'))).toBe(true);
    expect(told).toEqual([['db1', 'db3']]);
    await eventually('no connection to it', () => cluster.node('db2').open === 0);
    cluster.node('db3').cut('lost');
    await eventually(
      'the other comes back',
      () => cluster.node('db3').connects > 1 && topology.snapshot().nodes[1]!.isUp,
    );
    expect(topology.snapshot().replicas.map((node) => node.name)).toEqual(['db3']);
  });

  it('changes a weight without a new connection', async () => {
    const cluster = fakeCluster(names);
    const { topology } = start(cluster);
    await eventually('everything up', () => isReady(topology));
    expect(topology.setNodes([nodeConfig('db1'), nodeConfig('db2', { weight: 5, zone: 'a' }), nodeConfig('db3')])).toBe(
      true,
    );
    expect(topology.snapshot().nodes[1]!.config).toMatchObject({ weight: 5, zone: 'a' });
    expect(topology.snapshot().nodes[1]!.isUp).toBe(true);
    expect(cluster.node('db2').connects).toBe(1);
  });

  it('keeps its nodes if the primary in office is not among the new ones', async () => {
    const cluster = fakeCluster(names);
    const { topology } = start(cluster);
    await eventually('everything up', () => isReady(topology));
    cluster.node('db3').sample = { isInRecovery: false, lsn: 1000, timeline: 2 };
    await eventually('a failover', () => topology.snapshot().primary?.name === 'db3');
    expect(topology.setNodes(nodes('db1', 'db2'))).toBe(false);
    expect(topology.setNodes(nodes('db1', 'db3'))).toBe(true);
    expect(topology.snapshot().primary?.name).toBe('db3');
    const tick = topology.ticker.next();
    await eventually('a tick of the new primary', () => topology.ticker.lsnOf(tick) === 1000);
  });

  it.each<[string, (node: FakeNode) => void, RegExp | undefined]>([
    ['a standby of the cluster', () => undefined, undefined],
    [
      'a standby of another',
      (node) => (node.systemId = 'B'),
      /belongs to another cluster \(system identifier B, not A\)/,
    ],
    ['a primary', (node) => (node.sample = { isInRecovery: false, lsn: 1, timeline: 1 }), /is not a standby/],
    ['one that is down', (node) => (node.down = { problem: 'cannot connect: refused', isStopped: true }), /refused/],
  ])('looks at %s before it is a node', async (_what, prepare, problem) => {
    const cluster = fakeCluster([...names, 'db4']);
    const { topology } = start(cluster);
    await eventually('everything up', () => isReady(topology));
    prepare(cluster.node('db4'));
    const tried = await topology.tryNode(nodeConfig('db4'));
    if (problem === undefined) expect(tried.problem).toBeUndefined();
    else expect(tried.problem).toMatch(problem);
    expect(topology.snapshot().nodes).toHaveLength(3);
    await eventually('no connection to it', () => cluster.node('db4').open === 0);
  });
});

describe('a single server that nobody asks about', () => {
  const single = { database: databaseConfig(0), isMonitorIdle: () => true };

  it('is up without a probe, and probed when a statement has failed', async () => {
    const cluster = fakeCluster(names);
    const { topology } = start(cluster, single);
    await eventually('the primary', () => topology.snapshot().primary?.isUp === true);
    await eventually('the catalog', () => topology.catalog() !== undefined);
    const node = cluster.node('db1');
    // The catalog is read on a connection of its own, which is closed then.
    await eventually('no connection', () => node.open === 0);
    expect(node).toMatchObject({ connects: 1, probes: 0 });
    node.down = { problem: 'refused', isStopped: true };
    topology.reportFailure('db1', 'connect', 'refused');
    await eventually('down', () => topology.snapshot().primary?.isUp === false);
    node.down = undefined;
    await eventually('up', () => topology.snapshot().primary?.isUp === true);
    expect(topology.snapshot().primary).toMatchObject({ connectionLimit: 97, timeline: 1 });
    await eventually('at rest', () => node.open === 0);
    expect(topology.snapshot().primary).toMatchObject({ isUp: true, timeline: 1 });
  });

  it('that has become a standby is no primary until it is promoted', async () => {
    const cluster = fakeCluster(names);
    const { topology } = start(cluster, single);
    await eventually('the primary', () => topology.snapshot().primary?.isUp === true);
    cluster.node('db1').sample = { isInRecovery: true, lsn: 1000, timeline: 1 };
    topology.suspectRole('db1');
    await eventually('no primary', () => topology.snapshot().primary === undefined);
    cluster.node('db1').sample = { isInRecovery: false, lsn: 1000, timeline: 2 };
    await eventually('the primary again', () => topology.snapshot().primary?.isUp === true);
    await eventually('at rest', () => cluster.node('db1').open === 0);
    expect(topology.snapshot().primary).toMatchObject({ isUp: true, timeline: 2 });
  });

  it('is probed all the time once there is another one', async () => {
    const cluster = fakeCluster(names);
    const { topology } = start(cluster, single);
    await eventually('the primary', () => topology.snapshot().primary?.isUp === true);
    expect(topology.setNodes([nodeConfig('db1'), nodeConfig('db2')])).toBe(true);
    await eventually('both', () => topology.snapshot().replicas.some(({ isUp }) => isUp));
    expect(topology.snapshot().primary?.name).toBe('db1');
    await eventually('a probe', () => cluster.node('db1').probes > 0);
  });
});
