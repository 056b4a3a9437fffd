/**
 * The state file of forecasts: whatever is in it, Weir goes on, says so in one line, and nothing is lost. Fails if a file that
 * cannot be used is overwritten, if half a file can ever be read, or if the log repeats itself.
 */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bucketMs, bucketsPerDay } from '../../src/forecast/buckets.ts';
import { Forecasting } from '../../src/forecast/forecasting.ts';
import { PoolForecast } from '../../src/forecast/pool-forecast.ts';
import { writeState } from '../../src/forecast/state-file.ts';
import { decodeState, encodeState } from '../../src/forecast/state-format.ts';
import type { PoolForecastState } from '../../src/forecast/types.ts';
import { fakePoolStats } from '../console/fakes.ts';

const monday = Date.UTC(2026, 0, 5);
const day = 86_400_000;
const now = monday + 3 * day;

function state(user = 'app', seenAtMs = now): PoolForecastState {
  const forecast = new PoolForecast({ database: 'shop', user, node: 'db1' }, seenAtMs);
  for (let i = 0; i < 3 * bucketsPerDay; i++) forecast.add(monday / bucketMs + i, (i * 7) % 13);
  return forecast.state();
}

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weir-forecast-'));
  path = join(folder, 'forecast.json');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

class World {
  readonly logged: string[] = [];
  file: string | undefined = path;
  nowMs = 0;
  epochMs = now;
  readonly forecasting = new Forecasting({
    settings: () => ({ file: this.file, confidence: 0.8, aheadMs: 60_000 }),
    nowMs: () => this.nowMs,
    epochMs: () => this.epochMs,
    log: (level, event, message) => void this.logged.push(`${level} ${event}: ${message}`),
  });

  /** @param load connections that the pool needs */
  async live(ms: number, load: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 10_000) {
      this.nowMs += 10_000;
      this.epochMs += 10_000;
      this.forecasting.tick();
      this.forecasting.observe(fakePoolStats(), load);
      await this.forecasting.saved();
    }
  }
}

/** What is in the file, as the next Weir would read it. */
function kept(at = path, nowMs = now + day): readonly PoolForecastState[] | string {
  const read = decodeState(readFileSync(at, 'utf8'), nowMs);
  return 'pools' in read ? read.pools : read.problem;
}

test('what is written is read again, to the thousandth', () => {
  const [read] =
    'pools' in decodeState(encodeState([state()], now), now) ? [decodeState(encodeState([state()], now), now)] : [];
  if (read === undefined || !('pools' in read)) throw new Error('it was not read');
  const [pool] = read.pools;
  const { workdays } = state();
  expect(pool).toMatchObject({ database: 'shop', user: 'app', node: 'db1', seenAtMs: now });
  expect(pool?.workdays.level).toBeCloseTo(workdays.level ?? NaN, 3);
  expect(pool?.workdays).toMatchObject({ updates: workdays.updates, lastBucket: workdays.lastBucket });
  pool?.workdays.season.forEach((each, slot) => expect(each).toBeCloseTo(workdays.season[slot] ?? NaN, 3));
  expect(pool?.weekends.level).toBeUndefined();
  expect(encodeState(read.pools, now)).toBe(encodeState([state()], now));
});

test('it is small: a pool has less than 6 KB, and there are at most a thousand', () => {
  expect(encodeState([state()], now).length).toBeLessThan(6_000);
  const many = Array.from({ length: 1_001 }, (_, i) => ({ ...state(), user: `user ${i}` }));
  expect(decodeState(encodeState(many, now), now)).toHaveProperty('problem');
  expect(decodeState(encodeState(many.slice(1), now), now)).toHaveProperty('pools.999.user', 'user 1000');
});

const good = encodeState([state()], now);
const other = (change: (file: Record<string, unknown>) => void): string => {
  const file = JSON.parse(good) as Record<string, unknown>;
  change(file);
  return JSON.stringify(file);
};
/** With a checksum that matches. */
const forged = (change: (pool: Record<string, unknown>) => void): string => {
  const pool = { ...state() } as Record<string, unknown>;
  change(pool);
  return encodeState([pool as unknown as PoolForecastState], now);
};

