/**
 * Switches spans of statements on and off as the settings say, at the start and with each reload. Made by parts.ts; stopped by
 * lifecycle.ts, which sends what is queued.
 */
import type { Config } from '../config/config.ts';
import { boundedLog } from '../observability/bounded-log.ts';
import type { Log } from '../observability/types.ts';
import { startSpans, type Spans } from '../tracing/spans.ts';
import type { StatementTracer } from '../statements/types.ts';
import { systemClock } from '../util/clock.ts';

type Settings = Config['tracing'];

export interface TracingOptions {
  readonly version: string;
  readonly log: Log;
  /** Where spans are to come from; undefined: from nowhere. */
  use(tracer: StatementTracer | undefined): void;
  /** Spans that no collector has got, for the metric. */
  count(reason: 'not_sent' | 'queue_full', spans: number): void;
}

export class Tracing {
  private readonly options: TracingOptions;
  private readonly log: Log;
  private inForce = '';
  private spans: Spans | undefined;
  /** Changes are made one after the other. */
  private changing: Promise<void> = Promise.resolve();

  constructor(options: TracingOptions) {
    this.options = options;
    const windowMs = 60_000;
    this.log = boundedLog(options.log, {
      nowMs: systemClock.nowMs,
      burst: 1,
      windowMs,
      kindOf: (event) => event,
      isLastSaid: false,
    }).log;
  }

  /** Resolves when the settings are in force. */
  apply(settings: Settings): Promise<void> {
    const wanted = JSON.stringify(settings);
    if (wanted === this.inForce) return this.changing;
    this.inForce = wanted;
    return (this.changing = this.changing.then(() => this.change(settings)));
  }

  private async change({ endpoint, sampleRate, serviceName }: Settings): Promise<void> {
    const { options, spans: before } = this;
    this.spans = undefined;
    options.use(undefined);
    // The old exporter sends what it has, and nobody waits for it.
    before?.stop().catch((error: Error) => this.failed(error));
    if (endpoint === undefined) return;
    try {
      const { version } = options;
      const events = {
        lost: (spans: number, reason: string) => this.lost(endpoint, spans, reason),
        dropped: (spans: number, waiting: number) => this.dropped(endpoint, spans, waiting),
      };
      this.spans = await startSpans({ endpoint, sampleRate, serviceName }, { version, random: Math.random, events });
      options.use(this.spans);
    } catch (error) {
      this.failed(error as Error);
    }
  }

  private lost(endpoint: string, spans: number, reason: string): void {
    this.options.count('not_sent', spans);
    this.log('warn', 'tracing_failed', `${spans} spans of statements could not be sent to ${endpoint} (${reason})`, {
      spans,
    });
  }

  private dropped(endpoint: string, spans: number, waiting: number): void {
    this.options.count('queue_full', spans);
    const message = `${spans} spans of statements were not made, because ${waiting} were waiting to be sent to ${endpoint}`;
    this.log('warn', 'tracing_dropped', message, { spans });
  }

  private failed(error: Error): void {
    this.log('warn', 'tracing_failed', `spans of statements: ${error.message}`);
  }

  /** Sends what is queued. */
  async stop(): Promise<void> {
    await this.changing;
    this.options.use(undefined);
    await this.spans?.stop().catch((error: Error) => this.failed(error));
    this.spans = undefined;
  }
}
