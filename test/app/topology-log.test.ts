/** Several databases on one server say a thing about it once. Fails if each of them logs its own line. */
import { expect, it } from 'vitest';
import { topologyLog, type Said } from '../../src/app/topology-log.ts';

const lines: string[] = [];
let nowMs = 0;
const services = {
  log: (_level: string, event: string, message: string) => void lines.push(`${event}: ${message}`),
  nowMs: () => nowMs,
};

it('says once what many databases hear of the same servers, and everything that happens', () => {
  const said: Said = new Map();
  const logs = Array.from({ length: 60 }, () => topologyLog(services, said, 'a=h:1 b=h:2'));
  const other = topologyLog(services, said, 'a=other:1');
  const say = (event: object, message: string): string[] => {
    lines.length = 0;
    for (const log of logs) log('warn', event, message);
    return [...lines];
  };
  const down = { event: 'node down', node: 'a' };
  const up = { event: 'node up', node: 'a' };
  expect(say(down, 'a is down: x')).toEqual(['node_down: a is down: x']);
  expect(say(up, 'a is up')).toEqual(['node_up: a is up']);
  expect(say(down, 'a is down: x')).toEqual(['node_down: a is down: x']);
  expect(say({ event: 'new primary', node: 'b' }, 'b is the primary')).toHaveLength(1);
  expect(say({ event: 'new primary', node: 'a' }, 'a is the primary')).toHaveLength(1);
  expect(say({ event: 'new primary', node: 'b' }, 'b is the primary')).toHaveLength(1);
  // Later it is news again.
  nowMs += 60_000;
  expect(say({ event: 'new primary', node: 'b' }, 'b is the primary')).toHaveLength(1);
  lines.length = 0;
  other('warn', { event: 'new primary', node: 'b' }, 'b is the primary');
  expect(lines).toHaveLength(1);
  // What concerns one database is said of each.
  expect(say({ event: 'drain', node: 'a' }, 'a is draining')).toHaveLength(60);
});
