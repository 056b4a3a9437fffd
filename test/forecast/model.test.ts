/**
 * The model of a day: what it has learned after two days, how sure it is, and what makes it unsure. Fails if it predicts too
 * early, is sure of what cannot be predicted, or takes a weekend for a working day.
 */
import { describe, expect, test } from 'vitest';
import { numbersFrom } from '../../bench/simulator/events.ts';
import { bucketMs, bucketsPerDay, dayKindOf, slotOf, timeOf } from '../../src/forecast/buckets.ts';
import { HoltWinters } from '../../src/forecast/holt-winters.ts';
import { PoolForecast } from '../../src/forecast/pool-forecast.ts';

const pool = { database: 'shop', user: 'app', node: 'db1' };
const monday = Date.UTC(2026, 0, 5) / bucketMs;

type Load = (slot: number, day: number) => number;

/** Four at night, 34 from nine to five. */
const office: Load = (slot, day) => (day % 7 < 5 && slot >= 108 && slot < 204 ? 34 : 4);

function learned(days: number, load: Load, forecast = new PoolForecast(pool, 0), fromDay = 0): PoolForecast {
  for (let day = fromDay; day < fromDay + days; day++)
    for (let slot = 0; slot < bucketsPerDay; slot++)
      forecast.add(monday + day * bucketsPerDay + slot, Math.max(0, load(slot, day)));
  return forecast;
}

const at = (day: number, slot: number): number => monday + day * bucketsPerDay + slot;

test('buckets are those of UTC, whatever the zone of the machine', () => {
  expect([dayKindOf(at(4, 287)), dayKindOf(at(5, 0)), dayKindOf(at(7, 0))]).toEqual([
    'workdays',
    'weekends',
    'workdays',
  ]);
  expect([slotOf(at(3, 108)), timeOf(at(3, 108))]).toEqual([108, '09:00']);
});

test('nothing is known before a whole day, and nothing is sure before two', () => {
  expect(learned(0.99, office).expect(at(1, 108))).toMatchObject({ confidence: 0 });
  const forecast = new PoolForecast(pool, 0);
  for (let slot = 0; slot < 287; slot++) forecast.add(at(0, slot), 5);
  expect(forecast.expect(at(1, 0))).toBeUndefined();
  expect(learned(1, office).expect(at(1, 108))).toMatchObject({ connections: 34, confidence: 0 });
  const two = learned(2, office);
  expect(two.expect(at(2, 108))).toEqual({ bucket: at(2, 108), connections: 34, confidence: 1 });
  expect(two.expect(at(2, 107))?.connections).toBe(4);
  expect(two.learned(at(2, 0))).toBe(1);
});

test('a first day in pieces is a day: what was not observed is learned the next day', () => {
  const forecast = new PoolForecast(pool, 0);
  for (let slot = 100; slot < bucketsPerDay; slot++) forecast.add(at(0, slot), office(slot, 0));
  expect(forecast.expect(at(1, 108))).toBeUndefined();
  for (let slot = 0; slot < 100; slot++) forecast.add(at(1, slot), office(slot, 1));
  expect(forecast.expect(at(1, 108))?.connections).toBe(34);
});

test('weekends are days of their own, and Monday goes on where Friday was', () => {
  const forecast = learned(9, office);
  expect(forecast.expect(at(12, 108))).toMatchObject({ connections: 4, confidence: 1 });
  expect(forecast.expect(at(9, 108))?.connections).toBe(34);
  expect(forecast.expect(at(5, 0))?.connections).toBe(4);
});

test('with noise, more is predicted than the mean, so that it is enough as a rule', () => {
  const random = numbersFrom(7);
  const forecast = learned(5, (slot, day) => office(slot, day) + Math.round(4 * random() - 2));
  const expected = forecast.expect(at(7, 120));
  expect(expected?.connections).toBeGreaterThanOrEqual(35);
  expect(expected?.connections).toBeLessThanOrEqual(40);
  expect(expected?.confidence).toBeGreaterThan(0.8);
});

describe('the confidence', () => {
  test('is low for a random walk', () => {
    const random = numbersFrom(3);
    let level = 15;
    const forecast = learned(5, () => {
      level = Math.min(70, Math.max(2, level * Math.exp(0.6 * (random() - 0.5))));
      return Math.round(level);
    });
    expect(forecast.expect(at(7, 0))?.confidence).toBeLessThan(0.8);
  });

  test('falls when a day is not like the others, and comes back', () => {
    const forecast = learned(4, office);
    expect(forecast.expect(at(4, 0))?.confidence).toBe(1);
    // Friday is a holiday.
    learned(1, () => 4, forecast, 4);
    expect(forecast.expect(at(7, 0))?.confidence).toBeLessThan(0.8);
    learned(5, office, forecast, 7);
    expect(forecast.expect(at(14, 0))?.confidence).toBeGreaterThan(0.8);
  });

  test('of a pool that nobody needs is 1, and it needs nothing', () => {
    expect(learned(3, () => 0).expect(at(3, 50))).toMatchObject({ connections: 0, confidence: 1 });
  });
});

test('a load that grows from day to day is followed', () => {
  const forecast = learned(5, (slot, day) => office(slot, day) + 4 * day);
  expect(forecast.expect(at(7, 150))?.connections).toBeGreaterThanOrEqual(45);
});

test('numbers stay finite, whatever was seen', () => {
  const random = numbersFrom(11);
  const model = new HoltWinters();
  for (let i = 0; i < 6 * bucketsPerDay; i++) {
    const bucket = monday + Math.floor(random() * 10_000) * (random() < 0.01 ? 7 : 1);
    model.add(bucket, slotOf(i), random() < 0.1 ? 100_000 * random() : 0, random() < 0.5 ? undefined : 10);
    const { level, trend, spread, errors, totals } = model.state();
    for (const each of [level ?? 0, trend, spread, errors, totals, model.confidence])
      expect(Number.isFinite(each)).toBe(true);
  }
  expect(model.predict(monday, 5)).toBeGreaterThanOrEqual(0);
});

test('a plot of the next day has its half hours', () => {
  const day = learned(4, office).day(at(4, 0));
  // Saturday is not known after four days.
  expect(day).toHaveLength(48);
  expect([day[17], day[18], day[33], day[34]]).toEqual([4, 34, 34, 4]);
  expect(learned(4, office).day(at(4, 1))).toEqual([]);
});
