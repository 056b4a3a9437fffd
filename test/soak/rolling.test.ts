/**
 * What the soak test sees in logs and memory of a Weir with several workers. Fails if it overlooks the death of a worker that
 * nobody has killed, a client that a restart has cut, or memory that grows; or if it takes a killed worker for such a death.
 */
import { describe, expect, test } from 'vitest';
import { LogWatch } from '../../soak/log-watch.ts';
import { growthOf } from '../../soak/weir-memory.ts';

const died = (pid: number): string =>
  JSON.stringify({ level: 'warn', event: 'worker_died', msg: 'worker 1 has ended', worker: 1, pid, connections: 3 });
const lineOf = (event: string): string => JSON.stringify({ level: 'warn', event, msg: 'something' });

describe('the log', () => {
  test('names the death of a worker that nobody has killed, once', () => {
    const killed = new Set<number>();
    const log = new LogWatch(killed);
    log.look(`${died(7)}\n${died(8)}\n`);
    log.look(`${died(8)}\n${died(9)}\n{"event":"worker_died","pid":10`);
    killed.add(7).add(9);
    expect(log.problems(true)).toEqual([died(8)]);
    expect(log.problems(false)).toEqual([]);
    expect(log.figures()).toBe('worker_died 3');
  });

  test('must not speak of bugs, whatever the faults, nor of clients and restarts that were cut when there are none', () => {
    const log = new LogWatch(new Set());
    const lines = ['unexpected_error', 'restart_cut', 'restart', 'worker_ready', 'restart_failed'].map(lineOf);
    log.look(`${lines.join('\n')}\n`);
    expect(log.problems(false)).toEqual([lines[0]]);
    expect(log.problems(true)).toEqual([lines[0], lines[1], lines[4]]);
  });
});

describe('memory', () => {
  const samples = (second: number, last: number): number[] => [
    ...Array.from({ length: 10 }, () => 50),
    ...Array.from({ length: 10 }, () => second),
    ...Array.from({ length: 10 }, () => last),
  ];

  test('that grows is noticed, what caches take at first is not growth', () => {
    expect(growthOf(samples(100, 140))).toEqual({ before: 100, after: 140 });
    expect(growthOf(samples(100, 110))).toBeUndefined();
    expect(growthOf(samples(20, 30))).toBeUndefined();
  });

  test('of a few samples proves nothing', () => {
    expect(growthOf([50, 50, 100, 100, 200, 200])).toBeUndefined();
  });
});
