/**
 * What a pgbouncer.ini means for Weir: the settings of its keys, PgBouncer's defaults, the keys without effect, the errors; and
 * that `weir convert` prints a YAML with the same settings, for any ini.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Config } from '../../../src/config/config.ts';
import { loadConfig, type LoadResult } from '../../../src/config/load.ts';
import { databaseKeys, userKeys } from '../../../src/config/pgbouncer/entry-keys.ts';
import { settingFor, type Kind } from '../../../src/config/pgbouncer/key.ts';
import { globalKeys } from '../../../src/config/pgbouncer/keys.ts';
import { toYaml } from '../../../src/config/pgbouncer/to-yaml.ts';
import { translateIni } from '../../../src/config/pgbouncer/translate.ts';

const dir = mkdtempSync(join(tmpdir(), 'weir-ini-'));
const users = join(dir, 'users.txt');
writeFileSync(users, '"app" "secret"\n');
afterAll(() => rmSync(dir, { recursive: true }));

const load = (text: string): LoadResult => loadConfig({ file: 'p.ini', text, env: {} });

function configOf(text: string): Config {
  const result = load(text);
  if ('problems' in result) throw new Error(result.problems.join('\n'));
  return result.config;
}

function problemsOf(text: string): readonly string[] {
  const result = load(text);
  return 'problems' in result ? result.problems : [];
}

const shop = '[databases]\nshop = host=db1\n[pgbouncer]\n';
const notesOf = (text: string): readonly string[] => translateIni(text, 'p.ini').notes;

describe("PgBouncer's defaults", () => {
  it('hold for what the file does not say', () => {
    const config = configOf(shop);
    expect(config.pool).toMatchObject({
      poolMode: 'session',
      defaultPoolSize: 20,
      maxPoolSize: 20,
      reservePoolTimeoutMs: 5_000,
      queryWaitTimeoutMs: 120_000,
      serverConnectTimeoutMs: 15_000,
      serverLoginRetryMs: 15_000,
      maxPreparedStatements: 200,
      queueTargetMs: 0,
    });
    expect(config).toMatchObject({
      maxClientConn: 100,
      clientLoginTimeoutMs: 60_000,
      listen: { port: 6432 },
      listenAddresses: [],
      unixSocketDir: '/tmp',
      http: undefined,
      resize: { enabled: false },
      auth: { type: 'md5', file: undefined, query: undefined, adminUsers: [] },
      tls: { client: { mode: 'disable' }, server: { mode: 'prefer' } },
    });
  });
});

describe('keys', () => {
  it('have their units and forms', () => {
    const config = configOf(`${shop}
      max_client_conn = 0x20
      server_lifetime = 1.5
      server_idle_timeout = 0
      query_wait_timeout = 0
      default_pool_size = 7
      min_pool_size = 9
      server_round_robin = 1
      unix_socket_mode = 0770
      admin_users = app, "x" ,
      pool_mode = TRANSACTION
      auth_file = ${users}
      verbose = 2
      listen_addr = *
      listen_port = 5433`);
    expect(config).toMatchObject({
      maxClientConn: 32,
      unixSocketMode: 0o770,
      auth: { adminUsers: ['app', '"x"'], file: users },
      log: { level: 'debug' },
      listen: { host: '*', port: 5433 },
      listenAddresses: undefined,
    });
    expect(config.pool).toMatchObject({
      serverLifetimeMs: 1_500,
      serverIdleTimeoutMs: 0,
      queryWaitTimeoutMs: 576 * 3_600_000,
      defaultPoolSize: 7,
      maxPoolSize: 7,
      minPoolSize: 7,
      serverRoundRobin: true,
      poolMode: 'transaction',
    });
  });

  it('the last one of a key counts, and sections may be there several times', () => {
    expect(configOf(`${shop}max_client_conn=1\n[users]\n[pgbouncer]\nmax_client_conn = 2`).maxClientConn).toBe(2);
  });

  it('several addresses', () => {
    const config = configOf(`${shop}listen_addr = 127.0.0.1, ::1\nunix_socket_dir =`);
    expect(config).toMatchObject({ listenAddresses: ['127.0.0.1', '::1'], unixSocketDir: undefined });
  });

  it.each([
    ['TLSv1.2 : tlsv1.3', ['tlsv1.2', 'tlsv1.3'], []],
    ['secure,!tlsv1.3', ['tlsv1.2'], []],
    ['!tlsv1.0,!tlsv1.1,!tlsv1.2', ['tlsv1.3'], []],
    [
      'legacy:!tlsv1.3',
      ['tlsv1.2'],
      ['p.ini:4: server_tls_protocols = legacy:!tlsv1.3 is without TLS 1.0 and 1.1 here, which are not secure'],
    ],
  ])('versions of TLS that are added and taken away: %s', (value, protocols, notes) => {
    const text = `${shop}server_tls_protocols = ${value}`;
    expect(configOf(text).tls.server.protocols).toEqual(protocols);
    expect(notesOf(text)).toEqual(notes);
    expect(configOf(text.replace('server', 'client')).tls.client.protocols).toEqual(protocols);
  });

  it('file names are relative to the working directory', () => {
    const { pidfile, log } = configOf(`${shop}pidfile = x.pid\nlogfile = /var/log/x.log`);
    expect([pidfile, log.file]).toEqual([resolve('x.pid'), '/var/log/x.log']);
  });

  it('auth_query is asked only with auth_user, and has a default', () => {
    expect(configOf(`${shop}auth_user = a`).auth).toMatchObject({ user: 'a', query: 'default' });
    expect(configOf(`${shop}auth_query = SELECT u, p FROM s.f($1)`).auth.query).toBeUndefined();
    expect(notesOf(`${shop}auth_user=a\nauth_query = SELECT u, p FROM f($1)`)).toEqual([
      expect.stringMatching(/^p\.ini:5: auth_query runs with an empty search_path here/),
    ]);
  });

  it('auth_user of one database has the auth_query of all, or the default', () => {
    const authOf = (text: string): unknown =>
      configOf(`[databases]\nd = host=h auth_user=a\n${text}`).databases.get('d')?.auth;
    expect(authOf('')).toEqual({ user: 'a', query: 'default' });
    expect(authOf('[pgbouncer]\nauth_query = SELECT u, p FROM s.f($1)')).toEqual({
      user: 'a',
      query: 'SELECT u, p FROM s.f($1)',
    });
    const own = "[databases]\nd = host=h auth_user=a auth_query='SELECT $1, 1'";
    expect(configOf(own).databases.get('d')?.auth).toEqual({ user: 'a', query: 'SELECT $1, 1' });
  });

  it('auth_dbname that is no database leaves auth_file alone, as in PgBouncer', () => {
    const text = `${shop}auth_user = a\nauth_dbname = gone`;
    expect(configOf(text).auth).toMatchObject({ user: 'a', query: undefined, dbname: undefined });
    expect(notesOf(text)).toEqual([
      'p.ini:5: auth_dbname gone: there is no such database: only users of auth_file are known',
    ]);
    expect(configOf(`${shop}auth_user = a\nauth_dbname = shop`).auth).toMatchObject({
      query: 'default',
      dbname: 'shop',
    });
  });

  it.each([
    ['all', ['tlsv1.2', 'tlsv1.3'], true],
    ['legacy', ['tlsv1.2', 'tlsv1.3'], true],
    ['secure', ['tlsv1.2', 'tlsv1.3'], false],
    ['tlsv1.0, tlsv1.1, tlsv1.2', ['tlsv1.2'], true],
    ['tlsv1.3', ['tlsv1.3'], false],
  ])('versions of TLS: %s', (words, protocols, isNoted) => {
    const text = `${shop}client_tls_protocols = ${words}`;
    expect(configOf(text).tls.client.protocols).toEqual(protocols);
    const note = 'is without TLS 1.0 and 1.1 here, which are not secure';
    expect(notesOf(text)).toEqual(isNoted ? [`p.ini:4: client_tls_protocols = ${words} ${note}`] : []);
  });

  it('a single server is left alone, and refusals are those of PgBouncer', () => {
    const config = configOf(`${shop}auth_query = SELECT 1\nauth_user = a`);
    expect(config).toMatchObject({ routing: { monitor: 'when-needed' }, auth: { as: 'pgbouncer', query: 'SELECT 1' } });
  });

  it('the environment wins over the file', () => {
    const result = loadConfig({ file: 'p.ini', text: shop, env: { WEIR_HTTP: '127.0.0.1:9432' } });
    expect(result).toMatchObject({ config: { http: { port: 9432 } } });
  });

  it('reserve_pool_timeout 0 switches the reserve off', () => {
    const text = `${shop}reserve_pool_size = 3\nreserve_pool_timeout = 0`;
    expect(configOf(text).pool).toMatchObject({ reservePoolSize: 0 });
  });
});

describe('databases', () => {
  it('hosts, sockets, users and sizes', () => {
    const { databases } = configOf(`[databases]
      a = host=db1 port=5433 dbname=x user=u password='p@ w''' pool_size=3 pool_mode=transaction server_lifetime=60
      b =
      c = host=/run/pg dbname='d e'
      d = host=::1
      e = host=db1,db2,db2
      * = host=db9
      constructor = host=db1 min_pool_size=-1
      [pgbouncer]
      unix_socket_dir = /tmp`);
    expect(databases.get('a')).toMatchObject({
      primary: { host: 'db1', port: 5433, database: 'x', user: 'u', password: "p@ w'" },
      pool: { defaultPoolSize: 3, maxPoolSize: 3, poolMode: 'transaction', serverLifetimeMs: 60_000 },
    });
    expect(databases.get('b')?.primary).toMatchObject({ host: '/tmp', port: 5432, database: 'b', user: undefined });
    expect(databases.get('c')?.primary).toMatchObject({ host: '/run/pg', database: 'd e' });
    expect(databases.get('d')?.primary).toMatchObject({ host: '::1' });
    expect(databases.get('e')?.replicas).toMatchObject([{ host: 'db2', weight: 2 }]);
    expect(databases.get('*')?.primary).toMatchObject({ host: 'db9', database: undefined });
    expect(databases.get('constructor')?.primary).toMatchObject({ host: 'db1' });
  });
});

it('a file without databases is only for the console, as that of a new package', () => {
  const result = load('[databases]\n[pgbouncer]\n');
  expect(result).toMatchObject({
    config: {},
    notes: ['p.ini: there is no database yet: only the admin console can be used'],
  });
});

describe('users', () => {
  const text = `${shop}[users]\nu = pool_mode=transaction query_wait_timeout=3 pool_size=-1\n"a b" = reserve_pool_size = 2`;

  it('have their settings', () => {
    const draft = translateIni(text, 'p.ini');
    expect(draft.root).toMatchObject({
      users: { u: { pool_mode: 'transaction', query_wait_timeout: '3s' }, 'a b': { reserve_pool_size: 2 } },
    });
    expect(draft.get(['users', 'u', 'pool_size'])).toBeUndefined();
    expect([draft.problems, draft.notes, draft.placeOf(['users', 'u', 'pool_mode'])]).toEqual([[], [], 'p.ini:5']);
    const wrong = translateIni(`${shop}[users]\nu = pool_size=x`, 'p.ini');
    expect(wrong.problems).toEqual(['p.ini:5: invalid value "x" for parameter u: pool_size: is not a number']);
  });
});

describe('what has no effect', () => {
  it('is named with its line and the reason', () => {
    expect(notesOf(`${shop}pkt_buf = 2048\ndisable_pqexec = 1`)).toEqual([
      'p.ini:4: pkt_buf has no effect here, because memory for messages is managed by memory_limit',
      'p.ini:5: disable_pqexec has no effect here, because the simple query protocol cannot be switched off',
    ]);
  });

  it('auth_type plain is a type of Weir', () => {
    expect(configOf(`${shop}auth_type = plain\nauth_file = ${users}`).auth.type).toBe('plain');
  });

  it('is not named where the value says what is so anyway', () => {
    expect(notesOf(`${shop}pkt_buf = 4096\ndisable_pqexec = 0\nsyslog = 0`)).toEqual([]);
  });

  it('each key has a setting or a reason, and a value is accepted or refused as PgBouncer would', () => {
    for (const table of [globalKeys, databaseKeys, userKeys]) {
      for (const [name, key] of table) {
        expect(settingFor(key) ?? key.because, name).toBeDefined();
        const refused = Array.isArray(key.kind) || ['int', 'seconds', 'protocols'].includes(String(key.kind));
        if (table !== globalKeys) continue;
        const problems = translateIni(`${shop}${name} = 1 x`, 'p.ini').problems;
        expect(problems, name).toEqual(
          refused ? [expect.stringContaining(`p.ini:4: invalid value "1 x" for parameter ${name}: is not `)] : [],
        );
      }
    }
  });
});

describe('settings that Weir has by the same name', () => {
  it('are those of the file, or the defaults of PgBouncer', () => {
    expect(configOf(shop).pool).toMatchObject({ serverCheckQuery: '<empty>', serverCheckDelayMs: 30_000 });
    const config = configOf(`${shop}
      server_check_query = select 1
      server_check_delay = 0
      server_fast_close = 1
      pool_idle_timeout = 60
      client_tls13_ciphers = TLS_AES_256_GCM_SHA384:TLS_AES_128_CCM_SHA256
      server_tls13_ciphers = <empty>
      peer_id = 2
      [peers]
      1 = host=/tmp/pgbouncer1
      2 = host=::1 port=6433 pool_size=5`);
    expect(config.pool).toMatchObject({
      ...{ serverCheckQuery: 'select 1', serverCheckDelayMs: 0, serverFastClose: true, poolIdleTimeoutMs: 60_000 },
    });
    expect(config.tls.client.tls13Ciphers).toBe('TLS_AES_256_GCM_SHA384:TLS_AES_128_CCM_SHA256');
    expect(config.tls.server.tls13Ciphers).toBeUndefined();
    expect([config.peerId, config.peers]).toEqual([
      2,
      [
        { id: 1, host: '/tmp/pgbouncer1', port: 6432 },
        { id: 2, host: '::1', port: 6433 },
      ],
    ]);
    expect(configOf(`${shop}server_check_query =`).pool.serverCheckQuery).toBeUndefined();
    const any = configOf('[databases]\n* = host=db1 user=app\n[pgbouncer]\nauth_type = any');
    expect(any.auth.type).toBe('any');
  });
});

describe('errors', () => {
  it.each([
    [
      'client_tls_protocols = tlsv1.0',
      'p.ini:4: invalid value "tlsv1.0" for parameter client_tls_protocols: has no version',
    ],
    ['foo = 1', 'p.ini:4: unknown parameter: pgbouncer/foo'],
    ['pool_mod = x', 'p.ini:4: unknown parameter: pgbouncer/pool_mod (did you mean pool_mode?)'],
    ['pool_mode = sesion', 'p.ini:4: invalid value "sesion" for parameter pool_mode: is not one of session'],
    ['server_round_robin = on', 'p.ini:4: invalid value "on" for parameter server_round_robin: is not a number'],
    ['server_lifetime = -1', 'p.ini:4: invalid value "-1" for parameter server_lifetime: is not a number of seconds'],
    ['auth_type = ldap', 'p.ini:4: auth_type ldap is not supported: use trust, any, plain, md5'],
    ['max_client_conn = 0', 'p.ini:4: max_client_conn: 0 is not an integer from 1'],
    ['auth_file = /gone/users.txt', 'p.ini:4: auth.file: the file /gone/users.txt does not exist'],
    ['[databases]\npgbouncer = host=a', 'p.ini:5: database name "pgbouncer" is reserved'],
    ['[databases]\nx = hst=a', 'p.ini:5: x: unrecognized connection parameter: hst (did you mean host?)'],
    ["[databases]\nx = password='geheim", 'p.ini:5: parameter x: syntax error in connection string'],
    ['[databases]\nx = port=abc host=a', 'p.ini:5: x: invalid port: abc'],
    ['[databases]\nx = pool_mode=foo host=a', 'p.ini:5: invalid value "foo" for parameter x: pool_mode: is not one of'],
    ['[databases]\nx = host=@abstract', 'p.ini:5: x: @abstract: abstract Unix sockets are not supported'],
    ['[users]\nu = pool_sz=1', 'p.ini:5: u: unrecognized user parameter: pool_sz (did you mean pool_size?)'],
    ['auth_type = any', 'p.ini:4: auth.type: any needs a user in the URL of every node'],
    ['client_tls13_ciphers = AES', 'is not a list with colons of TLS_AES_256_GCM_SHA384'],
    ['peer_id = 16384', 'is not an integer from 0 to 16383'],
    ['[peers]\n1 = port=5', 'p.ini:5: 1: a peer needs a host'],
    ['[peers]\nx = host=a', 'x is not a peer_id from 1 to 16383'],
    ['[peers]\n1 = host=a port=0', 'the address of peer 1 is not HOST:PORT'],
    ['[peers]\n1 = foo=1', 'p.ini:5: 1: unrecognized connection parameter: foo'],
  ])('%j', (line, expected) => {
    const problems = problemsOf(shop + line);
    expect(problems[0]).toContain(expected);
    expect(problems.join()).not.toContain('geheim');
  });
});

/** Values that PgBouncer accepts, some of which Weir refuses. */
function valueOf(kind: Kind): fc.Arbitrary<string> {
  if (kind === 'int') return fc.nat(300).map(String);
  if (kind === 'seconds') return fc.oneof(fc.nat(9_000).map(String), fc.constantFrom('0.5', '1e2', '0'));
  if (kind === 'list') return fc.constantFrom('', '127.0.0.1', 'a, b', 'x y');
  if (kind === 'file') return fc.constantFrom('', users, dir, 'relative.txt');
  if (kind === 'text')
    return fc.constantFrom('', 'a', "it's: # {x} [y]", '<empty>', 'SELECT a FROM b WHERE c = $1', 'null');
  return fc.constantFrom(...kind);
}

