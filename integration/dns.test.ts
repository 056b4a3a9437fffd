/**
 * Replicas come and go by what DNS answers while clients read and write, without a failed statement; a DNS that fails changes
 * nothing; what is of another cluster is never read.
 */
import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  askConsole,
  closeClients,
  connectPg,
  currentRun,
  DnsServer,
  linesOf,
  PASSWORD,
  startCluster,
  startClusterWithTable,
  startWeir,
  startWorkers,
  TcpRelay,
  until,
  users,
  weirConfig,
} from './harness/index.ts';
import { openTemplate } from './harness/template.ts';
import type { Cluster, PgNode, WeirConfig, WeirProcess } from './harness/index.ts';

const DATABASE = 'postgres';
const SERVICE = '_postgresql._tcp.shop.test';
let own: Cluster;
let dns: DnsServer;
let weir: WeirProcess;

beforeAll(async () => {
  own = await startClusterWithTable();
});
beforeEach(async () => {
  dns = await DnsServer.start();
  for (const node of own.replicas) dns.setAddresses(targetOf(node), ['127.0.0.1']);
});
afterEach(async () => {
  await closeClients();
  await weir.stop();
  await dns.stop();
});
afterAll(() => own.stop());

const one = (): PgNode => own.replicas[0]!;
const two = (): PgNode => own.replicas[1]!;
const targetOf = ({ name }: PgNode): string => `${name}.shop.test`;
const nodeName = (node: PgNode): string => `${targetOf(node)}:${node.port}`;
const services = (...nodes: readonly PgNode[]): void =>
  dns.setServices(
    SERVICE,
    nodes.map((node) => ({ target: targetOf(node), port: node.port })),
  );

const urlTo = (host: string, port?: number): string =>
  `postgres://${users.app}:${PASSWORD}@${host}${port === undefined ? '' : `:${port}`}/${DATABASE}`;

function configWith(entry: object, more: WeirConfig = {}): WeirConfig {
  const config = weirConfig(own, { replicas: [] }, more) as { databases: Record<string, { replicas: unknown[] }> };
  config.databases[DATABASE]!.replicas.push(entry);
  return { ...config, routing: { load_balance_hosts: 'random', dns_servers: [dns.address] } };
}

async function start(entry: object, workers = 1, more: WeirConfig = {}): Promise<void> {
  const config = configWith(entry, more);
  weir = workers > 1 ? await startWorkers(workers, config) : await startWeir(config);
}

interface NodeRow extends pg.QueryResultRow {
  readonly node: string;
  readonly state: string;
  readonly source: string;
  readonly host: string;
  readonly weight: number;
  readonly zone: string | null;
}

const nodesNow = (): Promise<NodeRow[]> => askConsole<NodeRow>(weir, 'SHOW NODES');
const foundNow = async (): Promise<string> =>
  (await nodesNow())
    .filter(({ source, state }) => source === 'dns' && state === 'up')
    .map(({ node }) => node)
    .sort()
    .join();
const problemNow = async (): Promise<string> =>
  String(
    (await askConsole<pg.QueryResultRow>(weir, 'SHOW DATABASES')).find(({ name }) => name === DATABASE)?.['problem'],
  );

/** Clients that read, write, and read in transactions until it is stopped. */
class Load {
  readonly errors: unknown[] = [];
  statements = 0;
  private isOver = false;
  private readonly loops: Promise<void>[] = [];

  async begin(clients: number): Promise<void> {
    for (let number = 0; number < clients; number++) {
      const client = await connectPg(weir.url({ database: DATABASE, user: users.app }));
      this.loops.push(this.loop(client, number));
    }
  }

  private async loop(client: pg.Client, number: number): Promise<void> {
    while (!this.isOver) {
      try {
        if (number === 0) await client.query('UPDATE t SET n = n');
        else if (number === 1) {
          await client.query('BEGIN READ ONLY');
          await client.query('SELECT n, pg_sleep(0.05) FROM t');
          await client.query('SELECT n FROM t');
          await client.query('COMMIT');
        } else if (number === 2) await client.query('SELECT n, pg_sleep(0.1) FROM t');
        else await client.query({ text: 'SELECT n + $1::int AS n FROM t', values: [number] });
        this.statements++;
      } catch (error) {
        this.errors.push(error);
        return;
      }
    }
  }

  async end(): Promise<void> {
    this.isOver = true;
    await Promise.all(this.loops);
  }
}

const clientsAt = async (node: PgNode, cluster = own, reading = '%'): Promise<number> => {
  const sql = `SELECT count(*)::int AS n FROM pg_stat_activity
    WHERE usename = $1 AND query LIKE $2 AND application_name <> 'weir monitor'`;
  return Number((await cluster.query(sql, { node, values: [users.app, reading] }))[0]?.['n']);
};
const readersAt = (node: PgNode): Promise<number> => clientsAt(node, own, 'SELECT n%');

