/**
 * The topology room against real servers: roles are asked, not told; lag is measured without clocks; whatever happens
 * to a node is noticed. Breaks its own cluster, never the shared one.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { NodeConfig, TlsSide } from '../src/config/config.ts';
import { route } from '../src/routing/route.ts';
import type { RoutingFacts } from '../src/routing/types.ts';
import { catalogFingerprint, readCatalog } from '../src/catalog/read-catalog.ts';
import { createTopology } from '../src/topology/topology.ts';
import type { TopologyOptions } from '../src/topology/topology.ts';
import type { NodeState, Topology } from '../src/topology/types.ts';
import { systemClock } from '../src/util/clock.ts';
import { facts } from '../test/routing/route-fixture.ts';
import { noTls, pool } from '../test/topology/fixtures.ts';
import { CertificateAuthority, PASSWORD, startCluster, until, users } from './harness/index.ts';
import type { Cluster, PgNode } from './harness/index.ts';

const MAX_LAG_MS = 1000;
let cluster: Cluster;
let byName: ReadonlyMap<string, PgNode>;
const running: Topology[] = [];

beforeAll(async () => {
  cluster = await startCluster();
  byName = new Map(cluster.nodes.map((node) => [node.name, node]));
  await cluster.query('CREATE TABLE public.ticks (n int)');
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((topology) => topology.stop()));
});

afterAll(() => cluster.stop());

function real(name: string): PgNode {
  const node = byName.get(name);
  if (node === undefined) throw new Error(`no node ${name}`);
  return node;
}

const configOf = (node: PgNode, user: string): NodeConfig => ({
  name: node.name,
  host: node.host,
  port: node.port,
  database: 'postgres',
  user,
  password: PASSWORD,
  weight: 1,
});

function start(user: string = users.monitor, more: Partial<TopologyOptions> = {}): Topology {
  const nodes = ['primary', 'replica1', 'replica2'].map((name) => configOf(real(name), user));
  const topology = createTopology({
    database: { name: 'postgres', primary: nodes[0]!, replicas: nodes.slice(1), pool },
    databaseName: 'postgres',
    routing: { maxReplicaLagMs: MAX_LAG_MS, primaryReads: 'when-needed' },
    monitorCredentials: undefined,
    tls: noTls,
    connectTimeoutMs: 5000,
    clock: systemClock,
    log: () => undefined,
    readCatalog,
    catalogFingerprint,
    ...more,
  });
  running.push(topology);
  topology.start();
  return topology;
}

function nodeOf(topology: Topology, name: string): NodeState {
  const node = topology.snapshot().nodes.find((candidate) => candidate.name === name);
  if (node === undefined) throw new Error(`no node ${name}`);
  return node;
}

const isUsable = (node: NodeState): boolean =>
  node.role === 'replica' && node.isUp && node.isLagging === false && node.isCatchingUp === false;

const ready = (topology: Topology): Promise<unknown> =>
  until('the topology to be ready', () => {
    const { primary, replicas } = topology.snapshot();
    return primary?.isUp === true && replicas.filter(isUsable).length === 2;
  });

/** Where a thousand reads of a session go that has to see everything up to `needLsn`. */
function whereReadsGo(topology: Topology, demands: Partial<RoutingFacts>): ReadonlySet<string | undefined> {
  const picked = new Set<string | undefined>();
  const settings = { loadBalanceHosts: 'random', maxReplicaLagMs: MAX_LAG_MS, primaryReads: 'when-needed' } as const;
  for (let i = 0; i < 1000; i++) {
    const asked = facts({ nowMs: systemClock.nowMs(), ...demands });
    picked.add(route(asked, topology.snapshot(), settings, Math.random, { value: 0 }).node?.name);
  }
  return picked;
}

/** The LSN that a session must see from now on. */
async function lsnNow(topology: Topology): Promise<number> {
  const tick = topology.ticker.next();
  await until('the tick', () => topology.ticker.lsnOf(tick) !== undefined);
  return topology.ticker.lsnOf(tick)!;
}

const write = (): Promise<unknown> => cluster.query('INSERT INTO public.ticks VALUES (1)');

