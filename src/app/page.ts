/**
 * The page of the HTTP port and what it remembers of the last quarter of an hour, with the figures of this app. Made by
 * lifecycle.ts, if there is an HTTP port.
 */
import { slotCount } from '../observability/page/noted.ts';
import { createPage, type Page } from '../observability/page/page.ts';
import { Recorder } from '../observability/page/recorder.ts';
import type { PageReading } from '../observability/page/feed.ts';
import type { Log, ServingState } from '../observability/types.ts';
import { systemClock } from '../util/clock.ts';
import type { Current } from './current.ts';
import type { Parts } from './parts.ts';

export interface AppPageOptions {
  readonly parts: Parts;
  readonly current: Current;
  readonly log: Log;
  serving(): ServingState;
}

/** Of those that are sent each second, or that a worker says: a look may be late. */
export const recentSlots = 15;

export function createRecorder(parts: Parts): Recorder {
  return new Recorder({
    sources: parts.sources,
    clientCount: () => parts.clients.connected,
    loopDelayMs: () => parts.metrics.eventLoopDelayMs(),
    epochMs: Date.now,
    residentBytes: () => process.memoryUsage.rss(),
    onError: parts.noteUnexpected,
  });
}

export function createAppPage({ parts, current, log, serving }: AppPageOptions, recorder: Recorder): Page {
  const { gather } = parts;
  const read = async (isAll: boolean): Promise<PageReading> => {
    const own = (): PageReading['slots'] => recorder.last(isAll ? slotCount : recentSlots);
    if (gather === undefined) return { sources: parts.sources, slots: own() };
    const sources = await gather(isAll ? 'page-full' : 'page');
    return { sources, slots: sources.slots ?? own() };
  };
  return createPage({
    read,
    process: () => parts.metrics.ofProcess(),
    serving,
    setting: () => current.config.httpPage,
    nowMs: systemClock.nowMs,
    epochMs: Date.now,
    log,
  });
}
