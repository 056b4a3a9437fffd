/**
 * What the log says of writes that wait because Redis cannot be told of them: one line per loss of Redis, however
 * often Weir has connected again. Fails if the line is missing for a loss, or repeated.
 */
import { expect, it } from 'vitest';
import { Announcements } from '../../src/cache/announcements.ts';
import { Lease } from '../../src/cache/lease.ts';
import { storeWords } from '../../src/cache/store-words.ts';
import { users } from './support.ts';

function setUp() {
  const said: string[] = [];
  const redis = { losses: 0 };
  const announcements = new Announcements({
    lease: new Lease(1_000, 60_000, 0),
    log: (_level, _event, text) => void said.push(text),
    words: storeWords.redis,
    now: () => 0,
    send: () => Promise.resolve(false),
    connection: () => 0,
    losses: () => redis.losses,
    tooSlow: () => undefined,
    unannounced: () => undefined,
    ignoresLeases: false,
  });
  const held = async (token: string): Promise<void> => {
    const done = announcements.announce(token, [users], '');
    announcements.ended(token);
    await done;
  };
  return { redis, said, announcements, held };
}

it('says once per loss of Redis that writes wait', async () => {
  const { redis, said, announcements, held } = setUp();
  await held('a:1');
  await held('a:2');
  redis.losses++;
  await held('a:3');
  await held('a:4');
  expect(said).toHaveLength(2);
  expect(said[1]).toContain('until no other Weir can show cached answers');
  expect(announcements.figures).toEqual({ writesHeld: 4, writesUnannounced: 0 });
});

it('does not count a new connection as a loss, nor miss a loss without one', async () => {
  const { redis, said, announcements, held } = setUp();
  redis.losses++;
  announcements.renew(true);
  await held('a:1');
  announcements.renew(true);
  await held('a:2');
  expect(said).toHaveLength(1);
  redis.losses++;
  await held('a:3');
  expect(said).toHaveLength(2);
});
