/**
 * How slow a node is, told apart from how slow a statement is: each template has its own baseline, and a node's load
 * cell averages latency / baseline. Sessions call `noteLatency` once per answered read; pick.ts reads the result.
 */
import { LRUCache } from 'lru-cache';
import type { NodeLoad } from '../topology/types.ts';
import { peakEwma } from '../util/ewma.ts';

/** Time constant of the average: a slow spell is half forgotten after about 7 s. */
export const LOAD_MEMORY_MS = 10_000;
/** Added to both sides of the ratio: jitter below it says nothing about a node. */
const SOFTENING_MS = 1;
const WORST_RATIO = 20;
const BEST_RATIO = 0.5;
const DOWN = 0.5;
const UP = 0.01;

/** A low quantile of one template's latency, ms. */
export interface LatencyBaseline {
  latencyMs: number;
}

/** Baselines of the most recently used templates. */
export interface LatencyBaselines {
  /** The cell of a template, made with `firstLatencyMs` when it is not there yet. */
  of(template: string | object, firstLatencyMs: number): LatencyBaseline;
  /** Undefined: nothing is known about it yet. */
  peek(template: string | object): LatencyBaseline | undefined;
}

export function createLatencyBaselines(maxTemplates = 10_000): LatencyBaselines {
  const cells = new LRUCache<string | object, LatencyBaseline>({ max: maxTemplates });
  return {
    of(template, firstLatencyMs) {
      let cell = cells.get(template);
      if (cell === undefined) {
        cell = { latencyMs: firstLatencyMs };
        cells.set(template, cell);
      }
      return cell;
    },
    peek: (template) => cells.peek(template),
  };
}

/** One read was answered by the node of `load` after `latencyMs`. Updates the baseline and the node's average. */
export function noteLatency(load: NodeLoad, baseline: LatencyBaseline, latencyMs: number, nowMs: number): void {
  const ratio = (latencyMs + SOFTENING_MS) / (baseline.latencyMs + SOFTENING_MS);
  baseline.latencyMs += (latencyMs - baseline.latencyMs) * (latencyMs < baseline.latencyMs ? DOWN : UP);
  const sample = Math.min(WORST_RATIO, Math.max(BEST_RATIO, ratio));
  load.ewma = peakEwma(load.ewma, sample, nowMs - load.ewmaAtMs, LOAD_MEMORY_MS);
  load.ewmaAtMs = nowMs;
}
