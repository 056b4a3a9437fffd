/** The console on database `pgbouncer`: PgBouncer's names, units and errors. */
import { describe, expect, it } from 'vitest';
import { createConsole, type ConsoleUser } from '../../src/console/console.ts';
import { pgbouncerConfig, withoutEffect } from '../../src/console/pgbouncer-settings.ts';
import type { ConsoleSources } from '../../src/console/sources.ts';
import { WeirError } from '../../src/errors/errors.ts';
import { fakeSources } from './fakes.ts';

const setting = (
  key: string,
  value: string,
): { key: string; value: string; default: string; isChangeable: boolean } => ({
  ...{ key, value, default: value, isChangeable: true },
});
const settings = [
  ...[setting('query_wait_timeout', '30s'), setting('max_client_conn', '100'), setting('server_lifetime', '1h')],
  ...[setting('tls.client.cert', 'a.pem'), setting('so_reuseport', 'false'), setting('cache.ttl', '60s')],
  ...[setting('client_idle_timeout', '0'), setting('log.level', 'info'), setting('tls.client.key', 'a.key')],
  { ...setting('tls.client.protocols', '[tlsv1.2]'), default: '[tlsv1.2, tlsv1.3]' },
  ...[setting('tls.client.ciphers', 'null'), setting('auth.admin_users', '[weir, ann]'), setting('pidfile', 'null')],
  { ...setting('listen', '[::1]:6543'), isChangeable: false },
];

async function run(
  text: string,
  more: Parameters<typeof fakeSources>[0] = {},
  user = 'weir',
  notices: string[] = [],
): Promise<readonly string[]> {
  const sources = fakeSources({ settings: () => settings, ...more });
  const roleOf = (name: string): 'admin' | 'stats' => (name === 'weir' ? 'admin' : 'stats');
  const console = createConsole({ sources, roleOf, nowMs: () => 0, log: () => {} });
  const by: ConsoleUser = { user, database: 'pgbouncer', client: '', signal: new AbortController().signal };
  for (const statement of console.parse(text, by))
    notices.push(...((await console.execute(statement, by)).notices ?? []));
  return sources.asked;
}

const failure = (text: string, more?: Parameters<typeof fakeSources>[0], user?: string): Promise<string> =>
  run(text, more, user).then(
    () => 'none',
    (error: unknown) => (error instanceof WeirError ? `${error.sqlstate} ${error.message}` : String(error)),
  );

describe('SET', () => {
  it.each([
    ["SET query_wait_timeout = '5'", 'query_wait_timeout" "5s'],
    ['SET query_wait_timeout TO 0.5', 'query_wait_timeout" "0.5s'],
    ['SET client_idle_timeout = 0', 'client_idle_timeout" "0'],
    ["SET query_wait_timeout = '5m'", 'query_wait_timeout" "5m'],
    ['SET max_client_conn = 200', 'max_client_conn" "200'],
    ["SET client_tls_cert_file = 'b.pem'", 'tls.client.cert" "b.pem'],
    ['SET so_reuseport = 1', 'so_reuseport" "true'],
    ['SET verbose = 2', 'log.level" "debug'],
    ['SET verbose = 0', 'log.level" "info'],
    ["SET client_tls_protocols = 'tlsv1.2,tlsv1.3'", 'tls.client.protocols" "tlsv1.2,tlsv1.3'],
    ["SET client_tls_protocols = 'secure'", 'tls.client.protocols" "tlsv1.2,tlsv1.3'],
    ["SET client_tls_protocols = 'tlsv1.0:tlsv1.3'", 'tls.client.protocols" "tlsv1.3'],
    ["SET client_tls_ciphers = 'default'", 'tls.client.ciphers" "null'],
    ["SET client_tls_ciphers = 'HIGH:!aNULL'", 'tls.client.ciphers" "HIGH:!aNULL'],
    ["SET client_tls_cert_file = ''", 'tls.client.cert" "null'],
    ["SET admin_users = 'weir, bob'", 'auth.admin_users" "weir, bob'],
    ['SET tcp_user_timeout = 1000', undefined],
    ['SET cancel_wait_timeout = 1', undefined],
  ])('%s', async (text, asked) => {
    expect(await run(text)).toEqual(asked === undefined ? [] : [`setSetting "${asked}"`]);
  });

  it('takes settings of TLS one at a time: those that cannot be used alone wait for the next one', async () => {
    const asked: unknown[] = [];
    const isPair = (all: Map<string, string>): boolean =>
      (all.get('tls.client.cert') === 'b.pem') === (all.get('tls.client.key') === 'b.key');
    const setSetting = (...[key, value, also = []]: Parameters<ConsoleSources['setSetting']>): Promise<void> => {
      asked.push([key, value, ...also]);
      const why = { what: 'it is not the private key of b.pem' };
      return isPair(new Map([...also, [key, value]]))
        ? Promise.resolve()
        : Promise.reject(new WeirError('console_refused', why));
    };
    const notices: string[] = [];
    await run("SET client_tls_cert_file = 'b.pem'; SET client_tls_key_file = 'b.key'", { setSetting }, 'weir', notices);
    expect(notices.join()).toContain('TLS settings could not be applied, still using old configuration');
    expect(asked).toEqual([
      ['tls.client.cert', 'b.pem'],
      ['tls.client.key', 'b.key', ['tls.client.cert', 'b.pem']],
    ]);
  });

  it('refuses a word of TLS that there is not, and what cannot be changed', async () => {
    const refuse = (): Promise<never> => Promise.reject(new WeirError('console_refused', { what: 'a bad value' }));
    expect(await failure("SET client_tls_protocols = 'ssl3'", { setSetting: refuse })).toContain('SET failed');
    expect(await failure('SET listen_port = 1')).toContain('SET failed');
  });

  it('auth_user brings the default query, if there is none', async () => {
    const with_ = (query: string) => ({ settings: () => [setting('auth.user', 'null'), setting('auth.query', query)] });
    expect(await run("SET auth_user = 'a'", with_('null'))).toEqual([
      ...['setSetting "auth.user" "a"', 'setSetting "auth.query" "default"'],
    ]);
    expect(await run("SET auth_user = 'a'", with_('SELECT $1'))).toEqual(['setSetting "auth.user" "a"']);
  });

  it('says why a name of PgBouncer has no effect', () => {
    expect(withoutEffect('pkt_buf')).toMatch(/^pkt_buf has no effect here, because /);
    expect([withoutEffect('query_wait_timeout'), withoutEffect('foo')]).toEqual([undefined, undefined]);
  });
});

