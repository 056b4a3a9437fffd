/**
 * The section `forecast`: off unless a file is named, whose name is relative to the configuration, and what a bad value is called.
 */
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { fraction } from '../../src/config/values.ts';

const load = (text: string, env: NodeJS.ProcessEnv = {}): ReturnType<typeof loadConfig> =>
  loadConfig({ file: '/etc/weir/weir.yaml', text: `databases: { shop: { primary: 'postgres://db1' } }\n${text}`, env });

function forecastOf(text: string, env: NodeJS.ProcessEnv = {}): unknown {
  const loaded = load(text, env);
  return 'config' in loaded ? loaded.config.forecast : loaded.problems;
}

describe('forecast', () => {
  it('is off unless a file is named, relative to the configuration', () => {
    expect(forecastOf('')).toEqual({ file: undefined, confidence: 0.8, aheadMs: 60_000 });
    expect(forecastOf('forecast: { file: forecast.json, confidence: 0.9, ahead: 5m }')).toEqual({
      ...{ file: '/etc/weir/forecast.json', confidence: 0.9, aheadMs: 300_000 },
    });
    expect(forecastOf('', { WEIR_FORECAST_FILE: '/var/lib/f', WEIR_FORECAST_CONFIDENCE: '.5' })).toEqual({
      ...{ file: '/var/lib/f', confidence: 0.5, aheadMs: 60_000 },
    });
  });

  it.each([
    ['confidence: 1.1', 'is not a number from 0 to 1'],
    ['confidence: high', 'is not a number from 0 to 1'],
    ['confidence: .nan', 'is not a number from 0 to 1'],
    ['ahead: 2h', 'is not a duration from 1s to 1h'],
    ['ahead: 30', 'has no unit'],
    ['file: 3', 'is not a file name'],
    ['files: a', 'the nearest known key is forecast.file'],
  ])('%s: %s', (line, problem) => {
    expect(forecastOf(`forecast: { ${line} }`)).toEqual([expect.stringContaining(problem)]);
  });
});

it.each(['0', '1', '0.80', ' .5 '])('the text %s is a part of something', (text) => {
  expect(fraction().parseText(text)).toEqual({ value: Number(text) });
});

it.each(['', '-0.1', '1e-1', '0x1', '80%', '1.', 'null'])('the text "%s" is not', (text) => {
  expect(fraction().parseText(text)).toHaveProperty('refused');
});