describe('on a healthy cluster', () => {
  test.each([users.app, users.monitor, 'postgres'])('finds roles, limits and timeline as %s', async (user) => {
    const topology = start(user);
    await ready(topology);
    const { primary, replicas, epoch } = topology.snapshot();
    expect(primary).toMatchObject({ name: 'primary', role: 'primary', timeline: 1, problem: undefined });
    expect(primary?.connectionLimit).toBe(197);
    expect(primary?.serverVersion).toContain(String(cluster.majorVersion));
    expect(replicas.map((node) => [node.name, node.timeline, node.problem])).toEqual([
      ['replica1', 1, undefined],
      ['replica2', 1, undefined],
    ]);
    expect(epoch).toBe(1);
    await until('the catalog', () => topology.catalog());
  });

  test('a session sees its own write on a replica soon after, and stays there while everything is idle', async () => {
    const topology = start();
    await ready(topology);
    await write();
    const needLsn = await lsnNow(topology);
    await until('the replicas to have it', () => topology.snapshot().replicas.every((node) => node.lsn >= needLsn));
    expect(whereReadsGo(topology, { needLsn })).toEqual(new Set(['replica1', 'replica2']));
  });

  test('a token right behind a page header is reached though nothing more is written', async () => {
    const topology = start();
    await ready(topology);
    await cluster.query('SELECT pg_switch_wal()');
    const needLsn = await lsnNow(topology);
    await until('the replicas to have it', () => topology.snapshot().replicas.every((node) => node.lsn >= needLsn));
  });

  test('the catalog follows changes made through Weir and beside it', async () => {
    const topology = start();
    await until('the catalog', () => topology.catalog());
    const find = (name: string) => topology.catalog()?.findRelation('public', name, []);
    await cluster.query('CREATE TABLE public.by_weir (n int)');
    topology.catalogChanged();
    expect(topology.catalog()).toBeUndefined();
    await until('by_weir in the catalog', () => find('by_weir'));
    await cluster.query('CREATE TABLE public.beside (n int)');
    await until('beside in the catalog', () => find('beside'));
  });
});

describe('logging in', () => {
  const side = (more: Partial<TlsSide>): TlsSide => ({ ...noTls, ...more });

  test.each(['allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const)('over TLS: %s', async (mode) => {
    const topology = start(users.tls, { tls: side({ mode, ca: cluster.caCert }) });
    await until('the primary', () => topology.snapshot().primary?.isUp);
  });

  test('refuses a server that another authority signed', async () => {
    const stranger = new CertificateAuthority(undefined, 'stranger');
    const topology = start(users.tls, { tls: side({ mode: 'verify-ca', ca: stranger.ca.cert }) });
    await until('a problem', () => /certificate|signature/i.test(nodeOf(topology, 'primary').problem ?? ''));
    expect(topology.snapshot().primary?.isUp ?? false).toBe(false);
  });

  test('says what is wrong with a password, a user, a file', async () => {
    const wrong = start(users.app, {
      database: {
        name: 'postgres',
        primary: { ...configOf(real('primary'), users.app), password: 'wrong' },
        replicas: [configOf(real('replica1'), users.reject)],
        pool,
      },
    });
    await until('the primary', () => /password authentication failed/.test(nodeOf(wrong, 'primary').problem ?? ''));
    await until('the replica', () => /pg_hba\.conf/.test(nodeOf(wrong, 'replica1').problem ?? ''));
    const noFile = start(users.app, { tls: side({ mode: 'verify-ca', ca: '/nowhere/ca.pem' }) });
    await until('the file', () => /tls\.server.*\/nowhere\/ca\.pem/.test(nodeOf(noFile, 'primary').problem ?? ''));
  });

  test('uses the log-in of the primary for a replica that has none', async () => {
    const topology = start(users.monitor, {
      database: {
        name: 'postgres',
        primary: configOf(real('primary'), users.monitor),
        replicas: [{ ...configOf(real('replica1'), ''), user: undefined, password: undefined }],
        pool,
      },
    });
    await until('the replica', () => isUsable(nodeOf(topology, 'replica1')));
  });
});

