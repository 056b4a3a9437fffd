/**
 * What is refused and what is not, in words that say when to try again; what a refusal costs; what a reload keeps; what is
 * shown, counted and logged.
 */
import { describe, expect, it } from 'vitest';
import { limiterOf, rules, who } from './support.ts';

describe('statements', () => {
  it('over the limit are refused with the time after which they are not', () => {
    const { limiter, clock, run } = limiterOf([{ user: '*', statements: '10/s', burst: 2 }]);
    expect([run(), run()]).toEqual([undefined, undefined]);
    const error = limiter.take(limiter.accountOf(who(), undefined), 1);
    expect(error?.sqlstate).toBe('53400');
    expect(error?.message).toBe('the limit "user=*" of 10 statements/s is reached for user=alice');
    expect(error?.hint).toBe('Try again in 100 ms.');
    expect(run(who('bob'))).toBeUndefined();
    clock.advance(100);
    expect(run()).toBeUndefined();
    expect(run()).toBeDefined();
  });

  it('that are refused take nothing: who tries again at once comes through all the same', () => {
    const { clock, run } = limiterOf([{ user: '*', statements: '10/s', burst: 1 }]);
    run();
    let passed = 0;
    for (let i = 0; i < 1_000; i++) {
      clock.advance(1);
      if (run() === undefined) passed++;
    }
    expect(passed).toBe(10);
  });

  it('must be within all limits, and none is used if one refuses', () => {
    const { limiter, run } = limiterOf([
      { user: '*', statements: '1/s', burst: 100 },
      { database: 'shop', statements: '1/s', burst: 1 },
    ]);
    expect(run()).toBeUndefined();
    expect(run()).toContain('database=shop');
    expect(limiter.figures(undefined)[0]?.whom[0]?.tokens).toBe(99);
  });

  it('of one batch pass together, and what is too much is paid back', () => {
    const { clock, run } = limiterOf([{ user: '*', statements: '10/s', burst: 5 }]);
    expect(run(who(), 25)).toBeUndefined();
    clock.advance(2_000);
    expect(run()).toBeDefined();
    clock.advance(200);
    expect(run()).toBeUndefined();
  });

  it('that cannot be refused are counted', () => {
    const { limiter, run } = limiterOf([{ user: '*', statements: '10/s', burst: 2 }]);
    const account = limiter.accountOf(who(), undefined);
    for (let i = 0; i < 10; i++) limiter.spend(account, 1);
    expect(limiter.figures(undefined)[0]?.whom[0]?.tokens).toBe(-8);
    expect(run()).toBeDefined();
  });

  it('of whom no rule concerns are not limited', () => {
    const { limiter, run } = limiterOf([{ user: 'batch', statements: '1/h' }]);
    for (let i = 0; i < 100; i++) expect(run()).toBeUndefined();
    expect(limiter.figures(undefined)[0]?.buckets).toBe(0);
  });
});

describe('bytes and connections', () => {
  it('bytes over the limit refuse the next statement', () => {
    const { limiter, clock, run } = limiterOf([{ user: '*', bytes: '1KB/s' }]);
    expect(run()).toBeUndefined();
    limiter.spendBytes(limiter.accountOf(who(), undefined), 3 * 1024);
    expect(run()).toBe('the limit "user=*" of 1KB/s is reached for user=alice');
    expect(limiter.figures(undefined)[0]?.rate).toBe('1KB/s');
    clock.advance(2_001);
    expect(run()).toBeUndefined();
  });

  it('connections have limits of their own', () => {
    const { connect, run } = limiterOf([{ address: '*', connections: '1/m' }]);
    expect(connect()).toBeUndefined();
    expect(connect(who('bob'))).toBe('the limit "address=*" of 1 connections/m is reached for address=10.1.2.3');
    expect(connect(who('alice', 'shop', '10.1.2.4'))).toBeUndefined();
    expect(run()).toBeUndefined();
  });
});

describe('a change of the rules', () => {
  const everybody = { user: '*', statements: '1/h', burst: 2 };
  const shop = { database: 'shop', statements: '1/h', burst: 3 };

  it('keeps the buckets and counts of those that stay as they are', () => {
    const { limiter, run } = limiterOf([everybody]);
    for (let i = 0; i < 3; i++) run();
    limiter.change(rules(shop, everybody));
    expect(run()).toContain('user=*');
    expect(limiter.figures(undefined).map(({ name, refused }) => [name, refused])).toEqual([
      ['database=shop', 0],
      ['user=*', 2],
    ]);
  });

  it('begins anew with a rule that has another rate, and forgets the buckets of one that is gone', () => {
    const { limiter, run } = limiterOf([everybody]);
    for (let i = 0; i < 3; i++) run();
    limiter.change(rules({ ...everybody, statements: '2/h' }));
    expect(run()).toBeUndefined();
    limiter.change([]);
    expect(limiter.figures(undefined)).toEqual([]);
    limiter.change(rules(everybody));
    expect(run()).toBeUndefined();
  });

  it('concerns clients that have asked before', () => {
    const { limiter } = limiterOf([shop]);
    const before = limiter.accountOf(who(), undefined);
    expect(limiter.accountOf(who(), before)).toBe(before);
    limiter.change(rules(everybody));
    expect(limiter.accountOf(who(), before).statements.map(({ limit }) => limit.name)).toEqual(['user=*']);
  });
});

describe('what is said', () => {
  it('shows the emptiest buckets first, a hundred at most, and counts them all', () => {
    const { limiter, run } = limiterOf([{ user: '*', statements: '1/h', burst: 200 }]);
    for (let i = 0; i < 150; i++) for (let j = 0; j <= i; j++) run(who(`u${i}`));
    const [figures] = limiter.figures('gone');
    expect(figures).toMatchObject({ name: 'user=*', kind: 'statements', rate: '1/h', burst: 200, buckets: 150 });
    expect(figures?.problem).toBe('gone');
    expect(figures?.whom).toHaveLength(100);
    expect(figures?.whom[0]?.whom).toBe('user=u149');
  });

  it('logs the first refusal of a limit in a minute, however many there are', () => {
    const { clock, lines, run } = limiterOf([{ user: '*', statements: '1/h' }]);
    run();
    for (let i = 0; i < 500; i++) run();
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('limit_refused: the limit "user=*" of 1 statements/h is reached for user=alice');
    clock.advance(60_000);
    run();
    expect(lines).toHaveLength(2);
  });

  it('refuses whom a limit concerns when limits cannot be known, and nobody else', () => {
    let why: string | undefined = 'connection refused';
    const { run, connect, limiter } = limiterOf(
      [
        { user: 'alice', statements: '100/s' },
        { user: 'alice', connections: '100/s' },
      ],
      { unknownWhy: () => why },
    );
    expect(run()).toContain('is gone: connection refused');
    expect(connect()).toContain('is gone: connection refused');
    expect([run(who('bob')), connect(who('bob'))]).toEqual([undefined, undefined]);
    expect(limiter.figures(why).map(({ refused }) => refused)).toEqual([1, 1]);
    why = undefined;
    expect([run(), connect()]).toEqual([undefined, undefined]);
  });

  it('has a bounded number of buckets, however many names there are', () => {
    const { limiter, run } = limiterOf([{ user: '*', statements: '1/h', burst: 10 }], { mostBuckets: 50 });
    for (let i = 0; i < 5_000; i++) run(who(`u${i}`));
    expect(limiter.figures(undefined)[0]?.buckets).toBe(50);
  });
});
