/** Where a statement is counted: reads on the primary apart from what else it does, and failures that are not the statement's own. */
import { describe, expect, it } from 'vitest';
import { countAnswer, countCutOff, countTags } from '../../src/request/count.ts';
import { newDatabaseStats } from '../../src/session/database-stats.ts';
import { readHints } from '../../src/sql/hints.ts';
import { Request } from '../../src/session/request.ts';
import type { Session } from '../../src/session/session.ts';
import { durationPlaces } from '../../src/session/types.ts';
import { fakeNode } from '../console/fakes.ts';

function scene() {
  const stats = newDatabaseStats('shop');
  const lines: string[] = [];
  const services = {
    statements: { active: undefined },
    log: (_level: string, _event: string, message: string) => void lines.push(message),
  };
  const session = { database: { stats }, services, wasActive: () => undefined } as unknown as Session;
  const count = (change: (request: Request) => void): void => {
    const request = new Request();
    change(request);
    countAnswer(session, request, 30);
  };
  const placesUsed = (): unknown[] =>
    durationPlaces.flatMap((place, i) => ((stats.durations[i]?.[8] ?? 0) > 0 ? [place] : []));
  return { stats, session, count, placesUsed, lines };
}

const on = (role: 'primary' | 'replica') => fakeNode({ role });

describe('durations', () => {
  it.each([
    [
      'a read on the primary',
      { route: 'primary', isRead: true },
      (request: Request) => (request.target.node = on('primary')),
    ],
    [
      'a write',
      { route: 'primary', isRead: false },
      (request: Request) => {
        request.target.node = on('primary');
        request.planned.noRead('writes');
      },
    ],
    [
      'a read on a replica',
      { route: 'replica', isRead: true },
      (request: Request) => (request.target.node = on('replica')),
    ],
    ['a hit', { route: 'cache', isRead: true }, (request: Request) => (request.cache.label = 'hit')],
    ['what Weir answers itself', { route: 'none' }, () => undefined],
  ])('%s', (_what, place, change) => {
    const { stats, count, placesUsed } = scene();
    count(change);
    expect(placesUsed()).toEqual([place]);
    expect(stats.queries).toBe(1);
    expect(stats.durationSums.reduce((a, b) => a + b)).toBeCloseTo(0.03);
  });
});

describe('times', () => {
  it('that of the server is without the wait for it, and a hit has none', () => {
    const { stats, count } = scene();
    count((request) => {
      request.receivedAtMs = 10;
      request.attempt.sentAtMs = 25;
    });
    count((request) => (request.cache.label = 'hit'));
    expect(stats).toMatchObject({ serverMs: 5, waitMs: 15, queryMs: 20 + 30 });
  });
});

describe('hints', () => {
  it('with a word that is ignored are counted, and logged at the first, the tenth, the hundredth', () => {
    const { stats, count, lines } = scene();
    const wrong = readHints(Buffer.from('/* weir: priority=high, */ SELECT 1'), 27, 35);
    expect(wrong?.problem).toContain('priority=high,');
    for (let i = 0; i < 120; i++) count((request) => (request.hints = wrong));
    count(() => undefined);
    expect(stats.ignoredHints).toBe(120);
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain('weir hint priority=high,: high, normal or low');
  });
});

describe('tags', () => {
  const hints = { tags: ['checkout', 'user:42', 'other'] } as unknown as Request['hints'];
  const of = (...tags: string[]) => ({ tags: Object.fromEntries(tags.map((tag) => [tag, []])) });

  it('only those with a budget are counted, also of what is cut off', () => {
    const { stats, session, count } = scene();
    countTags(stats, of('checkout', 'user:42'));
    count(() => undefined);
    count((request) => {
      request.hints = hints;
      request.cache.label = 'hit';
    });
    count((request) => {
      request.hints = hints;
      request.target.node = on('primary');
      request.planned.noRead('writes');
      request.attempt.failed(true);
    });
    const lost = new Request();
    lost.hints = hints;
    countCutOff(session, [lost], true);
    const [checkout, user] = stats.tagged;
    expect(checkout).toMatchObject({ tag: 'checkout', statements: 2, unserved: 2 });
    expect([checkout?.reads[8], checkout?.writes[8]]).toEqual([1, 1]);
    expect(user).toMatchObject({ tag: 'user:42', statements: 2, unserved: 2 });
  });

  it('what has been counted stays when the tags change', () => {
    const { stats, count } = scene();
    countTags(stats, of('checkout', 'user:42'));
    count((request) => (request.hints = hints));
    countTags(stats, of('other', 'checkout'));
    expect(stats.tagged.map(({ tag, statements }) => [tag, statements])).toEqual([
      ['other', 0],
      ['checkout', 1],
    ]);
    countTags(stats, {});
    expect(stats.tagged).toEqual([]);
  });
});

describe('failures', () => {
  it('are counted as not served only if they are not their own; the first error of a request decides', () => {
    const { stats, count } = scene();
    count(({ attempt }) => attempt.failed());
    count(({ attempt }) => attempt.failed(true));
    count(({ attempt }) => {
      attempt.failed();
      attempt.failed(true);
    });
    count(() => undefined);
    expect([stats.unserved, stats.queries]).toEqual([1, 4]);
    expect(stats.byLabel.reduce((sum, n, i) => sum + (i % 2 === 1 ? n : 0), 0)).toBe(3);
  });

  it('of requests whose connection ends with them are counted, too', () => {
    const { stats, session } = scene();
    countCutOff(session, [new Request(), new Request(), new Request()], true);
    countCutOff(session, [new Request()], false);
    expect([stats.unserved, stats.queries]).toEqual([3, 0]);
  });
});
