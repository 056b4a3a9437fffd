/** Nodes as the configuration writes them: URLs, the object form, names. */
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { parseNodeUrl } from '../../src/config/node-url.ts';
import { listSettings } from '../../src/config/show.ts';

function load(databases: unknown): ReturnType<typeof loadConfig> {
  return loadConfig({ text: JSON.stringify({ auth: { type: 'trust' }, databases }), env: {} });
}

function problem(databases: unknown): string {
  const result = load(databases);
  return 'problems' in result ? result.problems.join('\n') : '';
}

describe('node URLs', () => {
  it.each([
    ['postgres://db1', { host: 'db1', port: 5432, database: undefined, user: undefined, password: undefined }],
    ['postgresql://db1:5433/shop', { host: 'db1', port: 5433, database: 'shop' }],
    ['postgres://app:p%40ss%3A%2F%23%25@db1/shop', { user: 'app', password: 'p@ss:/#%' }],
    ['postgres://app@db1', { user: 'app', password: undefined }],
    ['postgres://app:@db1', { user: 'app', password: undefined }],
    ['postgres://[::1]:5433/shop', { host: '::1', port: 5433 }],
    ['postgres://[2001:db8::7]', { host: '2001:db8::7', port: 5432 }],
    ['postgres://10.0.0.1/a%2Fb', { host: '10.0.0.1', database: 'a/b' }],
    [
      'postgres:///shop?host=/run/postgresql',
      { host: '/run/postgresql', port: 5432, database: 'shop', user: undefined },
    ],
    ['postgres:///shop?host=%2Frun&port=5433', { host: '/run', port: 5433 }],
    ['postgres://%2Frun%2Fpg:5433/shop', { host: '/run/pg', port: 5433 }],
    ['postgres://app:p%40w@/shop?host=/run', { host: '/run', user: 'app', password: 'p@w' }],
    ['postgres://db1/%C3%BCber', { database: 'über' }],
    ['  postgres://DB1.Example.com/shop  ', { host: 'DB1.Example.com' }],
  ])('%s', (url, expected) => {
    expect(parseNodeUrl(url)).toMatchObject({ node: expected });
  });

  it.each([
    ['db1:5432', 'postgres://'],
    ['', 'is not a URL'],
    ['postgres://', 'names no host'],
    ['postgres:///shop', 'names no host'],
    ['http://db1', 'is not a postgres:// URL'],
    ['postgres://db1:0/shop', 'port'],
    ['postgres://db1:70000/shop', 'is not a URL'],
    ['postgres://db1,db2/shop', 'several hosts'],
    ['postgres://app:pw@/shop', 'names no host'],
    ['postgres:///shop?host=db1', 'has the parameter host'],
    ['postgres://db1/shop?host=/run', 'has the parameter host'],
    ['postgres:///shop?host=/run&sslmode=require', 'has the parameter host, sslmode'],
    ['postgres:///shop?host=/run&host=/tmp', 'has the parameter host, host'],
    ['postgres:///shop?host=/run&port=70000', 'a port that is not from 1 to 65535'],
    ['postgres:///shop?host=/run&port=x', 'a port that is not from 1 to 65535'],
    [`postgres:///shop?host=/${'x'.repeat(100)}`, 'too long for a Unix socket'],
    ['postgres://db1/shop?sslmode=require&x=1', 'has the parameter sslmode:'],
    ['postgres://db1/shop?', ''],
    ['postgres://db1/a/b', 'more than a database name'],
    ['postgres://app:100%@db1/shop', 'has a %'],
    ['postgres://:pw@db1/shop', 'a password but no user'],
    ['postgres://db1/sh#op', 'has a # in it'],
    ['postgres://app:p#w@db1/shop', '%23'],
  ])('%s is refused or harmless', (url, expected) => {
    const parsed = parseNodeUrl(url);
    if (expected === '') expect(parsed).toHaveProperty('node');
    else expect('refused' in parsed ? parsed.refused : '').toContain(expected);
  });
});