function lineOf(table: typeof globalKeys): fc.Arbitrary<readonly [string, string]> {
  return fc.constantFrom(...table).chain(([name, { kind }]) => valueOf(kind).map((value) => [name, value] as const));
}

const quote = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const pairs = fc
  .array(lineOf(databaseKeys), { maxLength: 4 })
  .map((all) => all.filter(([, value]) => value !== '').map(([key, value]) => `${key}=${quote(value)}`));
const hosts = fc.constantFrom('', 'host=db1 ', 'host=/run/pg port=5433 ', "host=db1,db2 user='a b' password='p''%' ");
const database = fc
  .tuple(fc.constantFrom('shop', '*', '"my ""db"', '__proto__', 'a.b', 'null', '1'), hosts, pairs)
  .map(([name, host, more]) => `${name} = ${host}${more.join(' ')}`);
const ini = fc
  .tuple(fc.array(database, { minLength: 1, maxLength: 3 }), fc.array(lineOf(globalKeys), { maxLength: 12 }))
  .map(([databases, lines]) =>
    ['[databases]', ...databases, '[pgbouncer]', ...lines.map(([key, value]) => `${key} = ${value}`)].join('\n'),
  );

describe('weir convert', () => {
  it('prints a YAML with the same settings, or one with the same problems', () => {
    let valid = 0;
    fc.assert(
      fc.property(ini, (text) => {
        const served = load(text);
        const draft = translateIni(text, 'p.ini');
        if (draft.problems.length > 0) {
          expect('problems' in served).toBe(true);
          return;
        }
        const converted = loadConfig({ file: '/elsewhere/weir.yaml', text: toYaml(draft, 'p.ini'), env: {} });
        if ('problems' in served) {
          expect('problems' in converted).toBe(true);
          return;
        }
        valid++;
        if ('problems' in converted) throw new Error(converted.problems.join('\n'));
        expect(converted.config).toEqual(served.config);
      }),
      { numRuns: 600 },
    );
    expect(valid).toBeGreaterThan(50);
  });

  it('says where each value is from, and hides the passwords in comments', () => {
    const text = `[databases]\nshop = host=db1 user=u password='a b' timezone='x'\n[pgbouncer]\npool_mode=statement\n`;
    const yaml = toYaml(translateIni(text, 'p.ini'), 'p.ini');
    expect(yaml).toContain('pool_mode: statement # p.ini:4: pool_mode = statement');
    expect(yaml).toContain("default_pool_size: 20 # PgBouncer's default");
    expect(yaml).toContain('# p.ini:2: shop: timezone has no effect here');
    expect(yaml).toContain("# p.ini:2: shop = host=db1 user=u password=*** timezone='x'");
    expect(yaml).toContain('primary: postgres://u:a%20b@db1:5432');
  });
});

