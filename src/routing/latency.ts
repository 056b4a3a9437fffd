/**
 * Measures how slow a node is, independent of how slow its statements are: each template has a baseline latency, and
 * NodeLoad.ewma averages latency / baseline. The session calls noteLatency() once per answered read;
 * balancing/least-load.ts reads the average.
 */
import { LRUCache } from 'lru-cache';
import { LOAD_MEMORY_MS } from '../balancing/least-load.ts';
import type { NodeLoad } from '../topology/types.ts';
import { peakEwma } from '../util/ewma.ts';

/** Added to latency and baseline, so that differences well below 1 ms do not change the ratio. */
const SOFTENING_MS = 1;
const WORST_RATIO = 20;
const BEST_RATIO = 0.5;
/** Share of the difference by which the baseline follows a faster read, and a slower one. */
const DOWN = 0.5;
const UP = 0.01;

/** What its statements took at best is forgotten by this part a second. */
const RISE_PER_SECOND = 0.005;

/** Baseline latency of one template: a low quantile of its latencies. */
export interface LatencyBaseline {
  latencyMs: number;
  /** What a statement takes with no others beside it: about the least that was seen in the last minutes. */
  aloneMs: number;
  raisedAtMs: number;
  /** Each template has another one. */
  readonly number: number;
}

/** Baselines of the most recently used templates. */
export interface LatencyBaselines {
  /** The baseline of a template; a new one starts at `firstLatencyMs`. */
  of(template: string | object, firstLatencyMs: number): LatencyBaseline;
  /** @returns undefined if there is no baseline yet */
  peek(template: string | object): LatencyBaseline | undefined;
}

export function createLatencyBaselines(maxTemplates = 10_000): LatencyBaselines {
  let seen = 0;
  const cells = new LRUCache<string | object, LatencyBaseline>({ max: maxTemplates });
  return {
    of(template, firstLatencyMs) {
      let cell = cells.get(template);
      if (cell === undefined) {
        const number = seen++;
        cell = { latencyMs: firstLatencyMs, aloneMs: firstLatencyMs, raisedAtMs: -Infinity, number };
        cells.set(template, cell);
      }
      return cell;
    },
    peek: (template) => cells.peek(template),
  };
}

/** The baseline of a template follows the latency of one of its statements. */
function noteBaseline(baseline: Pick<LatencyBaseline, 'latencyMs'>, latencyMs: number): void {
  baseline.latencyMs += (latencyMs - baseline.latencyMs) * (latencyMs < baseline.latencyMs ? DOWN : UP);
}

/**
 * What a statement takes alone follows a faster one. It rises with time and not with each slower one: where all wait for one lock, all
 * are slow, and none of them says what it would take without the others.
 */
export function noteAlone(baseline: LatencyBaseline, latencyMs: number, nowMs: number): void {
  if (latencyMs < baseline.aloneMs) baseline.aloneMs += (latencyMs - baseline.aloneMs) * DOWN;
  else if (nowMs - baseline.raisedAtMs >= 1000) {
    baseline.aloneMs += (latencyMs - baseline.aloneMs) * RISE_PER_SECOND;
    baseline.raisedAtMs = nowMs;
  }
}

/** Notes that a node answered a read after `latencyMs`: updates the baseline of the template and the node's `load`. */
export function noteLatency(
  load: NodeLoad,
  baseline: Pick<LatencyBaseline, 'latencyMs'>,
  latencyMs: number,
  nowMs: number,
): void {
  const ratio = (latencyMs + SOFTENING_MS) / (baseline.latencyMs + SOFTENING_MS);
  noteBaseline(baseline, latencyMs);
  const sample = Math.min(WORST_RATIO, Math.max(BEST_RATIO, ratio));
  load.ewma = peakEwma(load.ewma, sample, nowMs - load.ewmaAtMs, LOAD_MEMORY_MS);
  load.ewmaAtMs = nowMs;
}