test.each([1, 3])('replicas come and go by SRV records under load, with %i workers', async (workers) => {
  services(one());
  await start({ url: urlTo(SERVICE), dns: 'srv', zone: 'eu-1a' }, workers);
  await until('the first to be found', async () => (await foundNow()) === nodeName(one()));
  const load = new Load();
  await load.begin(9);
  await until('reads at the first', async () => (await readersAt(one())) > 0);
  const both = [one(), two()].map(nodeName).sort().join();
  for (let round = 0; round < 2; round++)
    for (const [stays, comes] of [
      [one(), two()],
      [two(), one()],
    ] as const) {
      services(one(), two());
      await until('both to be found', async () => (await foundNow()) === both);
      await until('reads at the other', async () => (await readersAt(comes)) > 0);
      const row = (await nodesNow()).find(({ node }) => node === nodeName(comes));
      expect(row).toMatchObject({ source: 'dns', host: '127.0.0.1', zone: 'eu-1a' });
      services(comes);
      await until('the first to be gone', async () => (await foundNow()) === nodeName(comes));
      await until('its connections to be closed', async () => (await clientsAt(stays)) === 0);
    }
  await load.end();
  expect(load.errors).toEqual([]);
  expect(load.statements).toBeGreaterThan(100);
  expect(linesOf(weir, 'node_added')[0]).toMatchObject({ source: 'dns', reason: 'found in DNS' });
  expect(linesOf(weir, 'node_removed')[0]).toMatchObject({ source: 'dns', reason: 'DNS does not name it any more' });
  expect(await problemNow()).toBe('null');
});

test('each address is a replica, and one server with two addresses is one', async () => {
  const first = await TcpRelay.start(one(), { host: '127.0.0.2' });
  const second = await TcpRelay.start(two(), { host: '127.0.0.3', port: first.port });
  const twin = await TcpRelay.start(two(), { host: '127.0.0.4', port: first.port });
  try {
    dns.setAddresses('replicas.test', ['127.0.0.2', '127.0.0.3']);
    await start({ url: urlTo('replicas.test', first.port), dns: 'a', weight: 3, name: 'r' });
    await until('both to be found', async () => (await foundNow()) === 'r-127.0.0.2,r-127.0.0.3');
    expect((await nodesNow()).filter(({ source }) => source === 'dns').map(({ weight }) => weight)).toEqual([3, 3]);
    const load = new Load();
    await load.begin(6);
    await until('reads at both', async () => (await readersAt(one())) > 0 && (await readersAt(two())) > 0);
    const before = twin.accepted;
    dns.setAddresses('replicas.test', ['127.0.0.2', '127.0.0.3', '127.0.0.4']);
    await until('the twin to be looked at', () => twin.accepted > before && twin.connections === 0);
    expect(await foundNow()).toBe('r-127.0.0.2,r-127.0.0.3');
    expect(await problemNow()).toBe('null');
    // Its first address goes: it is the second now.
    dns.setAddresses('replicas.test', ['127.0.0.2', '127.0.0.4']);
    await until('the twin to be one', async () => (await foundNow()) === 'r-127.0.0.2,r-127.0.0.4');
    await load.end();
    expect(load.errors).toEqual([]);
  } finally {
    await closeClients();
    for (const relay of [first, second, twin]) await relay.stop();
  }
});

test('a DNS that fails, or names nothing any more, changes nothing, and is said once', async () => {
  services(one(), two());
  const both = [one(), two()].map(nodeName).sort().join();
  await start({ url: urlTo(SERVICE), dns: 'srv' });
  // Without waiting for 30 s: another list of servers is asked at once.
  const lookAgain = (): Promise<unknown> =>
    askConsole(weir, `SET routing.dns_servers = '${dns.address},${dns.address}'`);
  const lookOnce = (): Promise<unknown> => askConsole(weir, `SET routing.dns_servers = '${dns.address}'`);
  await until('both to be found', async () => (await foundNow()) === both);
  const load = new Load();
  await load.begin(6);
  dns.mood = 'servfail';
  await lookAgain();
  await until('it is shown', async () => (await problemNow()).includes(`${SERVICE} in DNS: the DNS server failed`));
  dns.mood = 'answer';
  dns.setServices(SERVICE, []);
  await until('the other problem is shown', async () => (await problemNow()).includes('it has no SRV record'));
  expect(await problemNow()).toMatch(/its last answer is kept$/);
  dns.mood = 'silent';
  await until('silence is shown', async () => (await problemNow()).includes('no DNS server answers in time'));
  expect(await foundNow()).toBe(both);
  expect((await weir.http('/readyz')).status).toBe(200);
  expect(linesOf(weir, 'dns')).toHaveLength(1);
  dns.mood = 'answer';
  services(one(), two());
  await lookOnce();
  await until('it is well again', async () => (await problemNow()) === 'null');
  await load.end();
  expect(load.errors).toEqual([]);
  expect(linesOf(weir, 'dns').map(({ level }) => level)).toEqual(['warn', 'info']);
  expect(linesOf(weir, 'node_removed')).toEqual([]);
});

