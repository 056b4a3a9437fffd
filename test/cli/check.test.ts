/** `weir check` against servers that answer like PostgreSQL, and some that do not. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DnsServer } from '../../integration/harness/dns.ts';
import type { FakeAnswer, FakeConsole } from './fake-console.ts';
import { boolType, startFakeConsole, textType } from './fake-console.ts';
import type { CliRun } from './run-in-memory.ts';
import { runInMemory } from './run-in-memory.ts';

const int4Type = 23;
let dir = '';
let fakes: FakeConsole[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'weir-check-'));
});
afterEach(async () => {
  await Promise.all(fakes.map((fake) => fake.close()));
  fakes = [];
  rmSync(dir, { recursive: true });
});

function answer(isReplica: boolean, lsn: string, isStreaming = isReplica): FakeAnswer {
  return {
    columns: [
      ['replica', boolType],
      ['version', textType],
      ['max_connections', int4Type],
      ['lsn', textType],
      ['streaming', boolType],
    ],
    rows: [[isReplica ? 't' : 'f', '18.1 (Debian 18.1-1)', '100', lsn, isStreaming ? 't' : 'f']],
  };
}

async function postgres(reply: FakeAnswer, password?: string): Promise<number> {
  const fake = await startFakeConsole(() => reply, password);
  fakes.push(fake);
  return fake.port;
}

async function closedPort(): Promise<number> {
  const fake = await startFakeConsole(() => ({}));
  await fake.close();
  return fake.port;
}

async function check(config: unknown): Promise<CliRun> {
  const file = join(dir, 'weir.yaml');
  writeFileSync(file, JSON.stringify(config));
  return runInMemory(['check', '--config', file]);
}

const words = (text: string): string[][] => text.split('\n').map((line) => line.trim().split(/ {2,}/));

describe('weir check', () => {
  it('everything is fine: role, lag, version and max_connections of each node', async () => {
    const [one, two] = [await postgres(answer(false, '1000'), 'pw'), await postgres(answer(true, '900'), 'pw')];
    writeFileSync(join(dir, 'users.txt'), '"weir" "w"\n');
    const run = await check({
      databases: {
        shop: {
          primary: { url: `postgres://app:pw@127.0.0.1:${one}/shop`, name: 'p' },
          replicas: [{ url: `postgres://127.0.0.1:${two}`, name: 'r' }],
        },
      },
    });
    expect(run.err).toBe('');
    expect(run.code).toBe(0);
    expect(words(run.out).slice(1, 3)).toEqual([
      ['shop', 'p', `127.0.0.1:${one}`, 'ok', 'primary', '18.1', '100'],
      ['shop', 'r', `127.0.0.1:${two}`, 'ok', 'replica', '100 B', '18.1', '100'],
    ]);
    expect(run.out).toMatch(/users: 2 known \(.*users\.txt\)\neverything is fine\n$/);
  });

  it('says which files it will never be able to write, because their folder is missing', async () => {
    const port = await postgres(answer(false, '1'), 'pw');
    const config = {
      auth: { admin_users: ['app'] },
      databases: { shop: { primary: `postgres://app:pw@127.0.0.1:${port}/shop` } },
    };
    const written = { forecast: { file: 'forecasts.json' }, log: { file: 'weir.log' }, pidfile: 'weir.pid' };
    expect((await check({ ...config, ...written })).code).toBe(0);
    const run = await check({
      ...config,
      forecast: { file: 'gone/forecasts.json' },
      log: { file: 'weir.yaml/weir.log' },
      pidfile: 'gone/weir.pid',
    });
    expect(run.code).toBe(1);
    expect(run.err.trim().split('\n')).toEqual([
      `forecast.file: ${dir}/gone/forecasts.json cannot be written: ${dir}/gone is not a directory`,
      `log.file: ${dir}/weir.yaml/weir.log cannot be written: ${dir}/weir.yaml is not a directory`,
      `pidfile: ${dir}/gone/weir.pid cannot be written: ${dir}/gone is not a directory`,
      '3 problems',
    ]);
  });

  it('says what is wrong, node by node, and exits with 1', async () => {
    const primary = await postgres(answer(true, '5'));
    const wrongRole = await postgres(answer(false, '5'));
    const cut = await postgres(answer(true, '5', false));
    const refused = await postgres(answer(true, '5'), 'other');
    const closed = await closedPort();
    const app = 'postgres://app:hunter2@127.0.0.1';
    const run = await check({
      auth: { admin_users: ['app'] },
      databases: {
        shop: {
          primary: `${app}:${primary}/shop`,
          replicas: [`${app}:${wrongRole}`, `${app}:${cut}`, `${app}:${refused}`, `${app}:${closed}`],
        },
      },
    });
    expect(run.code).toBe(1);
    expect(run.err.trim().split('\n')).toEqual([
      `shop: 127.0.0.1:${primary}: is configured as the primary, but it is a replica (in recovery)`,
      `shop: 127.0.0.1:${wrongRole}: is configured as a replica, but it is a primary (not in recovery)`,
      `shop: 127.0.0.1:${cut}: is a replica, but receives no WAL: it is not streaming`,
      `shop: 127.0.0.1:${refused}: password authentication failed for user "weir"`,
      `shop: 127.0.0.1:${closed}: nobody listens there (ECONNREFUSED)`,
      '5 problems',
    ]);
    expect(run.out.match(/WRONG/g)).toHaveLength(5);
    expect(run.out + run.err).not.toContain('hunter2');
  });

  it('without credentials it only looks whether somebody listens', async () => {
    const [open, closed] = [await postgres(answer(false, '1')), await closedPort()];
    const run = await check({
      auth: { type: 'trust' },
      cache: { enabled: true, redis: `redis://:hunter2@127.0.0.1:${open}` },
      databases: { a: { primary: `postgres://127.0.0.1:${open}` }, b: { primary: `postgres://127.0.0.1:${closed}` } },
    });
    expect(run.code).toBe(1);
    expect(run.out).toContain('note: a: 127.0.0.1: somebody listens; not logged in: no log-in for the monitor');
    expect(run.out).toContain('set "auth": {"user": "NAME"} with a line "NAME" "PASSWORD" in auth.file');
    expect(run.out).toContain(`note: cache.redis: redis://:***@127.0.0.1:${open} is reachable`);
    expect(run.err).toBe('b: 127.0.0.1: nobody listens there (ECONNREFUSED)\n1 problem\n');
  });

  it('auth.user looks at nodes whose URL names no user', async () => {
    const port = await postgres(answer(false, '1'), 'm');
    writeFileSync(join(dir, 'users.txt'), '"monitor" "m"\n');
    const run = await check({
      auth: { user: 'monitor', admin_users: ['monitor'] },
      databases: { a: { primary: `postgres://127.0.0.1:${port}` } },
    });
    expect(run.err).toBe('');
    expect(fakes[0]?.startups.at(-1)).toMatchObject({ user: 'monitor', database: 'a' });
  });

  it('a Redis that is not there', async () => {
    const [open, closed] = [await postgres(answer(false, '1')), await closedPort()];
    const run = await check({
      auth: { type: 'trust' },
      cache: { enabled: true, redis: `redis://127.0.0.1:${closed}` },
      databases: { a: { primary: `postgres://u@127.0.0.1:${open}` } },
    });
    expect(run.err).toBe(`cache.redis: redis://127.0.0.1:${closed}: nobody listens there (ECONNREFUSED)\n1 problem\n`);
  });

  it('problems of the configuration and of files', async () => {
    const tls = { client: { cert: 'gone.pem', key: 'gone.key' } };
    const run = await check({ tls, databases: { a: { primary: 'postgres://db1' } } });
    expect(run.code).toBe(1);
    expect(run.err).toMatch(
      /tls\.client\.cert: the file .*gone\.pem does not exist\n.*gone\.key does not exist\n2 problems\n/,
    );
    writeFileSync(join(dir, 'users.txt'), 'oops\n');
    expect((await check({ databases: { a: { primary: 'postgres://db1' } } })).err).toMatch(
      /users\.txt: line 1: .*\n1 problem/,
    );
  });
});

it('says what DNS answers for replicas found there', async () => {
  const dns = await DnsServer.start();
  try {
    dns.setAddresses('r.test', ['10.0.0.2', 'fd00::2']);
    dns.setServices('_pg._tcp.test', [{ target: 'r.test', port: 5433 }]);
    const of = (kind: string, host: string): object => ({ url: `postgres://${host}`, dns: kind });
    const shop = {
      primary: `postgres://app:pw@127.0.0.1:${await postgres(answer(false, '1000'))}`,
      replicas: [of('a', 'r.test'), of('srv', '_pg._tcp.test'), of('a', 'gone.test')],
    };
    const { out, err, code } = await check({
      auth: { type: 'trust' },
      databases: { shop },
      routing: { dns_servers: [dns.address] },
    });
    expect(out).toContain('note: shop: r.test in DNS: 10.0.0.2:5432, [fd00::2]:5432');
    expect(out).toContain('note: shop: _pg._tcp.test in DNS: 10.0.0.2:5433, [fd00::2]:5433');
    expect(err).toContain('shop: gone.test in DNS: it has no address');
    expect(code).toBe(1);
  } finally {
    await dns.stop();
  }
});
