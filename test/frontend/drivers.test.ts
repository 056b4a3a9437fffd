/** Every method of authentication with every form of secret, as real drivers see it. */
import { pbkdf2Sync } from 'node:crypto';
import pg from 'pg';
import postgres from 'postgres';
import { describe, expect, it } from 'vitest';
import { md5Hash } from '../../src/auth/md5.ts';
import { scramKeys } from '../../src/auth/scram.ts';
import type { ScramKeys } from '../../src/auth/scram.ts';
import type { AuthType } from '../../src/auth/methods/table.ts';
import { startFixture } from './fixture.ts';
import type { Fixture } from './fixture.ts';

const user = 'ann';
const password = 'p\u00e4ssw\u00f6rd "quoted"';

function scramSecret(text: string): string {
  const salt = Buffer.from('0123456789abcdef');
  const keys = scramKeys(pbkdf2Sync(text, salt, 4096, 32, 'sha256'));
  const [stored, server] = [keys.storedKey, keys.serverKey].map((key) => key.toString('base64'));
  return `SCRAM-SHA-256$4096:${salt.toString('base64')}$${stored}:${server}`;
}

const secrets = {
  plain: password,
  md5: `md5${md5Hash(user, password)}`,
  scram: scramSecret(password),
};

async function withPg(fixture: Fixture, login: { user: string; password: string }): Promise<string> {
  const client = new pg.Client({ host: '127.0.0.1', port: fixture.port, database: 'shop', ...login });
  try {
    await client.connect();
    return ((await client.query('SELECT 1')).rows[0] as { who: string }).who;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function withPostgresJs(fixture: Fixture, login: { user: string; password: string }): Promise<string> {
  const sql = postgres({
    host: '127.0.0.1',
    port: fixture.port,
    database: 'shop',
    max: 1,
    fetch_types: false,
    connect_timeout: 20,
    ...login,
  });
  try {
    const rows = await sql.unsafe('SELECT 1');
    return (rows[0] as unknown as { who: string }).who;
  } finally {
    await sql.end({ timeout: 0 });
  }
}

const drivers = { pg: withPg, 'postgres.js': withPostgresJs };

async function withFixture(type: AuthType, secret: string, use: (fixture: Fixture) => Promise<void>): Promise<void> {
  const fixture = await startFixture({ auth: { type, users: (name) => (name === user ? secret : undefined) } });
  try {
    await use(fixture);
  } finally {
    await fixture.stop();
  }
}

describe.each(Object.entries(drivers))('%s', (_driver, logIn) => {
  it('trust takes anybody', () =>
    withFixture('trust', '', async (fixture) => {
      expect(await logIn(fixture, { user: 'nobody', password: 'x' })).toBe('nobody');
    }));

  it.each([
    ['md5', 'plain'],
    ['md5', 'md5'],
    ['md5', 'scram'],
    ['scram-sha-256', 'plain'],
    ['scram-sha-256', 'scram'],
  ] as const)('%s with a secret that is %s: the right password, twice; the wrong one; an unknown user', (type, form) =>
    withFixture(type, secrets[form], async (fixture) => {
      expect(await logIn(fixture, { user, password })).toBe(user);
      expect(await logIn(fixture, { user, password })).toBe(user);
      const said = (name: string) => `password authentication failed for user "${name}"`;
      await expect(logIn(fixture, { user, password: 'wrong' })).rejects.toMatchObject({
        code: '28P01',
        severity: 'FATAL',
        message: said(user),
      });
      await expect(logIn(fixture, { user: 'eve', password })).rejects.toMatchObject({
        code: '28P01',
        message: said('eve'),
      });
      expect(fixture.refusals).toEqual(['wrong-password', 'wrong-password']);
      expect(fixture.logged.join('\n')).toContain('no such user');
      expect(fixture.logged.join('\n')).not.toContain(secrets[form]);
    }),
  );

  it('scram-sha-256 with an md5 secret fails closed, and the log says why', () =>
    withFixture('scram-sha-256', secrets.md5, async (fixture) => {
      await expect(logIn(fixture, { user, password })).rejects.toMatchObject({ code: '28P01' });
      expect(fixture.logged.join('\n')).toContain('md5 hash, which SCRAM cannot use');
    }));

  it.each(['md5', 'scram-sha-256'] as const)('%s: an empty secret lets nobody in', (type) =>
    withFixture(type, '', async (fixture) => {
      await expect(logIn(fixture, { user, password: '' })).rejects.toBeDefined();
      expect(fixture.clients).toHaveLength(0);
    }),
  );
});

describe('SCRAM keys', () => {
  it('are given out when a client proved them against a stored verifier, and only then', async () => {
    const proven: [string, ScramKeys][] = [];
    const fixture = await startFixture({
      auth: {
        type: 'scram-sha-256',
        users: (name) => (name === user ? secrets.scram : undefined),
        onProven: ({ user: name, scramKeys }) => scramKeys !== undefined && proven.push([name, scramKeys]),
      },
    });
    try {
      await expect(withPg(fixture, { user, password: 'wrong' })).rejects.toBeDefined();
      expect(proven).toEqual([]);
      await withPg(fixture, { user, password });
      const expected = scramKeys(pbkdf2Sync(password, '0123456789abcdef', 4096, 32, 'sha256'));
      expect(proven).toEqual([[user, expected]]);
    } finally {
      await fixture.stop();
    }
  });

  it('a crowd that logs in at once as the same user with a plain secret is served', () =>
    withFixture('scram-sha-256', secrets.plain, async (fixture) => {
      const names = await Promise.all(Array.from({ length: 40 }, () => withPg(fixture, { user, password })));
      expect(names).toEqual(Array.from({ length: 40 }, () => user));
    }));
});
