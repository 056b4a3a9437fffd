/**
 * The event streams of the page: one snapshot each second, made once for all who look, and none while nobody does. Who does not
 * read is dropped. Used by page.ts.
 */
import type { ServerResponse } from 'node:http';
import type { Log, ProcessFigures, ServingState, StatsSources } from '../types.ts';
import type { Slot } from './slot-types.ts';
import { pointsOf } from './points.ts';
import { Rates } from './rates.ts';
import { figuresOnly, snapshotOf } from './snapshot.ts';
import { topStatements } from './statements.ts';
import type { Hello, Snapshot, TopStatements, Update } from './types.ts';
import { slotCount, slotMs } from './noted.ts';

export interface PageReading {
  readonly sources: StatsSources;
  readonly slots: readonly Slot[];
}

export interface FeedOptions {
  /** @param isAll with the slots of the last quarter of an hour, not only the last few, and the statistics of statements */
  read(isAll: boolean): Promise<PageReading>;
  /** Figures of this process. */
  process(): ProcessFigures;
  serving(): ServingState;
  /** Monotonic. */
  nowMs(): number;
  epochMs(): number;
  readonly log: Log;
}

interface Look {
  readonly snapshot: Snapshot;
  readonly slots: readonly Slot[];
  /** Undefined: they were not read. */
  readonly statements: TopStatements | null | undefined;
}

interface Stream {
  readonly response: ServerResponse;
  /** Whether it may see names of clients and texts of statements. */
  isFull(): boolean;
  /** Since when it has not read what was sent; undefined: it has. */
  stuckSinceMs: number | undefined;
}

export const mostStreams = 32;
const everyMs = 1_000;
/** Every so many snapshots statements are read, too. */
const ticksPerStatements = 5;
/** With very many clients or pools a snapshot takes its time: it is made so rarely that it costs 2 % of a core. */
const restPerMs = 49;
/** Each update has the points of ten seconds: whoever reads that late misses none. */
const recentSlots = 5;
export const dropAfterMs = recentSlots * slotMs;

const event = (name: string, data: object): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

function updateOf({ snapshot, slots, statements }: Look, isFull: boolean, isAll: boolean): Update {
  const shown = isFull ? statements : null;
  return {
    snapshot: isFull ? snapshot : figuresOnly(snapshot),
    points: pointsOf(slots),
    isAll,
    ...(shown !== undefined && { statements: shown }),
  };
}

export class Feed {
  private readonly options: FeedOptions;
  private readonly streams = new Set<Stream>();
  private readonly rates = new Rates();
  private timer: NodeJS.Timeout | undefined;
  private ticks = 0;
  private isClosed = false;

  constructor(options: FeedOptions) {
    this.options = options;
  }

  get viewers(): number {
    return this.streams.size;
  }

  /** @returns false: there are too many */
  open(response: ServerResponse, build: string, isFull: () => boolean): boolean {
    if (this.streams.size >= mostStreams || this.isClosed) return false;
    // It has gone away while the files were read.
    if (response.destroyed) return true;
    const stream: Stream = { response, isFull, stuckSinceMs: undefined };
    this.streams.add(stream);
    response.on('close', () => this.leave(stream));
    response.on('error', () => response.destroy());
    response.writeHead(200, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      // nginx would keep back what it is sent.
      'X-Accel-Buffering': 'no',
    });
    const hello: Hello = { build, slotMs, slotCount };
    response.write(`retry: 2000\n${event('hello', hello)}`);
    void this.begin(stream);
    return true;
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    for (const { response } of this.streams) response.end();
  }

  private leave(stream: Stream): void {
    this.streams.delete(stream);
    if (this.streams.size > 0) return;
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** All that is known, at once. */
  private async begin(stream: Stream): Promise<void> {
    try {
      const look = await this.look(true);
      const text = event('update', updateOf(look, stream.isFull(), true));
      if (this.streams.has(stream)) stream.response.write(text);
    } catch (error) {
      this.failed(error);
    }
    if (this.streams.has(stream)) this.timer ??= setTimeout(() => void this.tick(), everyMs).unref();
  }

  private async look(isAll: boolean): Promise<Look> {
    const { read, process, serving, nowMs, epochMs } = this.options;
    const { sources, slots } = await read(isAll);
    this.rates.note(sources.databaseStats(), nowMs());
    const figures = { sources, process: process(), serving: sources.whole?.serving ?? serving(), slots };
    const snapshot = snapshotOf({ ...figures, rates: this.rates, nowMs: nowMs(), epochMs: epochMs() });
    return { snapshot, slots, statements: isAll ? topStatements(sources.statements()) : undefined };
  }

  private async tick(): Promise<void> {
    const beganMs = this.options.nowMs();
    try {
      const look = await this.look(++this.ticks % ticksPerStatements === 0);
      this.sendAll({ ...look, slots: look.slots.slice(-recentSlots) });
    } catch (error) {
      this.failed(error);
    }
    if (this.streams.size === 0 || this.isClosed) return void (this.timer = undefined);
    const restMs = Math.max(everyMs, (this.options.nowMs() - beganMs) * restPerMs);
    this.timer = setTimeout(() => void this.tick(), Math.min(restMs, dropAfterMs)).unref();
  }

  private sendAll(look: Look): void {
    const texts = new Map<boolean, string>();
    const textFor = (isFull: boolean): string => {
      const text = texts.get(isFull) ?? event('update', updateOf(look, isFull, false));
      texts.set(isFull, text);
      return text;
    };
    for (const stream of this.streams) if (this.hasRead(stream)) stream.response.write(textFor(stream.isFull()));
  }

  /** At most one update is kept for a reader. */
  private hasRead(stream: Stream): boolean {
    if (stream.response.writableLength === 0) {
      stream.stuckSinceMs = undefined;
      return true;
    }
    const nowMs = this.options.nowMs();
    stream.stuckSinceMs ??= nowMs;
    if (nowMs - stream.stuckSinceMs >= dropAfterMs) stream.response.destroy();
    return false;
  }

  private failed(error: unknown): void {
    if (this.isClosed) return;
    const what = error instanceof Error ? error.message : String(error);
    this.options.log('warn', 'page_failed', `http: the figures for the page could not be read: ${what}`);
  }
}
