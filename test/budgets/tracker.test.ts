/**
 * Burn rates behind a clock. Fails if a burn rate is wrong, if slow statements of more than an hour ago still count, if something
 * is "ok" that is not known, or if memory is not bounded.
 */
import { describe, expect, it } from 'vitest';
import { mostDatabases } from '../../src/budgets/tracker.ts';
import { Scene } from './support.ts';

const hour = 3600;

describe('reads p95 <= 50ms', () => {
  it('burn at 1 if 5 % are slower: the budget of an hour is used up after an hour', () => {
    const scene = new Scene('{ reads: { p95: 50ms } }');
    scene.run(hour / 2, { reads: { 10: 95, 100: 5 } });
    expect(scene.row()).toMatchObject({ burn5m: 1, burn1h: 1, state: 'unknown' });
    scene.run(hour / 2, { reads: { 10: 95, 100: 5 } });
    expect(scene.row()).toMatchObject({ burn5m: 1, burn1h: 1, state: 'spent', objective: 'p95 <= 50ms' });
    expect(scene.row().why).toBe(
      '5% of 360000 reads in the last hour took longer than 50ms, 5% may: the budget of an hour is used up',
    );
  });

  it('ok only after an hour; before that unknown, with what is known', () => {
    const scene = new Scene('{ reads: { p95: 50ms } }');
    expect(scene.row()).toMatchObject({ state: 'unknown', burn5m: null, burn1h: null, value: null });
    scene.run(60, { reads: { 10: 98, 100: 2 } });
    expect(scene.row()).toMatchObject({ state: 'unknown', burn5m: 0.4, burn1h: 0.4 });
    expect(scene.row().why).toBe(
      '2% of 6000 reads in the last hour took longer than 50ms, 5% may, but observed for 60 s only',
    );
    scene.run(hour, { reads: { 10: 98, 100: 2 } });
    expect(scene.row()).toMatchObject({ state: 'ok', burn5m: 0.4, burn1h: 0.4 });
  });

  it('burning while the last five minutes are too slow, even if observed for seconds; ok again later', () => {
    const scene = new Scene('{ reads: { p95: 50ms } }');
    scene.run(10, { reads: { 100: 10 } });
    expect(scene.row()).toMatchObject({ burn5m: 20, burn1h: 20, state: 'burning' });
    expect(scene.row().why).toBe(
      '100% of 100 reads in the last 5 minutes took longer than 50ms, 5% may: 20 times as fast as allowed',
    );
    scene.run(hour - 10, { reads: { 10: 100 } });
    const { state, burn1h, burn5m } = scene.row();
    expect(state).toBe('ok');
    expect(burn5m).toBe(0);
    expect(burn1h).toBeLessThan(0.02);
  });

  it('spent by an outage of five minutes, until an hour has passed', () => {
    const scene = new Scene('{ reads: { p95: 50ms } }');
    scene.run(hour, { reads: { 10: 100 } });
    scene.run(360, { reads: { 10: 50, 250: 50 } });
    expect(scene.row()).toMatchObject({ burn5m: 10, burn1h: 1, state: 'spent' });
    scene.run(1800, { reads: { 10: 100 } });
    expect(scene.row()).toMatchObject({ burn5m: 0, burn1h: 1, state: 'spent' });
    scene.run(1800, { reads: { 10: 100 } });
    expect(scene.row()).toMatchObject({ burn5m: 0, burn1h: 0, state: 'ok' });
  });

  it('unknown without reads in the last five minutes, or in the last hour', () => {
    const scene = new Scene('{ reads: { p95: 50ms } }');
    scene.run(60, { writes: { 10: 100 }, statements: 100 });
    expect(scene.row()).toMatchObject({ burn1h: null, state: 'unknown', value: null });
    expect(scene.row().why).toBe('no reads in the last hour, but observed for 60 s only');
    scene.run(60, { reads: { 10: 1 } });
    scene.run(600);
    expect(scene.row()).toMatchObject({ burn5m: null, burn1h: 0, state: 'unknown' });
    expect(scene.row().why).toBe('no reads in the last 5 minutes, but observed for 12 min only');
    scene.run(hour);
    expect(scene.row()).toMatchObject({ burn5m: null, burn1h: null, state: 'unknown' });
    expect(scene.row().why).toBe('no reads in the last hour');
  });

  it('a limit within a bucket of the histogram is an estimate', () => {
    const scene = new Scene('{ reads: { p50: 75ms } }');
    scene.run(60, { reads: { 100: 10 } });
    // From 50 to 100 ms, spread evenly: half of them are above 75 ms.
    expect(scene.row().burn5m).toBe(1);
  });

  it('what took longer than all buckets is slower than any limit', () => {
    const scene = new Scene('{ reads: { p99: 10s } }');
    scene.run(60, { reads: { 10: 99, 30_000: 1 } });
    expect(scene.row().burn5m).toBe(1);
  });

  it('the value is that of the last minute', () => {
    const scene = new Scene('{ reads: { p95: 50ms } }');
    scene.run(300, { reads: { 1000: 100 } });
    expect(scene.row().value).toBeGreaterThan(0.5);
    scene.run(60, { reads: { 10: 100 } });
    expect(scene.row().value).toBeCloseTo(0.00975);
  });
});

