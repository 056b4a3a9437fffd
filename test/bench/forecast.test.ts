/**
 * What the backtest claims, on the first days of its traces: with the forecast, clients wait less where the load repeats, and
 * nothing changes where it does not. Also that the traces are those of their generator.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { replay, type Outcome } from '../../bench/forecast/replay.ts';
import { fileOf, makeTraces, textOf, type Trace } from '../../bench/traces/generate.ts';

const traces = new Map(makeTraces().map((trace) => [trace.name, trace]));

function both(name: string, days: number, learnDays: number): readonly [without: Outcome, withIt: Outcome] {
  const trace = traces.get(name) as Trace;
  return [
    replay(trace, { isForecasting: false, days, learnDays }),
    replay(trace, { isForecasting: true, days, learnDays }),
  ];
}

test('the files are what the generator makes', () => {
  for (const trace of traces.values()) {
    const path = fileURLToPath(new URL(`../../bench/traces/${fileOf(trace)}`, import.meta.url));
    expect(readFileSync(path, 'utf8'), trace.name).toBe(textOf(trace));
  }
});

describe('with the forecast', () => {
  test.each(['office', 'batch'])('%s: clients wait less, and fewer log-ins are in their way', (name) => {
    const [without, withIt] = both(name, 4, 2);
    expect(without.overTargetSeconds).toBeGreaterThan(0.5);
    expect(withIt.overTargetSeconds).toBeLessThan(without.overTargetSeconds / 2);
    expect(withIt.coldConnects).toBeLessThan(without.coldConnects / 2);
  });

  test('a random walk: nothing is predicted, and nobody waits longer', () => {
    const [without, withIt] = both('walk', 4, 2);
    expect(without.overTargetSeconds).toBeGreaterThan(0.5);
    expect(withIt).toMatchObject({ overTargetSeconds: without.overTargetSeconds, coldConnects: without.coldConnects });
    expect(withIt.predicted).toBe(0);
  });

  test('a day that is an hour late: nobody waits longer than without', () => {
    const late = traces.get('shifted') as Trace;
    // The days before it, and the one that is late.
    const trace = { ...late, days: [...late.days.slice(0, 3), late.days[14] as string] };
    const [without, withIt] = [false, true].map((isForecasting) => replay(trace, { isForecasting, learnDays: 2 }));
    expect(withIt?.overTargetSeconds).toBeLessThanOrEqual(without?.overTargetSeconds ?? NaN);
  });
});