describe('databases', () => {
  it('take both forms of nodes, their pool settings, and give nodes names', () => {
    const result = load({
      shop: {
        primary: 'postgres://app:pw@db1:5432/shop',
        replicas: [
          'postgres://db2',
          { url: 'postgres://db3', weight: 2, name: 'third' },
          { url: 'postgres://db1:5433' },
        ],
        pool_mode: 'session',
        query_wait_timeout: '5s',
      },
      '*': { primary: 'postgres://db1' },
    });
    if (!('config' in result)) throw new Error(result.problems.join('\n'));
    const shop = result.config.databases.get('shop');
    const nodes = shop === undefined ? [] : [shop.primary, ...shop.replicas];
    expect(nodes.map((node) => [node.name, node.weight, node.database])).toEqual([
      ['db1:5432', 1, 'shop'],
      ['db2', 1, 'shop'],
      ['third', 2, 'shop'],
      ['db1:5433', 1, 'shop'],
    ]);
    expect(shop?.pool).toMatchObject({ poolMode: 'session', queryWaitTimeoutMs: 5_000, maxPoolSize: 100 });
    expect(result.config.databases.get('*')?.primary.database).toBeUndefined();
  });

  it('a database without a path in its URL is the one of its name', () => {
    const result = load({ shop: { primary: 'postgres://db1' } });
    expect('config' in result ? result.config.databases.get('shop')?.primary.database : '').toBe('shop');
  });

  it('names that look like properties of objects are just names', () => {
    const text =
      'auth: { type: trust }\ndatabases:\n  __proto__: { primary: postgres://db1 }\n  constructor: { primary: postgres://db1 }';
    const result = loadConfig({ text, env: {} });
    expect('config' in result ? [...result.config.databases.keys()] : result.problems).toEqual([
      '__proto__',
      'constructor',
    ]);
  });

  it.each([
    [{ weir: { primary: 'postgres://db1' } }, 'databases.weir: is the name of the admin console'],
    [{ pgbouncer: { primary: 'postgres://db1' } }, 'databases.pgbouncer: is the name of the admin console'],
    [{ shop: 'postgres://db1' }, 'databases.shop: "postgres://db1" is not a map: write { primary: URL }'],
    [{ shop: null }, 'databases.shop: has no primary'],
    [{ shop: { replicas: [] } }, 'databases.shop: has no primary'],
    [['postgres://db1'], 'databases: a list of 1 is not a map'],
    [
      { shop: { primary: 'postgres://db1', replicas: 'postgres://db2' } },
      'databases.shop.replicas: "postgres://db2" is not a list',
    ],
    [{ shop: { primary: 5 } }, 'databases.shop.primary: 5 is not a URL'],
    [{ shop: { primary: { weight: 1 } } }, 'has no url'],
    [
      { shop: { primary: { url: 'postgres://db1', wieght: 2 } } },
      'unknown key "wieght"; the nearest known key is weight',
    ],
    [{ shop: { primary: { url: 'postgres://db1', weight: 0 } } }, 'weight that is not a number above 0'],
    [{ shop: { primary: { url: 'postgres://db1', zone: 'eu 1' } } }, 'has a zone that is not a text'],
    [{ shop: { primary: { url: 'postgres://db1', weight: '2' } } }, 'weight that is not a number above 0'],
    [{ shop: { primary: { url: 'postgres://db1', name: 'a b' } } }, 'name that is not a text'],
    [{ shop: { primary: 'postgres://db1', replicas: ['postgres://db1:5432'] } }, 'the node db1:5432 is named twice'],
    [
      { shop: { primary: { url: 'postgres://db1', name: 'x' }, replicas: [{ url: 'postgres://db2', name: 'x' }] } },
      'the name x is given to both db1:5432 and db2:5432',
    ],
    [
      { shop: { primary: 'postgres://db1/a', replicas: ['postgres://db2/b'] } },
      'has another database than its primary',
    ],
    [{ shop: { primary: 'postgres://db1', pool_mod: 'x' } }, 'nearest known key is databases.shop.pool_mode'],
    [{ shop: { primary: 'postgres://db1', log: 'x' } }, 'databases.shop.log: unknown key'],
    [{ shop: { primary: 'postgres://db1', max_client_conn: 5 } }, 'it can only be set for all databases'],
    [{ shop: { primary: 'postgres://db1', pool_mode: 5 } }, 'databases.shop.pool_mode: 5 is not allowed'],
    [{ ['x'.repeat(64)]: { primary: 'postgres://db1' } }, 'is not a name of 1 to 63 characters'],
  ])('%j', (databases, expected) => {
    expect(problem(databases)).toContain(expected);
  });

  it('a problem with a replica names which one and its line', () => {
    const text =
      'databases:\n  shop:\n    primary: postgres://db1\n    replicas:\n      - postgres://db2\n      - postgres://db3?x=1\n';
    const result = loadConfig({ text, file: 'weir.yaml', env: {} });
    expect('problems' in result ? result.problems[0] : '').toMatch(/^weir\.yaml:6: databases\.shop\.replicas\.1: /);
  });
});

