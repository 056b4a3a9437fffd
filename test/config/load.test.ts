/** From text, environment and flags to a checked configuration, and the messages on the way there. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import type { LoadSource } from '../../src/config/load.ts';
import { loadConfig } from '../../src/config/load.ts';
import { CertificateAuthority } from '../../integration/harness/certs.ts';

const database = '"*": { primary: postgres://db1:5432 }';
const withDatabase = (text: string): string => `${text}\ndatabases: { ${database} }\n`;

function load(text: string, rest: Partial<LoadSource> = {}): Config {
  const result = loadConfig({ text, env: {}, ...rest });
  if ('problems' in result) throw new Error(result.problems.join('\n'));
  return result.config;
}

function problems(text: string, rest: Partial<LoadSource> = {}): readonly string[] {
  const result = loadConfig({ text, env: {}, ...rest });
  return 'problems' in result ? result.problems : [];
}

function onlyProblem(text: string, rest: Partial<LoadSource> = {}): string {
  const found = problems(text, rest);
  expect(found).toHaveLength(1);
  return found[0] ?? '';
}

describe('defaults', () => {
  // docs/settings.md has every default, those of new settings too: test/config/files.test.ts compares it with the table.
  it('are those of the interface', () => {
    const config = load(withDatabase(''));
    expect(config.listen).toEqual({ host: '127.0.0.1', port: 6432 });
    expect(config.http).toEqual({ host: '127.0.0.1', port: 9432 });
    expect(config.maxClientConn).toBe(10_000);
    expect(config.pool).toMatchObject({
      poolMode: 'transaction',
      defaultPoolSize: 20,
      minPoolSize: 0,
      maxPoolSize: 100,
      maxDbConnections: 0,
      queryWaitTimeoutMs: 30_000,
      serverLifetimeMs: 3_600_000,
      serverIdleTimeoutMs: 600_000,
      serverRoundRobin: false,
      serverConnectTimeoutMs: 5_000,
      serverLoginRetryMs: 1_000,
      clientIdleTimeoutMs: 0,
      idleTransactionTimeoutMs: 0,
      maxPreparedStatements: 500,
    });
    expect(config.auth).toMatchObject({
      type: 'scram-sha-256',
      file: undefined,
      hbaFile: undefined,
      identFile: undefined,
      query: undefined,
      user: undefined,
      dbname: undefined,
      adminUsers: ['weir'],
      statsUsers: [],
    });
    expect(config.cache).toMatchObject({
      enabled: false,
      mode: 'session',
      ttlMs: 60_000,
      maxMemoryBytes: 128 * 1024 * 1024,
      maxEntrySizeBytes: 256 * 1024,
      redis: undefined,
      leaseMs: 1_000,
      memberTimeoutMs: 60_000,
      tables: [],
    });
    expect(config.routing).toMatchObject({
      loadBalanceHosts: 'least-load',
      maxReplicaLagMs: 1_000,
      consistency: 'session',
      readOnlyFunctions: [],
      primaryReads: 'when-needed',
    });
    expect(config.resize).toMatchObject({ enabled: true, targetWaitMs: 10, shrinkAfterMs: 300_000 });
    expect(config.log).toMatchObject({ level: 'info', format: 'json' });
  });

  it('an empty section and a section of comments change nothing', () => {
    expect(load(withDatabase('cache:\nlog: {}'))).toEqual(load(withDatabase('')));
  });

  it('JSON is YAML', () => {
    const text = JSON.stringify({ pool_mode: 'session', databases: { shop: { primary: 'postgres://db1/shop' } } });
    expect(load(text).pool.poolMode).toBe('session');
  });

  it('anchors and merge keys work', () => {
    const text = `databases:\n  a: &base { primary: postgres://db1/a, max_pool_size: 30 }\n  b: { <<: *base, primary: postgres://db2/b }`;
    const config = load(text);
    expect(config.databases.get('b')?.pool.maxPoolSize).toBe(30);
    expect(config.databases.get('b')?.primary.host).toBe('db2');
  });
});

describe('messages', () => {
  it('an unknown key is named with its line, its value and the nearest known key', () => {
    const message = onlyProblem(withDatabase('\npool_mod: session'), { file: 'weir.yaml' });
    expect(message).toBe(
      'weir.yaml:2: pool_mod: unknown key (its value is "session"); the nearest known key is pool_mode',
    );
  });

  it('a key in the wrong section finds its own', () => {
    expect(onlyProblem(withDatabase('ttl: 5s'))).toContain('the nearest known key is cache.ttl');
    expect(onlyProblem(withDatabase('admin_users: [a]'))).toContain('the nearest known key is auth.admin_users');
  });

  it('an unknown key in a section lists what the section knows', () => {
    const message = onlyProblem(withDatabase('log: { levle: info }'));
    expect(message).toContain('log.levle');
    expect(message).toContain('nearest known key is log.level; known in log: level, file, stdout, format');
  });

  it('a dotted key at the top is not silently another spelling', () => {
    expect(onlyProblem(withDatabase('cache.ttl: 5s'))).toContain('cache.ttl: unknown key');
  });

  it.each([
    [
      'pool_mode: transction',
      '"transction" is not allowed: use session, transaction or statement (did you mean "transaction"?)',
    ],
    ['default_pool_size: many', '"many" is not an integer from 1 to 100000'],
    ['default_pool_size: 0', '0 is not an integer from 1 to 100000'],
    ['default_pool_size: "20"', '"20" is not an integer'],
    ['default_pool_size: 2.5', '2.5 is not an integer'],
    ['query_wait_timeout: 30', '30 has no unit: write 30s or 30ms'],
    ['query_wait_timeout: 30d', '"30d" is not a duration from 1ms to 576h (units ms s m h)'],
    ['server_connect_timeout: 0', '0 is not a duration'],
    ['query_wait_timeout: -5s', '"-5s" is not a duration'],
    ['server_lifetime: 1000h', '"1000h" is not a duration'],
    ['cache: { max_memory: 1TB1 }', '"1TB1" is not a size'],
    ['cache: { max_memory: 134217728 }', '134217728 has no unit'],
    ['cache: { enabled: 1 }', '1 is not true or false'],
    ['listen: 6432', '6432 is not HOST:PORT'],
    ['listen: 127.0.0.1:99999', '"127.0.0.1:99999" is not HOST:PORT'],
    ['auth: { admin_users: weir }', '"weir" is not a list of user names'],
    ['auth: { admin_users: [1] }', 'a list of 1 holds something else than user names'],
    ['auth: { type: [trust] }', 'a list of 1 is not allowed: use trust, any, md5, scram-sha-256, plain, cert or hba'],
    ['pool_mode: { a: 1 }', 'a map is not allowed'],
    ['auth: trust', 'auth: "trust" is not a map of keys and values'],
    ['cache: { redis: http://host }', 'is not a URL such as redis://host:6379/0'],
    [
      'tracing: { endpoint: "collector:4318" }',
      '"collector:4318" is not a URL such as http://127.0.0.1:4318/v1/traces',
    ],
    ['tracing: { endpoint: "http://a b/" }', 'is not a URL such as http://127.0.0.1:4318/v1/traces'],
    ['tracing: { sample_rate: 2 }', 'tracing.sample_rate'],
    ['cache: { redis: redis://host/zero }', 'is not a URL such as redis://host:6379/0'],
  ])('%s', (text, expected) => {
    expect(onlyProblem(withDatabase(text))).toContain(expected);
  });

  it('all problems come at once', () => {
    const found = problems(
      'pool_mod: x\ndefault_pool_size: -1\ncache: { ttl: soon }\ndatabases: { shop: {}, weir: {} }',
    );
    expect(found.map((line) => line.replace(/^configuration:\d+: ([\w.]+):.*$/, '$1'))).toEqual([
      'pool_mod',
      'default_pool_size',
      'cache.ttl',
      'databases.shop',
      'databases.weir',
    ]);
  });

  it('broken YAML is a problem with its line, without the text', () => {
    const message = onlyProblem('listen: 127.0.0.1:1\npassword: "hunter2\n', { file: 'weir.yaml' });
    expect(message).toMatch(/^weir\.yaml:\d: is not valid YAML/);
    expect(message).not.toContain('hunter2');
  });

  it('a key that is there twice is a problem', () => {
    expect(onlyProblem(withDatabase('pool_mode: session\npool_mode: session'))).toContain('unique');
  });

  it.each(['just a text', '[1, 2]', '42'])('a file that is no map: %s', (text) => {
    expect(problems(text)[0]).toContain('is not a map of keys and values');
  });

  it('a file that is not there', () => {
    expect(loadConfig({ file: '/nowhere/weir.yaml', env: {} })).toMatchObject({
      problems: ['/nowhere/weir.yaml: the configuration file does not exist'],
    });
  });

  it('without a database nothing can be served', () => {
    expect(onlyProblem('')).toContain('databases: there is none');
  });

  it('aliases that explode are refused', () => {
    const lines = ['a: &a [x, x, x, x, x, x, x, x, x, x]'];
    for (const [from, to] of [...'abcdefgh'].map((letter, i) => [letter, 'bcdefghi'[i]])) {
      lines.push(`${to}: &${to} [${Array.from({ length: 10 }, () => `*${from}`).join(', ')}]`);
    }
    expect(onlyProblem(lines.join('\n'))).toContain('too many aliases');
  });
});

describe('what comes later is refused, and says so', () => {
  it.each(['cache: { mode: strict }'])('%s', (text) => {
    expect(onlyProblem(withDatabase(text))).toContain('comes in a later version');
  });

  it('and what is there now is accepted', () => {
    const text = `workers: 2\nauth: { query: null, dbname: null }\nrouting: { auto_discover: false, consistency: strict }
cache: { mode: bounded, out_of_band_writes: logical-replication }`;
    expect(load(withDatabase(text)).routing.consistency).toBe('strict');
    expect(load(withDatabase('cache: { out_of_band_writes: false }')).cache.mode).toBe('session');
  });
});

describe('workers', () => {
  const allowed = 'an integer from 1 to 128, or auto (one for each core)';

  it('a number of processes, or one for each core', () => {
    expect(load(withDatabase('')).workers).toBe(1);
    expect(load(withDatabase('workers: 3')).workers).toBe(3);
    const cores = Math.min(128, availableParallelism());
    expect(load(withDatabase('workers: auto')).workers).toBe(cores);
    expect(load(withDatabase(''), { env: { WEIR_WORKERS: 'auto' } }).workers).toBe(cores);
    expect(load(withDatabase('workers: auto'), { env: { WEIR_WORKERS: '2' } }).workers).toBe(2);
  });

  it.each(['workers: 0', 'workers: 129', 'workers: all', 'workers: 1.5', 'workers: null'])('%s is refused', (text) => {
    expect(onlyProblem(withDatabase(text))).toContain(`is not ${allowed}`);
  });

  it('nor is anything else in the environment', () => {
    expect(onlyProblem(withDatabase(''), { env: { WEIR_WORKERS: '0' } })).toBe(
      `WEIR_WORKERS: workers: "0" is not ${allowed}`,
    );
  });
});

describe('environment', () => {
  it('overrides the file, for every type', () => {
    const config = load(withDatabase('pool_mode: session\nlog: { level: warn }'), {
      env: {
        WEIR_POOL_MODE: 'statement',
        WEIR_MAX_CLIENT_CONN: '77',
        WEIR_CACHE_ENABLED: 'on',
        WEIR_CACHE_MAX_MEMORY: '1GB',
        WEIR_CACHE_TTL: '90s',
        WEIR_CACHE_REDIS: 'redis://cache:6379/2',
        WEIR_AUTH_ADMIN_USERS: 'weir, ops',
        WEIR_HTTP: 'null',
        WEIR_LISTEN: '[::1]:7000',
        WEIR_LOG_LEVEL: '',
        WEIR_WORKERS: '1',
        WEIR_ROUTING_AUTO_DISCOVER: 'false',
      },
    });
    expect(config.pool.poolMode).toBe('statement');
    expect(config.maxClientConn).toBe(77);
    expect(config.cache).toMatchObject({
      enabled: true,
      maxMemoryBytes: 1024 ** 3,
      ttlMs: 90_000,
      redis: 'redis://cache:6379/2',
    });
    expect(config.auth.adminUsers).toEqual(['weir', 'ops']);
    expect(config.http).toBeUndefined();
    expect(config.listen).toEqual({ host: '::1', port: 7000 });
    expect(config.log.level).toBe('warn');
  });

  it('a bad value names the variable', () => {
    expect(onlyProblem(withDatabase(''), { env: { WEIR_MAX_POOL_SIZE: 'lots' } })).toBe(
      'WEIR_MAX_POOL_SIZE: max_pool_size: "lots" is not an integer from 1 to 100000',
    );
  });

  it('what comes later is refused there, too', () => {
    expect(onlyProblem(withDatabase(''), { env: { WEIR_CACHE_MODE: 'strict' } })).toContain('comes in a later version');
  });

  it.each([
    ['true', 'replication'],
    ['on', 'replication'],
    ['replication', 'replication'],
    ['false', 'off'],
    ['off', 'off'],
  ])('WEIR_ROUTING_AUTO_DISCOVER=%s', (text, expected) => {
    const config = load(withDatabase(''), { env: { WEIR_ROUTING_AUTO_DISCOVER: text } });
    expect(config.routing.autoDiscover).toBe(expected);
  });

  it('a variable that names no setting is a warning; those of Kubernetes are not', () => {
    const env = { WEIR_POOL_MOD: 'x', WEIR_SERVICE_HOST: '10.0.0.1', WEIR_PORT_6432_TCP: 'y', WEIR_ADMIN_URL: 'z' };
    const result = loadConfig({ text: withDatabase(''), env: { ...env, WEIR_AUTH_ADMIN_USERS: 'a' } });
    const strange = result.warnings.filter((warning) => warning.startsWith('WEIR_'));
    expect(strange).toEqual(['WEIR_POOL_MOD: names no setting and is ignored; the nearest is WEIR_POOL_MODE']);
  });

  it('overrides the scalar keys of a database', () => {
    const config = load('databases: { my-shop: { primary: postgres://db1/shop, max_pool_size: 7 } }', {
      env: {
        WEIR_DATABASES_MY_SHOP_PRIMARY: 'postgres://app:pw@db9/shop',
        WEIR_DATABASES_MY_SHOP_MAX_POOL_SIZE: '9',
        WEIR_DATABASES_MY_SHOP_POOL_MODE: 'session',
      },
    });
    const shop = config.databases.get('my-shop');
    expect(shop?.primary).toMatchObject({ host: 'db9', user: 'app', password: 'pw' });
    expect(shop?.pool).toMatchObject({ maxPoolSize: 9, poolMode: 'session' });
  });
});

describe('flags', () => {
  const bare: Partial<LoadSource> = {};
  const withFlags = (flags: NonNullable<LoadSource['flags']>): Partial<LoadSource> => ({ ...bare, flags });

  it('are enough', () => {
    const flags = { primary: 'postgres://app:p%40w@db1/shop', replica: ['postgres://db2/shop', 'postgres://db3:5433'] };
    const config = load('', withFlags(flags));
    expect([...config.databases.keys()]).toEqual(['shop']);
    const shop = config.databases.get('shop');
    expect(shop?.primary).toEqual({
      name: 'db1',
      host: 'db1',
      port: 5432,
      database: 'shop',
      user: 'app',
      password: 'p@w',
      weight: 1,
    });
    expect(shop?.replicas.map((node) => [node.name, node.port, node.database])).toEqual([
      ['db2', 5432, 'shop'],
      ['db3', 5433, 'shop'],
    ]);
  });

  it('without a database name serve every name', () => {
    const config = load('', withFlags({ primary: 'postgres://db1' }));
    expect(config.databases.get('*')?.primary.database).toBeUndefined();
  });

  it('win over environment and file', () => {
    const config = load('listen: 127.0.0.1:1\ndatabases: { shop: { primary: postgres://old/shop } }', {
      env: { WEIR_LISTEN: '127.0.0.1:2' },
      flags: { listen: '127.0.0.1:3', primary: 'postgres://new/shop', redis: 'redis://cache' },
    });
    expect(config.listen.port).toBe(3);
    expect(config.databases.get('shop')?.primary.host).toBe('new');
    expect(config.cache).toMatchObject({ enabled: true, redis: 'redis://cache' });
  });

  it.each([
    [{ replica: ['postgres://db2'] }, '--replica: needs --primary URL'],
    [{ primary: 'mysql://db1' }, '--primary: primary: "mysql://db1" is not a postgres:// URL'],
    [{ primary: 'postgres://db1/weir' }, '--primary: the database name "weir" is the name of the admin console'],
    [{ primary: 'postgres://db1/a', replica: ['postgres://db2/b'] }, '--primary: db2:5432 has another database than'],
    [{ primary: 'postgres://db1/a', listen: 'here' }, '--listen: listen: "here" is not HOST:PORT'],
    [{ primary: 'postgres://db1/a', redis: 'redis//x' }, '--redis: cache.redis: '],
  ])('%j', (flags, expected) => {
    expect(problems('', { flags })[0]).toContain(expected);
  });
});

describe('sizes of pools', () => {
  const sizes = (text: string): number[] => {
    const { pool } = load(withDatabase(text));
    return [pool.minPoolSize, pool.defaultPoolSize, pool.maxPoolSize];
  };

  it('what was not said gives way', () => {
    expect(sizes('max_pool_size: 10')).toEqual([0, 10, 10]);
    expect(sizes('default_pool_size: 200')).toEqual([0, 200, 200]);
    expect(sizes('min_pool_size: 30')).toEqual([30, 30, 100]);
    expect(sizes('min_pool_size: 300')).toEqual([300, 300, 300]);
  });

  it.each([
    'min_pool_size: 5\nmax_pool_size: 4',
    'default_pool_size: 5\nmax_pool_size: 4',
    'min_pool_size: 9\ndefault_pool_size: 8',
  ])('what was said must be in order: %j', (text) => {
    expect(onlyProblem(withDatabase(text))).toContain('must hold');
  });

  it('a database may say its own, over the global ones', () => {
    const config = load(`min_pool_size: 5\ndefault_pool_size: 20\nmax_pool_size: 50
databases: { a: { primary: postgres://db1/a, max_pool_size: 3 }, b: { primary: postgres://db1/b } }`);
    expect(config.databases.get('a')?.pool).toMatchObject({ minPoolSize: 3, defaultPoolSize: 3, maxPoolSize: 3 });
    expect(config.databases.get('b')?.pool).toMatchObject({ minPoolSize: 5, defaultPoolSize: 20, maxPoolSize: 50 });
    const bad = 'databases: { a: { primary: postgres://db1/a, min_pool_size: 9, max_pool_size: 3 } }';
    expect(onlyProblem(bad)).toContain('databases.a: min_pool_size (9)');
  });
});

describe('files', () => {
  let dir = '';
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'weir-config-'));
    const authority = new CertificateAuthority();
    const [mine, other] = [authority.server(), authority.server()];
    writeFileSync(join(dir, 'cert.pem'), mine.cert);
    writeFileSync(join(dir, 'key.pem'), mine.key);
    writeFileSync(join(dir, 'other-key.pem'), other.key);
    writeFileSync(join(dir, 'ca.pem'), authority.ca.cert);
    writeFileSync(join(dir, 'text.pem'), 'just a text');
  });
  afterAll(() => rmSync(dir, { recursive: true }));
  const here = (text: string): Partial<LoadSource> & { text: string } => ({
    text: withDatabase(text),
    file: join(dir, 'weir.yaml'),
  });

  it('are relative to the configuration file', () => {
    const { text, ...rest } = here('tls: { client: { cert: cert.pem, key: key.pem } }');
    expect(load(text, rest).tls.client).toMatchObject({
      mode: 'prefer',
      cert: join(dir, 'cert.pem'),
      key: join(dir, 'key.pem'),
      ca: undefined,
    });
  });

  it('the default users file need not be there; one that was named must be', () => {
    const absent = here('');
    expect(load(absent.text, absent).auth.file).toBeUndefined();
    writeFileSync(join(dir, 'users.txt'), '"app" "pw"\n');
    expect(load(absent.text, absent).auth.file).toBe(join(dir, 'users.txt'));
    const named = here('auth: { file: people.txt }');
    expect(onlyProblem(named.text, named)).toMatch(/auth\.file: the file .*people\.txt does not exist/);
  });

  it('no configuration file, no default users file', () => {
    expect(load('', { flags: { primary: 'postgres://db1' } }).auth.file).toBeUndefined();
  });

  it.each([
    ['tls: { client: { cert: cert.pem } }', 'tls.client.key: is missing'],
    ['tls: { client: { key: key.pem } }', 'tls.client.cert: is missing'],
    ['tls: { client: { mode: require } }', 'tls.client.mode require needs a certificate and a key'],
    ['tls: { client: { mode: verify-ca, cert: cert.pem, key: key.pem } }', 'tls.client.ca: is missing'],
    ['tls: { server: { mode: verify-full } }', 'tls.server.ca: is missing'],
    ['tls: { server: { mode: verify-ca, ca: gone.pem } }', 'gone.pem does not exist'],
    ['tls: { server: { mode: verify-ca, ca: . } }', 'is not a file'],
    ['tls: { client: { cert: text.pem, key: key.pem } }', 'text.pem is no certificate in PEM'],
    ['tls: { client: { cert: cert.pem, key: text.pem } }', 'text.pem is not the private key of'],
    ['tls: { client: { cert: cert.pem, key: other-key.pem } }', 'other-key.pem is not the private key of'],
    ['tls: { server: { mode: verify-ca, ca: text.pem } }', 'tls.server.ca: the file'],
    ['auth: { type: cert }\ntls: { client: { cert: cert.pem, key: key.pem } }', 'auth.type: cert needs tls.client.ca'],
    ['auth: { type: cert }\ntls: { client: { ca: ca.pem } }', 'auth.type: cert needs TLS with clients'],
    ['auth: { type: hba }', 'auth.hba_file: is missing'],
    ['auth: { type: hba, hba_file: gone.conf }', 'gone.conf does not exist'],
    ['auth: { ident_file: gone.conf }', 'gone.conf does not exist'],
    ['auth: { query: SELECT 1, user: a }', 'auth.query: has no $1'],
    ['auth: { query: SELECT $10, user: a }', 'auth.query: has no $1'],
    ['auth: { query: SELECT $1 }', 'auth.user: is missing: auth.query needs somebody to run it'],
    ['auth: { query: default }', 'auth.user: is missing'],
    ['auth: { dbname: weir }', 'auth.dbname: there is no database weir'],
  ])('%s', (text, expected) => {
    const source = here(text);
    expect(problems(source.text, source).join('\n')).toContain(expected);
  });

  it('clients with certificates', () => {
    const source = here(
      'auth: { type: cert }\ntls: { client: { mode: verify-full, cert: cert.pem, key: key.pem, ca: ca.pem } }',
    );
    expect(load(source.text, source).auth.type).toBe('cert');
  });

  it('TLS that is preferred without a certificate is fine', () => {
    expect(load(withDatabase('tls: { client: { mode: prefer } }')).tls.client.mode).toBe('prefer');
  });
});

describe('warnings', () => {
  const warnings = (text: string, rest: Partial<LoadSource> = {}): string =>
    loadConfig({ text: withDatabase(text), env: {}, ...rest }).warnings.join('\n');

  it('say what was probably not meant', () => {
    expect(warnings('auth: { type: trust }\nlisten: 0.0.0.0:6432')).toContain('trust lets everybody in');
    expect(warnings('auth: { type: trust }')).toBe('');
    const open = 'auth: { type: any }\nlisten: 0.0.0.0:6432\ndatabases: { shop: { primary: postgres://app@db1 } }';
    const any = loadConfig({ text: open, env: {} }).warnings.join();
    expect(any).toContain('which is not only this machine');
    expect(any).toContain('auth.admin_users need no password on the admin console');
    expect(warnings('auth: { user: probe }')).toContain('auth.user: probe has no secret in auth.file');
    expect(warnings('')).toContain('nobody can log in');
    expect(warnings('auth: { user: probe, query: default }')).not.toContain('nobody can log in');
    expect(warnings('cache: { redis: redis://host }')).toContain('cache.redis: is not used');
    const flags = { primary: 'postgres://app:pw@db1/shop' };
    expect(warnings('', { flags })).toContain('nobody can use the admin console');
    expect(warnings('auth: { admin_users: [app] }', { flags })).toBe('');
  });

  it('two passwords for one user', () => {
    const text =
      'auth: { type: trust }\ndatabases: { a: { primary: postgres://app:one@db1/a }, b: { primary: postgres://app:two@db1/b } }';
    const found = loadConfig({ text, env: {} }).warnings.join('\n');
    expect(found).toContain('user app different passwords');
    expect(found).not.toMatch(/one@|two/);
  });
});