describe("PgBouncer's keys in YAML", () => {
  const problemOf = (text: string): string => {
    const result = loadConfig({ file: 'weir.yaml', text, env: {} });
    return 'problems' in result ? (result.problems[0] ?? '') : '';
  };

  it.each([
    ['pool_size: 5', 'pool_size of PgBouncer is default_pool_size and max_pool_size here'],
    ['databases: { a: { pool_size: 5 } }', 'pool_size of PgBouncer is default_pool_size and max_pool_size here'],
    ['databases: { a: { host: db1 } }', 'host of PgBouncer is in the URL of the node here'],
    ['auth_type: md5', 'auth_type of PgBouncer is auth.type here'],
    ['listen_addr: a', 'listen_addr of PgBouncer is listen: HOST:PORT here'],
    ['logfile: a', 'logfile of PgBouncer is log.file here'],
    ['databases: { a: { auth_type: md5 } }', 'auth_type of PgBouncer is auth.type here, for all databases'],
    ['databases: { a: { max_user_connections: 5 } }', 'it can only be set for all databases, at the top'],
    ['pkt_buf: 1', 'pkt_buf of PgBouncer has no effect here, because memory for messages'],
    ['client_tls_ca_file: a', 'client_tls_ca_file of PgBouncer is tls.client.ca here'],
    ['poool_mode: a', 'the nearest known key is pool_mode'],
  ])('%s', (text, expected) => {
    expect(problemOf(text)).toContain(expected);
  });
});
