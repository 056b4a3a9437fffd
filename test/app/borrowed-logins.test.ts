/**
 * Weir may log in to a server as a client that has just done so, as long as that log-in works. Fails if a log-in that was
 * refused is offered again.
 */
import { describe, expect, it } from 'vitest';
import { BorrowedLogins } from '../../src/app/borrowed-logins.ts';
import type { NodeConfig } from '../../src/config/config.ts';

const node = (name: string, user?: string): NodeConfig => ({
  name,
  host: name,
  port: 5432,
  user,
  password: undefined,
  database: undefined,
  weight: 1,
});
const primary = node('primary');
const replica = node('replica');

function open() {
  const secrets = new Map<string, string>();
  const world = { nowMs: 0, changes: 0, secrets, refused: [] as string[] };
  const logins = new BorrowedLogins({
    databaseName: 'shop',
    link: () => Promise.reject(new Error('not used')),
    secretOf: (user) => secrets.get(user),
    nowMs: () => world.nowMs,
    isPrimary: ({ name }) => name === 'primary',
    onChange: () => world.changes++,
    onRefused: (at, user) => world.refused.push(`${user} at ${at.name}`),
  });
  const users = (at: NodeConfig): string[] =>
    logins.of(at, 1000).map(({ key }) => (JSON.parse(key) as string[])[2] as string);
  return { logins, world, users };
}

describe('log-ins of clients', () => {
  it('are offered at every node whose URL names nobody', () => {
    const { logins, world, users } = open();
    logins.accepted(primary, 'ann');
    logins.accepted(node('own', 'app'), 'app');
    expect(world.changes).toBe(1);
    expect([primary, replica, node('own', 'app')].map(users)).toEqual([['ann'], ['ann'], []]);
    logins.accepted(replica, 'ann');
    expect(world.changes).toBe(1);
  });

  it('are a bounded number, and those in use stay', () => {
    const { logins, users } = open();
    for (let i = 0; i < 1000; i++) logins.accepted(primary, `user${i}`);
    expect(users(primary)).toEqual(Array.from({ length: 8 }, (_, i) => `user${i}`));
    logins.refused(replica, 'user3');
    logins.accepted(primary, 'late');
    expect(users(primary)).toHaveLength(8);
    expect(users(primary)).toContain('late');
    expect(users(primary)).not.toContain('user3');
  });

  it('are forgotten when the primary refuses them; a replica is asked again later', () => {
    const { logins, world, users } = open();
    logins.accepted(primary, 'ann');
    logins.accepted(primary, 'bob');
    logins.refused(replica, 'ann');
    expect([users(primary), users(replica)]).toEqual([['ann', 'bob'], ['bob']]);
    world.nowMs += 31_000;
    expect(users(replica)).toEqual(['ann', 'bob']);
    logins.refused(primary, 'ann');
    expect([users(primary), users(replica)]).toEqual([['bob'], ['bob']]);
    expect(world.changes).toBe(4);
    // Another process may have borrowed one that is not known here.
    logins.refused(primary, 'cid');
    logins.refused(node('own', 'app'), 'app');
    expect(world.refused).toEqual(['ann at replica', 'ann at primary', 'cid at primary']);
  });

  it('are not used with another secret than the one that was accepted', () => {
    const { logins, world, users } = open();
    world.secrets.set('ann', 'old');
    logins.accepted(primary, 'ann');
    world.secrets.set('ann', 'new');
    expect(users(primary)).toEqual([]);
    logins.accepted(primary, 'ann');
    expect(users(primary)).toEqual(['ann']);
    world.secrets.delete('ann');
    expect(users(primary)).toEqual([]);
  });
});