it('writes are judged by writes', () => {
  const scene = new Scene('{ reads: { p95: 50ms }, writes: { p99: 200ms } }');
  scene.run(60, { reads: { 10: 100 }, writes: { 100: 98, 500: 2 } });
  expect(scene.row('writes_p99')).toMatchObject({ burn5m: 2, state: 'burning' });
  expect(scene.row('reads_p95')).toMatchObject({ burn5m: 0, state: 'unknown' });
});

describe('errors', () => {
  it('burn by the share of statements that could not be served', () => {
    const scene = new Scene('{ errors: 0.1% }');
    scene.run(hour, { statements: 1000, unserved: 0 });
    expect(scene.row()).toMatchObject({ burn5m: 0, burn1h: 0, state: 'ok', value: 0 });
    scene.run(60, { statements: 1000, unserved: 10 });
    expect(scene.row()).toMatchObject({ burn5m: 2, state: 'burning', value: 0.01 });
    expect(scene.row().why).toBe(
      '0.2% of 300000 statements in the last 5 minutes could not be served, 0.1% may: 2 times as fast as allowed',
    );
  });

  it('statements that were lost with their connections count, though they are not among the answered', () => {
    const scene = new Scene('{ errors: 10% }');
    scene.run(60, { statements: 0, unserved: 1 });
    expect(scene.row()).toMatchObject({ burn5m: 10, value: 1 });
  });
});

describe('utilisation and lag', () => {
  it('burn by the share of the time above the limit, of which 1 % may be', () => {
    const scene = new Scene('{ pool_utilisation: 80%, replica_lag: 100ms }');
    scene.utilisation = { value: 0.5 };
    scene.lag = { value: 0.1 };
    scene.run(hour);
    expect(scene.row('pool_utilisation')).toMatchObject({ value: 0.5, burn1h: 0, state: 'ok' });
    expect(scene.row('replica_lag')).toMatchObject({ value: 0.1, burn1h: 0, state: 'ok' });
    scene.utilisation = { value: 0.9 };
    scene.run(30);
    expect(scene.row('pool_utilisation')).toMatchObject({ value: 0.9, burn5m: 10, state: 'burning' });
    scene.run(30);
    expect(scene.row('pool_utilisation')).toMatchObject({ burn5m: 20, state: 'spent' });
    expect(scene.row('pool_utilisation').why).toBe(
      'above 80% in 1.667% of the last hour, 1% may be: the budget of an hour is used up',
    );
  });

  it('unknown, with the reason, if never known; what is not known for a while is left out', () => {
    const scene = new Scene('{ replica_lag: 100ms }');
    scene.run(hour);
    expect(scene.row()).toMatchObject({ state: 'unknown', why: 'no replicas', burn1h: null, value: null });
    scene.lag = { value: 5 };
    scene.run(10);
    scene.lag = { unknown: 'no replica is up' };
    scene.run(600);
    expect(scene.row()).toMatchObject({ value: null, burn5m: null, burn1h: 100 });
    expect(scene.row().state).toBe('spent');
  });
});

