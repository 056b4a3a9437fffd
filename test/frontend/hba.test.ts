/** auth.type hba and plain at the door: the method `password` with every kind of secret, and names that no rule may be asked about. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { pbkdf2Sync } from 'node:crypto';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { AuthOptions } from '../../src/auth/authenticator.ts';
import { loadAccess } from '../../src/auth/hba/load.ts';
import { md5Hash } from '../../src/auth/md5.ts';
import { scramKeys } from '../../src/auth/scram.ts';
import type { Proven } from '../../src/auth/types.ts';
import { AuthCode } from '../../src/protocol/codes.ts';
import type { Fixture } from './fixture.ts';
import { RawClient, startFixture } from './fixture.ts';

const dir = mkdtempSync(join(tmpdir(), 'weir-door-hba-'));
afterAll(() => rmSync(dir, { recursive: true }));

let fixture: Fixture;
afterEach(() => fixture.stop());

async function open(hba: string, rest: Partial<AuthOptions> = {}): Promise<void> {
  const hbaFile = join(dir, 'hba.conf');
  writeFileSync(hbaFile, hba);
  const loaded = loadAccess({ hbaFile, identFile: undefined, canVerify: false });
  if ('problems' in loaded) throw new Error(loaded.problems.join('\n'));
  fixture = await startFixture({ auth: { type: 'hba', access: loaded.access, users: () => undefined, ...rest } });
}

const keys = scramKeys(pbkdf2Sync('secret', 'a salt of 16 b.', 4096, 32, 'sha256'));
const salt = Buffer.from('a salt of 16 b.').toString('base64');
const verifier = (iterations: number): string =>
  `SCRAM-SHA-256$${iterations}:${salt}$${keys.storedKey.toString('base64')}:${keys.serverKey.toString('base64')}`;

async function logIn(user: string, password: string): Promise<string> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: fixture.port,
    user,
    password: () => password,
    database: 'shop',
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return 'in';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

describe('password', () => {
  it.each([
    ['plain', 'secret', undefined],
    ['md5', `md5${md5Hash('ann', 'secret')}`, undefined],
    ['SCRAM', verifier(4096), keys],
  ])('with a secret that is %s', async (_kind, secret, expected) => {
    const proven: Proven[] = [];
    const users = (name: string): string | undefined => (name === 'ann' ? secret : undefined);
    await open('host all all all password', { users, onProven: (one) => proven.push(one) });
    for (const [user, password] of [
      ['ann', 'wrong'],
      ['ann', secret === 'secret' ? 'secre' : secret],
      ['ann', ''],
      ['eve', 'secret'],
    ] as const) {
      expect(await logIn(user, password)).toBe('28P01');
    }
    expect(proven).toEqual([]);
    expect(await logIn('ann', 'secret')).toBe('in');
    expect(proven).toMatchObject([{ user: 'ann', secret, isFromQuery: false }]);
    expect(proven[0]?.scramKeys).toEqual(expected);
  });

  it('is auth.type plain, too: clear text, and the keys of a SCRAM secret are known then', async () => {
    const proven: Proven[] = [];
    const users = (name: string): string | undefined => (name === 'ann' ? verifier(4096) : undefined);
    fixture = await startFixture({ auth: { type: 'plain', users, onProven: (one) => proven.push(one) } });
    const raw = await RawClient.connect(fixture.port);
    const asked = await raw.startup({ user: 'ann', database: 'shop' }).next();
    expect([asked.type, asked.body.readInt32BE(0)]).toEqual([0x52, AuthCode.CleartextPassword]);
    raw.close();
    expect(await logIn('ann', 'wrong')).toBe('28P01');
    expect(await logIn('eve', 'secret')).toBe('28P01');
    expect(await logIn('ann', 'secret')).toBe('in');
    expect(proven.map(({ scramKeys: of }) => of)).toEqual([keys]);
  });

  it('does not work for minutes because a stored verifier says so', async () => {
    await open('host all all all password', { users: () => verifier(999_999_999) });
    expect(await logIn('ann', 'secret')).toBe('28P01');
  });
});

describe('rules', () => {
  it('are not asked about names that a server would cut to those of others', async () => {
    const name = 'x'.repeat(63);
    await open(`host all ${name} all reject\nhost ${name} all all reject\nhost all all all trust\n`);
    expect(await logIn(name, '')).toBe('28000');
    expect(await logIn(`${name}x`, '')).toBe('28000');
    expect(await logIn('ann', '')).toBe('in');
    const client = (await RawClient.connect(fixture.port)).startup({ user: 'ann', database: `${name}x` });
    expect((await client.refusal()).message).toContain('no pg_hba.conf entry');
    expect(fixture.refusals).toEqual(['hba', 'hba', 'hba']);
  });

  it('without rules, or with none that fits, nobody comes in', async () => {
    await open('host all bob all trust');
    expect(await logIn('ann', '')).toBe('28000');
    await fixture.stop();
    fixture = await startFixture({ auth: { type: 'hba', users: () => 'secret' } });
    expect(await logIn('ann', 'secret')).toBe('28000');
    expect(fixture.clients).toEqual([]);
  });
});
