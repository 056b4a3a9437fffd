/**
 * Switches spans of statements on and off as the settings say, at the start and with each reload. Made by parts.ts; stopped by
 * lifecycle.ts, which sends what is queued.
 */
import type { Config } from '../config/config.ts';
import { redactUrl } from '../config/redact.ts';
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

const windowMs = 60_000;

/** Says a sum at most once a minute: at once, and then what came in the meantime. */
class Sum {
  private readonly say: (spans: number) => void;
  private spans = 0;
  private untilMs = -Infinity;
  private timer: NodeJS.Timeout | undefined;

  constructor(say: (spans: number) => void) {
    this.say = say;
  }

  add(spans: number): void {
    this.spans += spans;
    const leftMs = this.untilMs - systemClock.nowMs();
    if (leftMs <= 0) this.tell();
    else this.timer ??= setTimeout(() => this.tell(), leftMs).unref();
  }

  tell(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.spans === 0) return;
    const { spans } = this;
    this.spans = 0;
    this.untilMs = systemClock.nowMs() + windowMs;
    this.say(spans);
  }
}

export class Tracing {
  private readonly options: TracingOptions;
  private inForce = '';
  private spans: Spans | undefined;
  /** Changes are made one after the other. */
  private changing: Promise<void> = Promise.resolve();
  /** Where the last ones were to go, and why they did not get there. */
  private whither = '';
  private reason = '';
  private waiting = 0;
  private readonly lost = new Sum((spans) => {
    const message = `${spans} spans of statements could not be sent to ${this.whither} (${this.reason})`;
    this.options.log('warn', 'tracing_failed', message, { spans });
  });
  private readonly dropped = new Sum((spans) => {
    const message = `${spans} spans of statements were not made, because ${this.waiting} were waiting to be sent to ${this.whither}`;
    this.options.log('warn', 'tracing_dropped', message, { spans });
  });

  constructor(options: TracingOptions) {
    this.options = options;
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
        lost: (spans: number, reason: string) => this.wereLost(endpoint, spans, reason),
        dropped: (spans: number, waiting: number) => this.wereDropped(endpoint, spans, waiting),
      };
      this.spans = await startSpans({ endpoint, sampleRate, serviceName }, { version, random: Math.random, events });
      options.use(this.spans);
    } catch (error) {
      this.failed(error as Error);
    }
  }

  private wereLost(endpoint: string, spans: number, reason: string): void {
    this.options.count('not_sent', spans);
    this.whither = redactUrl(endpoint);
    this.reason = reason;
    this.lost.add(spans);
  }

  private wereDropped(endpoint: string, spans: number, waiting: number): void {
    this.options.count('queue_full', spans);
    this.whither = redactUrl(endpoint);
    this.waiting = waiting;
    this.dropped.add(spans);
  }

  private failed(error: Error): void {
    this.options.log('warn', 'tracing_failed', `spans of statements: ${error.message}`);
  }

  /** Sends what is queued. */
  async stop(): Promise<void> {
    await this.changing;
    this.options.use(undefined);
    const { spans } = this;
    this.spans = undefined;
    const sent = spans?.stop();
    // Nobody may wait for the rest.
    this.tellAll();
    await sent?.catch((error: Error) => this.failed(error));
    this.tellAll();
  }

  private tellAll(): void {
    this.lost.tell();
    this.dropped.tell();
  }
}