describe('of a tag', () => {
  const text = '{ reads: { p95: 50ms }, tags: { checkout: { reads: { p95: 50ms }, errors: 1% } } }';

  it('only its statements burn it', () => {
    const scene = new Scene(text);
    scene.happen({ reads: { 10: 1 }, statements: 1 }, 'checkout');
    scene.run(5);
    scene.happen({ reads: { 100: 10 }, statements: 10, unserved: 5 });
    scene.happen({ reads: { 10: 9, 100: 1 }, statements: 10, unserved: 1 }, 'checkout');
    scene.run(5);
    expect(scene.row('checkout:reads_p95')).toMatchObject({ burn5m: 2 });
    expect(scene.row('checkout:errors')).toMatchObject({ burn5m: 10, value: 0.1 });
    expect(scene.row('reads_p95')).toMatchObject({ burn5m: 10.48 });
  });

  it('without a statement nothing is known', () => {
    const scene = new Scene(text);
    scene.run(60, { reads: { 10: 1 }, statements: 1 });
    expect(scene.row('checkout:reads_p95')).toMatchObject({ value: null, burn5m: null, state: 'unknown' });
    expect(scene.row('checkout:errors').why).toContain('no statements');
  });
});

describe('what changes', () => {
  it('another limit begins anew; other budgets go on', () => {
    const scene = new Scene('{ reads: { p95: 50ms }, errors: 1% }');
    scene.run(600, { reads: { 100: 10 }, statements: 10 });
    expect(scene.row('reads_p95').state).toBe('spent');
    scene.objectives = new Scene('{ reads: { p95: 500ms }, errors: 1% }').objectives;
    expect(scene.row('reads_p95')).toMatchObject({ state: 'unknown', why: 'not observed yet', observedMs: 0 });
    scene.run(10, { reads: { 100: 10 }, statements: 10 });
    expect(scene.row('reads_p95')).toMatchObject({ burn5m: 0, burn1h: 0, state: 'unknown' });
    expect(scene.row('errors').observedMs).toBe(610_000);
    scene.objectives = [];
    scene.sample();
    expect(scene.rows()).toEqual([]);
  });

  it('what was counted before the first sample is not taken for the last five minutes', () => {
    const scene = new Scene('{ reads: { p95: 50ms } }');
    scene.happen({ reads: { 1000: 1e6 } });
    scene.tracker.forget();
    expect(scene.row().why).toBe('not observed yet');
    scene.sample();
    scene.run(10, { reads: { 10: 1 } });
    expect(scene.row()).toMatchObject({ burn5m: 0 });
  });

  it('counts that fall, as those of a worker that does not answer, are nothing that has happened', () => {
    const scene = new Scene('{ reads: { p95: 50ms }, errors: 1% }');
    scene.run(60, { reads: { 10: 10 }, statements: 10, unserved: 0 });
    scene.restart();
    scene.run(60, { reads: { 10: 10 }, statements: 10 });
    expect(scene.rows().map(({ burn5m }) => burn5m)).toEqual([0, 0]);
  });

  it('a gap in the samples empties the time between', () => {
    const scene = new Scene('{ reads: { p95: 50ms } }');
    scene.run(60, { reads: { 100: 10 } });
    scene.nowMs += 2 * hour * 1000;
    expect(scene.row()).toMatchObject({ burn1h: null });
    scene.run(10, { reads: { 10: 10 } });
    expect(scene.row()).toMatchObject({ burn5m: 0, burn1h: 0, state: 'ok' });
  });
});

it(`observes ${mostDatabases} databases at most, and says so of the others`, () => {
  const scene = new Scene('{ errors: 1% }');
  const names = Array.from({ length: mostDatabases + 5 }, (_, i) => `db${i}`);
  scene.tracker.sample(
    names.map((name) => scene.reading(name)),
    () => scene.objectives,
    scene.nowMs,
  );
  const rows = scene.tracker.figures(names, () => scene.objectives, scene.nowMs + 5000);
  expect(rows.filter(({ observedMs }) => observedMs > 0)).toHaveLength(mostDatabases);
  expect(rows.at(-1)).toMatchObject({ state: 'unknown' });
  expect(rows.at(-1)?.why).toContain('more than 100 databases');
});
