/** No kind of log line fills the log, and what was left out is counted. Fails if the limit or the count is off by one. */
import { describe, expect, it } from 'vitest';
import { boundedLog, limitRepeats } from '../../src/observability/bounded-log.ts';
import { createManualClock } from '../../src/util/clock.ts';

function boundedLogOf(burst: number) {
  const clock = createManualClock(1_000);
  const lines: string[] = [];
  const { log, flush } = boundedLog(
    (_level, event, message, fields) => void lines.push(`${event} ${message} ${JSON.stringify(fields ?? {})}`),
    { nowMs: clock.nowMs, burst, windowMs: 10_000, kindOf: (event) => event },
  );
  return { clock, lines, log, flush };
}

describe('a kind of line', () => {
  it('passes so often in a while; then the last one is said with the number of the others', () => {
    const { clock, lines, log, flush } = boundedLogOf(2);
    for (let i = 0; i < 100; i++) log('warn', 'flood', `line ${i}`, { i });
    log('warn', 'other', 'of another kind');
    flush();
    expect(lines).toEqual(['flood line 0 {"i":0}', 'flood line 1 {"i":1}', 'other of another kind {}']);
    clock.advance(10_000);
    flush();
    flush();
    expect(lines.slice(3)).toEqual(['flood line 99 {"i":99,"suppressed":97}']);
  });

  it('is bounded however long it goes on, and nothing is left unsaid', () => {
    const { clock, lines, log, flush } = boundedLogOf(2);
    for (let second = 0; second < 100; second++) {
      for (let i = 0; i < 400; i++) log('info', 'flood', `line ${second}.${i}`);
      clock.advance(1_000);
      flush();
    }
    flush(true);
    expect(lines.length).toBeLessThanOrEqual(2 * 11);
    const told = lines.map((line) => 1 + Number(/"suppressed":(\d+)/.exec(line)?.[1] ?? 0));
    expect(told.reduce((sum, each) => sum + each, 0)).toBe(40_000);
    expect(lines.at(-1)).toContain('line 99.399');
  });

  it('that comes when nothing was held back begins a new while', () => {
    const { clock, lines, log } = boundedLogOf(1);
    for (let i = 0; i < 5; i++) {
      log('info', 'calm', `line ${i}`);
      clock.advance(10_000);
    }
    expect(lines).toHaveLength(5);
  });

  it('what happened last is said last', () => {
    const { clock, lines, log, flush } = boundedLogOf(1);
    for (let i = 0; i < 3; i++) for (const event of ['lost', 'found']) log('info', event, String(i));
    clock.advance(10_000);
    flush();
    expect(lines.slice(2)).toEqual(['lost 2 {"suppressed":1}', 'found 2 {"suppressed":1}']);
  });

  it('at level debug everything passes', () => {
    const { lines, log } = boundedLogOf(1);
    for (let i = 0; i < 100; i++) log('debug', 'detail', String(i));
    expect(lines).toHaveLength(100);
  });

  it('of made-up names there are not endlessly many', () => {
    const { lines, log } = boundedLogOf(1);
    for (let i = 0; i < 3; i++) for (let kind = 0; kind < 1_500; kind++) log('info', `kind ${kind}`, String(i));
    expect(lines.length).toBeGreaterThanOrEqual(1_500);
  });
});

describe('repeated lines', () => {
  it('pass once a second per key and say how many did not', () => {
    const clock = createManualClock(5_000);
    const lines: string[] = [];
    const log = limitRepeats(
      (_level, event, message, fields) => void lines.push(`${event} ${message} ${JSON.stringify(fields ?? {})}`),
      clock.nowMs,
    );
    for (let i = 0; i < 100; i++) log('info', 'auth_failed', 'wrong password for app');
    log('info', 'auth_failed', 'wrong password for other');
    clock.advance(1_000);
    log('info', 'auth_failed', 'wrong password for app');
    expect(lines).toEqual([
      'auth_failed wrong password for app {}',
      'auth_failed wrong password for other {}',
      'auth_failed wrong password for app {"suppressed":99}',
    ]);
  });

  it('are one kind whatever names are made up', () => {
    const lines: string[] = [];
    const log = limitRepeats(
      (_level, _event, message) => void lines.push(message),
      () => 0,
    );
    for (let i = 0; i < 10; i++) log('info', 'auth_failed', `no user "name ${i}"`);
    expect(lines).toEqual(['no user "name 0"']);
  });

  it('are remembered up to a bounded number of kinds', () => {
    const lines: string[] = [];
    const log = limitRepeats(
      (_level, _event, message, fields) => void lines.push(`${message} ${JSON.stringify(fields ?? {})}`),
      () => 0,
    );
    for (let i = 0; i < 3_000; i++) {
      log('info', 'flood', `key ${i}`);
      expect(lines).toHaveLength(i + 1);
      expect(lines[i]).toBe(`key ${i} {}`);
    }
    log('info', 'flood', 'key 2999');
    expect(lines).toHaveLength(3_000);
    log('info', 'flood', 'key 0');
    expect(lines[3_000]).toBe('key 0 {}');
  });
});