describe('replicas found in DNS', () => {
  const shop = (...replicas: unknown[]): unknown => ({ shop: { primary: 'postgres://app:pw@db1/shop', replicas } });

  it('stand beside those that have a node of their own', () => {
    const result = load(
      shop({ url: 'postgres://app:pw@Replicas.example.com:5433', dns: 'a', zone: 'eu-1a' }, 'postgres://db2', {
        url: 'postgres://_postgresql._tcp.example.com/shop',
        dns: 'srv',
        weight: 2,
        name: 'r',
      }),
    );
    if ('problems' in result) throw new Error(result.problems.join());
    const { replicas, dns } = result.config.databases.get('shop')!;
    expect(replicas.map(({ name }) => name)).toEqual(['db2']);
    expect(dns).toEqual([
      {
        ...{ kind: 'a', host: 'replicas.example.com', port: 5433, name: undefined, weight: undefined, zone: 'eu-1a' },
        ...{ database: 'shop', user: 'app', password: 'pw' },
      },
      expect.objectContaining({ kind: 'srv', host: '_postgresql._tcp.example.com', weight: 2, name: 'r' }),
    ]);
    const row = listSettings(result.config).find(({ key }) => key === 'databases.shop.replicas');
    expect(row?.value).toBe(
      '[postgres://db2:5432/shop, { url: postgres://app:***@replicas.example.com:5433/shop, dns: a }, ' +
        '{ url: postgres://_postgresql._tcp.example.com/shop, dns: srv }]',
    );
  });

  it.each([
    [{ url: 'postgres://r.test', dns: 'mx' }, 'has a dns that is neither a (addresses: A and AAAA) nor srv'],
    [{ url: 'postgres://10.0.0.1', dns: 'a' }, 'names no host of DNS'],
    [{ url: 'postgres://[::1]', dns: 'a' }, 'names no host of DNS'],
    [{ url: 'postgres:///shop?host=/run', dns: 'a' }, 'names no host of DNS'],
    [{ url: `postgres://${'x'.repeat(64)}.test`, dns: 'a' }, 'names no host of DNS'],
    [{ url: 'postgres://_pg._tcp.test:5432', dns: 'srv' }, 'has a port in its URL'],
    [{ url: 'postgres://r.test/other', dns: 'a' }, 'has another database than its primary'],
    [{ dns: 'a' }, 'has no url'],
    [{ url: 'postgres://r.test', dns: 'a', wait: 1 }, 'unknown key "wait"'],
    [{ url: 'postgres://r.test', dns: 'a', weight: -1 }, 'weight that is not a number above 0'],
  ])('%j is refused', (entry, expected) => {
    expect(problem(shop(entry))).toContain(expected);
    expect(problem(shop(entry))).toContain('databases.shop.replicas.0');
  });

  it('a name is there once, and the primary has none', () => {
    const entry = { url: 'postgres://r.test', dns: 'a' };
    expect(problem(shop(entry, { ...entry, name: 'r', weight: 2 }))).toContain('is the same name in DNS as another');
    expect(problem({ shop: { primary: entry } })).toContain('has dns: only an entry of replicas');
  });
});

describe('routing.dns_servers', () => {
  const servers = (value: unknown): unknown => {
    const text = JSON.stringify({ auth: { type: 'trust' }, databases: { shop: { primary: 'postgres://db1' } } });
    const env = typeof value === 'string' ? { WEIR_ROUTING_DNS_SERVERS: value } : {};
    const routing = typeof value === 'string' ? {} : { routing: { dns_servers: value } };
    const result = loadConfig({ text: JSON.stringify({ ...(JSON.parse(text) as object), ...routing }), env });
    return 'config' in result ? result.config.routing.dnsServers : result.problems.join();
  };

  it.each([
    [[], []],
    [
      ['10.0.0.2', '10.0.0.3:5353', '[fd00::2]:53', 'fd00::2'],
      ['10.0.0.2', '10.0.0.3:5353', '[fd00::2]:53', 'fd00::2'],
    ],
    ['10.0.0.2,10.0.0.3:5353', ['10.0.0.2', '10.0.0.3:5353']],
    ['[::1]:53', ['[::1]:53']],
  ])('%j', (value, expected) => {
    expect(servers(value)).toEqual(expected);
  });

  it.each([[['dns.example.com']], [['10.0.0.2:0']], [['10.0.0.256']], [Array(9).fill('10.0.0.2')], ['x']])(
    '%j is refused',
    (value) => {
      expect(servers(value)).toContain('is not a list of at most 8 addresses of DNS servers');
    },
  );
});
