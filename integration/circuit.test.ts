/**
 * The circuit breaker of each node: open while the node is down or its connections fail, half-open for a few, closed again; what
 * a statement itself is to blame for never opens it. Stops and breaks its own cluster.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  askConsole,
  closeClients,
  connectPg,
  connectToEach,
  lastRoute,
  linesOf,
  startClusterWithTable,
  startWeir,
  TcpRelay,
  until,
  weirConfig,
} from './harness/index.ts';
import type { Cluster, WeirProcess } from './harness/index.ts';

let own: Cluster;
let relays: { primary: TcpRelay; replica1: TcpRelay };
let weir: WeirProcess;

beforeAll(async () => {
  own = await startClusterWithTable();
});

beforeEach(async () => {
  relays = { primary: await TcpRelay.start(own.primary), replica1: await TcpRelay.start(own.replicas[0]!) };
});

afterEach(async () => {
  await closeClients();
  await weir.stop();
  await Promise.all([relays.primary.stop(), relays.replica1.stop()]);
});
afterAll(() => own.stop());

async function start(
  replicas: number,
  more: Record<string, unknown> = {},
  primary: { port: number } = relays.primary,
): Promise<void> {
  const nodes = [{ name: 'replica1', port: relays.replica1.port }, own.replicas[1]!].slice(0, replicas);
  // Nobody waits that long: an error that comes is one that came at once.
  const settings = { query_wait_timeout: '10m', server_login_retry: '20ms', ...more };
  weir = await startWeir(weirConfig(own, { primary: { port: primary.port }, replicas: nodes }, settings));
  await until('all nodes to be up', async () =>
    (await nodesNow()).every(({ state, lag_ms }) => state === 'up' && lag_ms !== null),
  );
}

interface NodeRow {
  readonly node: string;
  readonly state: string;
  readonly lag_ms: number | null;
  readonly circuit: string;
  readonly circuit_reason: string | null;
}

const nodesNow = (): Promise<NodeRow[]> => askConsole<NodeRow & Record<string, unknown>>(weir, 'SHOW NODES');

async function circuitOf(node: string): Promise<NodeRow> {
  const row = (await nodesNow()).find((each) => each.node === node);
  if (row === undefined) throw new Error(`no node ${node}`);
  return row;
}

/** The sum of the samples whose labels contain these. */
async function metric(name: string, labels: Record<string, string>): Promise<number> {
  const body = await (await fetch(`http://127.0.0.1:${weir.httpPort}/metrics`)).text();
  let total = 0;
  for (const line of body.split('\n')) {
    if (!line.startsWith(`${name}{`)) continue;
    if (Object.entries(labels).every(([key, value]) => line.includes(`${key}="${value}"`)))
      total += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return total;
}

const isState = (node: string, state: string): Promise<number> => metric('weir_node_circuit', { node, state });

test('errors of statements never open it, nor servers that an administrator ends', async () => {
  await start(2);
  const client = await connectPg(weir.url());
  for (let i = 0; i < 30; i++) {
    await expect(client.query('SELEC 1')).rejects.toMatchObject({ code: '42601' });
    await expect(client.query('INSERT INTO t VALUES (1)')).rejects.toMatchObject({ code: '23505' });
    await expect(client.query('SELECT pg_cancel_backend(pg_backend_pid())')).rejects.toMatchObject({ code: '57014' });
    await expect(client.query('SELECT pg_terminate_backend(pg_backend_pid())')).rejects.toMatchObject({
      code: '57P01',
    });
  }
  expect((await nodesNow()).map(({ circuit }) => circuit)).toEqual(['closed', 'closed', 'closed']);
  expect(await isState('primary', 'closed')).toBe(1);
  expect(await isState('primary', 'open')).toBe(0);
  expect(linesOf(weir, 'circuit')).toEqual([]);
});

test('a replica that is stopped (SIGSTOP): reads go elsewhere, then a few of them close it again', async () => {
  await start(2);
  // Each worker has a circuit of its own.
  const clients = await connectToEach(() => connectPg(weir.url()));
  for (const client of clients) {
    await until('reads to go to replicas', async () => {
      await client.query('SELECT n FROM t');
      return (await lastRoute(client)).startsWith('replica');
    });
  }
  const frozen = own.replicas[1]!;
  frozen.freeze();
  try {
    await until('the circuit to open', async () => (await circuitOf('replica2')).circuit === 'open');
    expect((await circuitOf('replica2')).circuit_reason).toBe('does not answer probes');
    expect(await isState('replica2', 'open')).toBe(1);
    const before = await metric('weir_queries_total', { route: 'replica', result: 'ok' });
    for (const client of clients)
      for (let i = 0; i < 20; i++) expect((await client.query('SELECT n FROM t')).rows).toEqual([{ n: 1 }]);
    const after = await metric('weir_queries_total', { route: 'replica', result: 'ok' });
    expect(after).toBeGreaterThanOrEqual(before + 20 * clients.length);
  } finally {
    frozen.thaw();
  }
  await until('reads to close it', async () => {
    for (const client of clients) await client.query('SELECT n FROM t');
    return (await circuitOf('replica2')).circuit === 'closed';
  });
  const states = linesOf(weir, 'circuit')
    .filter(({ node }) => node === 'replica2')
    .map(({ circuit }) => circuit);
  expect(states).toEqual(expect.arrayContaining(['open', 'half-open', 'closed']));
  expect(linesOf(weir, 'circuit').every(({ reason }) => typeof reason === 'string' && reason !== '')).toBe(true);
});

test('a replica whose new connections are reset while its probes are answered: no read fails, none goes there', async () => {
  await start(1);
  relays.replica1.setMode('refuse');
  const client = await connectPg(weir.url());
  await until('the circuit to open', async () => {
    expect((await client.query('SELECT n FROM t')).rows).toEqual([{ n: 1 }]);
    return (await circuitOf('replica1')).circuit === 'open';
  });
  expect(await circuitOf('replica1')).toMatchObject({ state: 'ejected' });
  expect((await circuitOf('replica1')).circuit_reason).toMatch(/transport failures? in a row/);
  expect(await metric('weir_node_ejections_total', { reason: 'connect' })).toBeGreaterThanOrEqual(1);
  const before = await metric('weir_queries_total', { route: 'primary', result: 'ok' });
  for (let i = 0; i < 10; i++) await client.query('SELECT n FROM t');
  expect(await metric('weir_queries_total', { route: 'primary', result: 'ok' })).toBeGreaterThanOrEqual(before + 10);
  const lines = linesOf(weir, 'circuit');
  expect(lines.find(({ node, circuit }) => node === 'replica1' && circuit === 'open')).toMatchObject({ level: 'warn' });
});

test('reads that only replicas may take get 57P03 at once while the circuit of each is open', async () => {
  await start(1, { routing: { primary_reads: 'never', failover_wait: 0 } });
  const client = await connectPg(weir.url());
  await client.query('SELECT n FROM t');
  relays.replica1.setMode('refuse');
  relays.replica1.reset();
  await until('the circuit to open', async () => (await circuitOf('replica1')).circuit === 'open');
  await expect(client.query('SELECT n FROM t')).rejects.toMatchObject({
    code: '57P03',
    message: expect.stringContaining('its circuit has been open for longer than routing.failover_wait') as string,
  });
  relays.replica1.pass();
  await until('the read to be answered', () =>
    client.query('SELECT n FROM t').then(
      () => true,
      () => false,
    ),
  );
});

test('the only primary: a write fails at once while log-ins fail, and trials close the circuit', async () => {
  await start(0);
  const client = await connectPg(weir.url());
  await client.query('UPDATE t SET n = n');
  await askConsole(weir, 'RECONNECT');
  await until('its servers to be closed', async () => {
    const servers = await askConsole(weir, 'SHOW SERVERS');
    return servers.length === 0;
  });
  relays.primary.setMode('refuse');
  await expect(client.query('UPDATE t SET n = n')).rejects.toMatchObject({
    code: '57P03',
    message: expect.stringMatching(/circuit of primary primary is .*although it answers probes/) as string,
  });
  expect(linesOf(weir, 'circuit')[0]).toMatchObject({ node: 'primary', circuit: 'open', level: 'warn' });
  relays.primary.pass();
  await until('the writes to succeed', () =>
    client.query('UPDATE t SET n = n').then(
      () => true,
      () => false,
    ),
  );
  await until('the circuit to be closed', async () => {
    await client.query('UPDATE t SET n = n');
    return (await isState('primary', 'closed')) === 1;
  });
});

test.each([
  ['without a replica it is refused at once', 0],
  ['with one it comes in, and reads', 1],
])('the first client of a user while the circuit of the primary is open: %s', async (_, replicas) => {
  await start(replicas);
  const client = await connectPg(weir.url());
  await client.query('UPDATE t SET n = n');
  // What servers report is forgotten, too.
  await askConsole(weir, 'RECONNECT');
  relays.primary.setMode('refuse');
  await expect(client.query('UPDATE t SET n = n')).rejects.toMatchObject({ code: '57P03' });
  if (replicas === 0) {
    const refused = { code: '57P03', message: expect.stringMatching(/circuit of primary primary is/) as string };
    for (let i = 0; i < 3; i++) await expect(connectPg(weir.url())).rejects.toMatchObject(refused);
  } else {
    const late = await connectPg(weir.url());
    expect((await late.query('/* weir: route=replica */ SELECT n FROM t')).rows).toEqual([{ n: 1 }]);
  }
});

test('a primary that is down: writes wait for failover_wait, later ones fail at once; reads go on', async () => {
  await start(2, { routing: { failover_wait: '1s' } }, own.primary);
  const client = await connectPg(weir.url());
  // A session that has last read on the primary must not see older data, and would wait for it.
  await until('reads to go to replicas', async () => {
    await client.query('SELECT n FROM t');
    return (await lastRoute(client)).startsWith('replica');
  });
  await own.kill(own.primary);
  try {
    await until('the circuit to open', async () => (await circuitOf('primary')).circuit === 'open');
    for (let i = 0; i < 3; i++)
      await expect(client.query('UPDATE t SET n = n')).rejects.toMatchObject({
        code: '57P03',
        message: expect.stringContaining('routing.failover_wait (1000 ms)') as string,
      });
    expect((await circuitOf('primary')).circuit).toBe('open');
    expect((await client.query('SELECT n FROM t')).rows).toEqual([{ n: 1 }]);
  } finally {
    await own.start(own.primary);
  }
  await until('the write to succeed', () =>
    client.query('UPDATE t SET n = n').then(
      () => true,
      () => false,
    ),
  );
  expect(await isState('primary', 'closed')).toBe(1);
});