describe('when replicas are in trouble', () => {
  test('a paused replay: not for a session that wrote, and for nobody when it is too old', async () => {
    const topology = start();
    await ready(topology);
    await cluster.pauseReplay(real('replica1'));
    try {
      await write();
      const needLsn = await lsnNow(topology);
      await until('replica2', () => nodeOf(topology, 'replica2').lsn >= needLsn);
      expect(whereReadsGo(topology, { needLsn })).toEqual(new Set(['replica2']));

      await until('replica1 to be too old', () => nodeOf(topology, 'replica1').isLagging === true);
      expect(nodeOf(topology, 'replica1')).toMatchObject({ isUp: true, problem: 'lags more than max_replica_lag' });
      expect(whereReadsGo(topology, { consistency: 'eventual' })).not.toContain('replica1');
    } finally {
      await cluster.resumeReplay(real('replica1'));
    }
    await until('replica1 to be back', () => isUsable(nodeOf(topology, 'replica1')));
    expect(whereReadsGo(topology, {})).toContain('replica1');
  });

  test('kill -9: noticed by itself; back when it has what it had', async () => {
    const topology = start();
    await ready(topology);
    const before = await lsnNow(topology);
    await cluster.kill(real('replica2'));
    await until('its absence', () => !nodeOf(topology, 'replica2').isUp);
    expect(whereReadsGo(topology, {})).toEqual(new Set(['replica1']));
    await write();
    await cluster.start(real('replica2'));
    await until('its return', () => isUsable(nodeOf(topology, 'replica2')));
    expect(nodeOf(topology, 'replica2').lsn).toBeGreaterThanOrEqual(before);
    expect(nodeOf(topology, 'replica2').slowStart).toBeLessThan(1);
  });

  test('a frozen replica that keeps its connections is not waited for', async () => {
    const topology = start();
    await ready(topology);
    real('replica1').freeze();
    try {
      await until('its silence', () => nodeOf(topology, 'replica1').problem === 'does not answer probes');
      expect(nodeOf(topology, 'replica1').isUp).toBe(false);
    } finally {
      real('replica1').thaw();
    }
    await until('its return', () => isUsable(nodeOf(topology, 'replica1')));
  });

  test('stopping takes no longer because a server does not answer', async () => {
    const topology = start();
    await ready(topology);
    real('replica1').freeze();
    try {
      await topology.stop();
    } finally {
      real('replica1').thaw();
    }
    const sql = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'weir monitor'`;
    await until('no connection left', async () => (await cluster.query<{ n: number }>(sql))[0]?.n === 0);
  });
});

describe('when the primary goes', () => {
  test('reads go on, the promoted replica takes over, the other follows, the old one is not believed', async () => {
    const topology = start();
    await ready(topology);
    const oldToken = topology.ticker.next();
    const demotions: boolean[] = [];
    topology.onChange((snapshot) => demotions.push(snapshot.primary?.isUp ?? false));

    await cluster.kill(real('primary'));
    await until('its absence', () => topology.snapshot().primary?.isUp === false);
    expect(demotions).toContain(false);
    // Nothing commits while it is down, so what the replicas have does not grow old.
    const killedAt = systemClock.nowMs();
    await until('more than max_replica_lag to pass', () => systemClock.nowMs() - killedAt > MAX_LAG_MS * 1.5);
    expect(whereReadsGo(topology, {})).toEqual(new Set(['replica1', 'replica2']));

    await cluster.promote(real('replica1'));
    await until('the new primary', () => topology.snapshot().primary?.name === 'replica1');
    expect(topology.snapshot()).toMatchObject({ epoch: 2, primary: { isUp: true, timeline: 2 } });
    expect(topology.ticker.lsnOf(oldToken)).toBe(Infinity);
    await until('replica2 to follow', () => isUsable(nodeOf(topology, 'replica2')));
    await write();
    const needLsn = await lsnNow(topology);
    await until('the write on replica2', () => nodeOf(topology, 'replica2').lsn >= needLsn);
    await until('the catalog of the new primary', () => topology.catalog());

    await cluster.start(real('primary'));
    await until('the old primary to be seen', () => /stale primary/.test(nodeOf(topology, 'primary').problem ?? ''));
    expect(topology.snapshot().primary?.name).toBe('replica1');
    expect(whereReadsGo(topology, {})).toEqual(new Set(['replica2']));

    // Somebody who starts only now, with the old configuration, must not fall for it either.
    const late = start();
    await until('a primary', () => late.snapshot().primary);
    expect(late.snapshot().primary?.name).toBe('replica1');
    expect(nodeOf(late, 'primary').isUp).toBe(false);
  });
});
