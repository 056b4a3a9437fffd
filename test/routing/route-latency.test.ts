/**
 * The latency of a node is measured against what the same statement takes elsewhere. Fails if a node with slow statements
 * looks slow.
 */
import { describe, expect, it } from 'vitest';
import { createLatencyBaselines, noteLatency } from '../../src/routing/latency.ts';
import type { NodeLoad } from '../../src/topology/types.ts';

const idle = (): NodeLoad => ({
  outstanding: 0,
  ewma: 1,
  ewmaAtMs: 0,
  fallbackReads: 0,
  fallbackRoom: Infinity,
  answered: 0,
  trials: 0,
});

describe('latency, told apart from the statement', () => {
  it('does not make a node look slow because it got the slow statements', () => {
    const baselines = createLatencyBaselines();
    const [reports, lookups] = [idle(), idle()];
    for (let t = 1; t <= 1000; t++) {
      noteLatency(reports, baselines.of('report', 800), 800, t * 10);
      noteLatency(lookups, baselines.of('lookup', 0.3), 0.3, t * 10);
    }
    expect(reports.ewma).toBeCloseTo(1, 1);
    expect(lookups.ewma).toBeCloseTo(1, 1);
  });

  it('goes up at once and down slowly', () => {
    const load = idle();
    const baseline = { latencyMs: 9 };
    noteLatency(load, baseline, 49, 1000);
    expect(load.ewma).toBeCloseTo(5, 5);
    noteLatency(load, { latencyMs: 9 }, 9, 1100);
    expect(load.ewma).toBeGreaterThan(4.9);
    noteLatency(load, { latencyMs: 9 }, 9, 60_000);
    expect(load.ewma).toBeLessThan(1.1);
  });

  it('is not impressed by jitter far below a millisecond, nor by one monstrous answer', () => {
    const load = idle();
    noteLatency(load, { latencyMs: 0.1 }, 0.3, 1);
    expect(load.ewma).toBeLessThan(1.2);
    noteLatency(load, { latencyMs: 0.1 }, 1e9, 2);
    expect(load.ewma).toBeLessThanOrEqual(20);
  });

  it('learns what fast means for a template, and unlearns it when the data grow', () => {
    const baselines = createLatencyBaselines();
    const cell = baselines.of('t', 50);
    for (let i = 0; i < 20; i++) noteLatency(idle(), cell, 5, i);
    expect(cell.latencyMs).toBeCloseTo(5, 1);
    for (let i = 0; i < 1000; i++) noteLatency(idle(), cell, 40, i);
    expect(cell.latencyMs).toBeCloseTo(40, 0);
    for (let i = 0; i < 3; i++) noteLatency(idle(), cell, 400, i);
    expect(cell.latencyMs).toBeLessThan(60);
  });

  it('keeps a bounded number of templates', () => {
    const baselines = createLatencyBaselines(2);
    const first = baselines.of('a', 1);
    expect(baselines.of('a', 99)).toBe(first);
    baselines.of('b', 1);
    baselines.of('c', 1);
    expect(baselines.of('a', 99).latencyMs).toBe(99);
  });
});