it('SHOW CONFIG has seconds, 0 and 1 under the names of PgBouncer, and then what only Weir has', () => {
  const rows = pgbouncerConfig(settings).map(({ key, value }) => `${key} ${value}`);
  expect(rows).toEqual([
    ...['admin_users weir, ann', 'client_idle_timeout 0', 'client_tls_cert_file a.pem', 'client_tls_ciphers default'],
    ...['client_tls_key_file a.key', 'client_tls_protocols tlsv1.2', 'listen_addr ::1', 'listen_port 6543'],
    ...['max_client_conn 100', 'pidfile ', 'query_wait_timeout 30', 'server_lifetime 3600', 'so_reuseport 0'],
    ...['verbose 0', 'cache.ttl 60s'],
  ]);
});

describe('errors', () => {
  const refuse = (): Promise<never> => Promise.reject(new WeirError('console_refused', { what: 'a bad value' }));
  it.each([
    ['BOGUS', "08P01 invalid command 'BOGUS', use SHOW HELP;"],
    ['SHOW bogus', "08P01 invalid command 'SHOW bogus', use SHOW HELP;"],
    ['DISABLE', '08P01 a database is required'],
    ['PAUSE nope', '08P01 no such database: nope'],
    ['KILL nope', '08P01 no such database: nope'],
    ['KILL_CLIENT 1000', '08P01 client not found'],
    ['KILL_CLIENT nobody', '08P01 invalid client pointer supplied'],
    ['SET foo = 1', '08P01 SET failed'],
    ['RELOAD', 'F0000 RELOAD failed, see logs for additional details', { reload: refuse }],
    ['RESUME', '08P01 pooler is shutting down', { isDraining: true }],
    ['RESUME', '08P01 pooler is not paused/suspended', {}],
    ['RESUME shop', '08P01 database shop is not paused', {}],
    ['SUSPEND', '08P01 already suspended/paused', { isSuspended: true }],
    ['PAUSE', '08P01 already suspended/paused', { isSuspended: true }],
    ['KILL shop', '08P01 already suspended/paused', { isSuspended: true }],
    ['PAUSE', '08P01 admin access needed', {}, 'stats'],
  ])('of %s', async (text, words, more = {}, user = 'weir') => {
    expect(await failure(text, more, user)).toBe(words);
  });

  it('say in DETAIL what Weir says', async () => {
    await expect(run('PAUSE nope')).rejects.toMatchObject({
      detail: expect.stringContaining('there is no database "nope"'),
    });
  });
});