const bad: readonly (readonly [string, string, RegExp])[] = [
  ['nothing', '', /not JSON/],
  ['half a file', good.slice(0, good.length / 2), /not JSON/],
  ['bytes', '\0\xff\x01'.repeat(50), /not JSON/],
  ['null', 'null', /not a file of forecasts/],
  ['a list', '[]', /not a file of forecasts/],
  ['other JSON', '{"a":1}', /not a file of forecasts/],
  ['a later version', other((file) => (file['version'] = 2)), /version is 2, not 1/],
  ['no version', other((file) => delete file['version']), /version is not given/],
  ['a flipped digit', good.replace(/"level":(\d)/, (_, digit) => `"level":${(Number(digit) + 1) % 10}`), /checksum/],
  ['no pools', other((file) => delete file['pools']), /checksum/],
  ['no time', other((file) => (file['savedAtMs'] = 'x')), /when it was written/],
  ['the future', other((file) => (file['savedAtMs'] = now + 2 * day)), /from the future \(2026-01-10/],
  ['the far future', other((file) => (file['savedAtMs'] = 8.6399e15)), /from the future/],
  ['a pool without a name', forged((pool) => delete pool['user']), /not complete/],
  ['a name without end', forged((pool) => (pool['user'] = 'x'.repeat(2_000))), /not complete/],
  [
    'a season that is too short',
    forged((pool) => (pool['workdays'] = { ...state().workdays, season: [1, 2] })),
    /not complete/,
  ],
  [
    'a level that is not finite',
    forged((pool) => (pool['workdays'] = { ...state().workdays, totals: Infinity })),
    /not complete/,
  ],
];

describe.each(bad)('a file with %s', (_what, text, why) => {
  test('is kept aside, said once, and forecasts begin anew', async () => {
    writeFileSync(path, text);
    const world = new World();
    await world.live(30_000, 3);
    expect(world.logged).toHaveLength(1);
    expect(world.logged[0]).toMatch(/^warn forecast_state: .*is not used: it/);
    expect(world.logged[0]).toMatch(why);
    expect(world.logged[0]).toContain(`${path}.corrupt`);
    expect(readFileSync(`${path}.corrupt`, 'utf8')).toBe(text);
    expect(kept()).toEqual([]);
    expect(world.forecasting.figures()).toHaveLength(1);
  });
});

describe('the file', () => {
  test('is made when there is none, written every five minutes, and at the end', async () => {
    const world = new World();
    await world.live(20_000, 3);
    expect(world.logged).toEqual([`info forecast_state: forecast.file ${path}: begins with nothing`]);
    expect(kept()).toEqual([]);
    await world.live(300_000, 3);
    expect(kept()).toMatchObject([{ user: 'app' }]);
    await world.live(100_000, 9);
    world.forecasting.rest();
    expect(readdirSync(folder)).toEqual(['forecast.json']);
    const next = new World();
    next.epochMs = world.epochMs;
    await next.live(10_000, 0);
    expect(next.logged).toEqual([`info forecast_state: forecast.file ${path}: knows 1 pool`]);
  });

  test('that cannot be written: one line, one more when it can be again, and forecasts go on', async () => {
    const world = new World();
    world.file = join(folder, 'not there', 'forecast.json');
    await world.live(400_000, 3);
    expect(world.logged.filter((line) => line.startsWith('warn'))).toEqual([
      `warn forecast_state: forecast.file ${world.file} cannot be written (ENOENT): what is learned is lost at the end of Weir`,
    ]);
    expect(world.forecasting.figures()).toMatchObject([{ now: 3 }]);
    mkdirSync(join(folder, 'not there'));
    await world.live(300_000, 3);
    expect(world.logged.at(-1)).toBe(`info forecast_state: forecast.file ${world.file} is written again`);
    expect(kept(world.file)).toMatchObject([{ user: 'app' }]);
  });

  // A device never ends, a pipe never answers, and other programs need what is in a directory.
  test.each([
    ['a directory', () => mkdirSync(path)],
    ['a device', () => symlinkSync('/dev/null', path)],
  ])('that is %s is left alone', async (_what, make) => {
    make();
    const world = new World();
    await world.live(400_000, 3);
    world.forecasting.rest();
    expect(world.logged).toEqual([
      `warn forecast_state: forecast.file ${path} is not used: it is no regular file, so nothing is written there; forecasts begin anew`,
    ]);
    expect(readdirSync(folder)).toEqual(['forecast.json']);
    expect(statSync(path).isFile()).toBe(false);
  });

  test('that cannot be kept aside is not written either', async () => {
    writeFileSync(path, 'somebody needs this');
    mkdirSync(join(`${path}.corrupt`, 'full'), { recursive: true });
    const world = new World();
    await world.live(400_000, 3);
    world.forecasting.rest();
    expect(world.logged).toHaveLength(1);
    expect(world.logged[0]).toContain('so nothing is written there');
    expect(readFileSync(path, 'utf8')).toBe('somebody needs this');
  });

  test('is complete at each moment: a draft that is not wanted any more leaves it as it was', async () => {
    writeFileSync(path, good);
    expect(await writeState(path, 'half', () => false)).toBeUndefined();
    expect(readFileSync(path, 'utf8')).toBe(good);
    expect(readdirSync(folder)).toEqual(['forecast.json']);
  });

  test('can be changed, and switched off, while Weir runs', async () => {
    const world = new World();
    await world.live(330_000, 3);
    world.file = join(folder, 'other.json');
    await world.live(10_000, 3);
    expect(world.logged.at(-1)).toBe(`info forecast_state: forecast.file ${world.file}: begins with nothing`);
    expect(kept()).toMatchObject([{ user: 'app' }]);
    world.file = undefined;
    expect(world.forecasting.tick()).toBeUndefined();
    expect(world.forecasting.figures()).toEqual([]);
    expect(world.forecasting.predicted(fakePoolStats())).toBeUndefined();
    expect(readdirSync(folder).sort()).toEqual(['forecast.json', 'other.json']);
  });

  test('a clock that jumps again and again is said once an hour', async () => {
    const world = new World();
    await world.live(20_000, 3);
    for (let i = 0; i < 10; i++) {
      world.epochMs += i % 2 === 0 ? day : -day;
      await world.live(10_000, 3);
    }
    const jumps = world.logged.filter((line) => line.includes('forecast_clock'));
    expect(jumps).toEqual([
      'warn forecast_clock: the clock has jumped forward by 86400 s: forecasts learn nothing from these five minutes',
    ]);
  });
});