test('without an answer at the start, the database works with what it has, and finds them later', async () => {
  dns.mood = 'silent';
  await start({ url: urlTo(SERVICE), dns: 'srv' });
  const client = await connectPg(weir.url({ database: DATABASE, user: users.app }));
  expect((await client.query<{ n: number }>('SELECT n FROM t')).rows).toEqual([{ n: 1 }]);
  await until('it is shown', async () => (await problemNow()).includes('there are no replicas of it yet'));
  services(one());
  dns.mood = 'answer';
  await until('it is found', async () => (await foundNow()) === nodeName(one()));
  await until('it serves reads', async () => {
    await client.query('SELECT n FROM t');
    return (await readersAt(one())) > 0;
  });
});

test('a server of another cluster and the primary are never used as replicas', async () => {
  const bin = dirname(openTemplate(currentRun()).binaries.postgres);
  const other = await startCluster({ replicas: 1, bin });
  try {
    const foreign = other.replicas[0]!;
    dns.setAddresses('foreign.test', ['127.0.0.1']);
    dns.setAddresses('primary.test', ['127.0.0.1']);
    dns.setServices(SERVICE, [
      { target: targetOf(one()), port: one().port },
      { target: 'foreign.test', port: foreign.port },
      { target: 'primary.test', port: own.primary.port },
    ]);
    await start({ url: urlTo(SERVICE), dns: 'srv' });
    await until('the good one to be found', async () => (await foundNow()) === nodeName(one()));
    await until('the bad one to be said', async () => (await problemNow()).includes('belongs to another cluster'));
    expect(await problemNow()).toContain(`found 127.0.0.1:${foreign.port} in DNS, which is not used`);
    expect(await problemNow()).not.toContain(String(own.primary.port));
    const client = await connectPg(weir.url({ database: DATABASE, user: users.app }));
    for (let round = 0; round < 50; round++) await client.query('SELECT n FROM t');
    expect(await clientsAt(foreign, other, 'SELECT n%')).toBe(0);
    expect((await nodesNow()).map(({ node }) => node).sort()).toEqual(['primary', nodeName(one())].sort());
    // A reload without the entry takes its replicas away, another weight stays in place.
    weir.rewriteConfig(await rewritten({ url: urlTo(SERVICE), dns: 'srv', weight: 5 }));
    await askConsole(weir, 'RELOAD');
    expect((await nodesNow()).find(({ source }) => source === 'dns')).toMatchObject({ weight: 5, state: 'up' });
    expect(linesOf(weir, 'node_removed')).toEqual([]);
    weir.rewriteConfig(await rewritten(undefined));
    await askConsole(weir, 'RELOAD');
    expect((await nodesNow()).map(({ node }) => node)).toEqual(['primary']);
  } finally {
    await closeClients();
    await other.stop();
  }
});

test('verify-full checks the certificate for the name, not for the address', async () => {
  // The certificates of the servers are for localhost and 127.0.0.1.
  const relay = await TcpRelay.start(one(), { host: '127.0.0.2' });
  const ca = join(currentRun().dir, 'dns-ca.pem');
  writeFileSync(ca, own.caCert);
  try {
    for (const name of ['localhost', 'other.test']) dns.setAddresses(name, ['127.0.0.2']);
    const more = { tls: { server: { mode: 'verify-full', ca } } };
    await start({ url: urlTo('other.test', relay.port), dns: 'a' }, 1, more);
    await until('it to be refused', async () => (await problemNow()).includes("does not match certificate's altnames"));
    weir.rewriteConfig(await rewritten({ url: urlTo('localhost', relay.port), dns: 'a' }));
    await askConsole(weir, 'RELOAD');
    await until('it to be found', async () => (await foundNow()) === 'localhost-127.0.0.2');
    const client = await connectPg(weir.url({ database: DATABASE, user: users.app }));
    await until('reads there', async () => {
      await client.query('SELECT n FROM t');
      return (await readersAt(one())) > 0;
    });
    const sql = `SELECT bool_and(s.ssl) AS is_encrypted FROM pg_stat_ssl AS s JOIN pg_stat_activity AS a USING (pid)
      WHERE a.usename = $1`;
    expect(await own.query(sql, { node: one(), values: [users.app] })).toEqual([{ is_encrypted: true }]);
    expect(await problemNow()).toBe('null');
  } finally {
    await closeClients();
    await relay.stop();
  }
});

async function rewritten(entry: object | undefined): Promise<WeirConfig> {
  const before = JSON.parse(await readFile(weir.configFile, 'utf8')) as WeirConfig;
  const databases = before['databases'] as Record<string, object>;
  const replicas = entry === undefined ? [] : [entry];
  return { ...before, databases: { [DATABASE]: { ...databases[DATABASE], replicas } } };
}
