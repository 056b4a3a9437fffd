/**
 * The watch over one node, probe by probe. Fails if a node that does not answer is not noticed, or asked without a pause.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { Watcher } from '../../src/topology/watcher.ts';
import type { WatcherEvents } from '../../src/topology/watcher.ts';
import { systemClock } from '../../src/util/clock.ts';
import { fakeCluster } from './fake-nodes.ts';
import { nodeConfig } from './fixtures.ts';

/** So long that no probe comes by itself while a test runs. */
const NEVER_MS = 3_600_000;
const running: Watcher[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((watcher) => watcher.stop()));
});

function watch(more: Partial<WatcherEvents> = {}) {
  const cluster = fakeCluster(['db1']);
  const problems: string[] = [];
  let samples = 0;
  const watcher = new Watcher(nodeConfig('db1'), cluster.connect, systemClock, {
    connected: () => undefined,
    sending: () => undefined,
    sampled: () => samples++,
    failed: (failure) => problems.push(failure.problem),
    intervalMs: () => NEVER_MS,
    ...more,
  });
  running.push(watcher);
  watcher.start();
  return { node: cluster.node('db1'), watcher, problems, samples: () => samples };
}

async function eventually(what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`not within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

describe('watcher', () => {
  it('probes once it is connected, and again when hurried', async () => {
    const { node, watcher, samples } = watch();
    await eventually('the first sample', () => samples() === 1);
    watcher.hurry(0);
    await eventually('the second', () => samples() === 2);
    expect(node.connects).toBe(1);
  });

  it('asks anew after an answer that was under way when the node became suspect', async () => {
    const { node, watcher, samples } = watch();
    await eventually('the first sample', () => samples() === 1);
    let release = (): void => undefined;
    node.hold = new Promise((resolve) => (release = resolve));
    watcher.hurry(0);
    await eventually('a probe under way', () => node.probes === 2);
    watcher.suspect();
    watcher.suspect();
    node.hold = undefined;
    release();
    await eventually('one probe more', () => samples() === 3);
    expect(node.probes).toBe(3);
  });

  it('connects again at once after a loss, ever slower while that fails', async () => {
    const { node, problems, samples } = watch();
    await eventually('the first sample', () => samples() === 1);
    node.down = { problem: 'refused', isStopped: true };
    node.cut('lost');
    expect(problems).toEqual(['lost']);
    await eventually('some attempts', () => node.connects >= 4);
    node.down = undefined;
    await eventually('its return', () => samples() === 2);
    expect(node.open).toBe(1);
    expect(problems.slice(0, 3)).toEqual(['lost', 'refused', 'refused']);
  });

  it('gives up a connection whose probe fails', async () => {
    const { node, problems, samples, watcher } = watch();
    await eventually('the first sample', () => samples() === 1);
    node.hold = Promise.reject(new Error('query timeout'));
    node.hold.catch(() => undefined);
    watcher.hurry(0);
    await eventually('the failure', () => problems.length > 0);
    expect(problems[0]).toBe('probe failed: query timeout');
    node.hold = undefined;
    await eventually('its return', () => samples() === 2);
    expect(node.open).toBe(1);
  });

  it('stays stopped', async () => {
    const { node, watcher, samples } = watch();
    await eventually('the first sample', () => samples() === 1);
    await watcher.stop();
    watcher.hurry(0);
    watcher.suspect();
    node.cut('lost');
    await watcher.stop();
    expect(samples()).toBe(1);
    expect(node.open).toBe(0);
    expect(node.connects).toBe(1);
  });
});
