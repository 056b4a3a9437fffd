/**
 * Resizes the pools of all workers, if this worker is the lead: every half second it gets the figures of all through the
 * supervisor, decides as a single process does (sizing/controller.ts), and has the supervisor set the limits. A worker that
 * has just become the lead makes no pool larger before it has seen two samples. Made by the app.
 */
import { ResizeController } from '../sizing/controller.ts';
import type { LeasedPool } from '../sizing/lease-types.ts';
import { MergedSamples } from '../sizing/merged-samples.ts';
import { resizeEveryMs, type ResizeLoop, type ResizeSources } from '../sizing/resize-loop.ts';
import { ChannelClosed } from './channel.ts';
import type { ForecastHost } from '../sizing/types.ts';
import type { SupervisorChannel } from './messages.ts';
import { PoolSamples } from './pool-samples.ts';
import type { DecidedResize, GatheredSamples } from './resize-messages.ts';
import { sharedTime } from './shared-time.ts';

export interface WorkerResizingOptions {
  readonly channel: Pick<SupervisorChannel, 'on' | 'tell' | 'ask'>;
  /** Number of the time for which this worker is the lead; undefined: it is not. */
  leadTerm(): number | undefined;
  readonly sources: ResizeSources;
  /** Undefined: pools are never warmed. */
  readonly forecast?: ForecastHost;
  nowMs(): number;
  onError(error: unknown): void;
}

/** What the lead knows: the next one begins anew. */
class Leading {
  readonly term: number;
  readonly merged = new MergedSamples();
  readonly controller = new ResizeController<LeasedPool>();
  hasSeen = false;
  hasWarmed = false;

  constructor(term: number) {
    this.term = term;
  }
}

export class WorkerResizing implements ResizeLoop {
  private readonly options: WorkerResizingOptions;
  private readonly samples: PoolSamples;
  private leading: Leading | undefined;
  private isAsking = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(options: WorkerResizingOptions) {
    this.options = options;
    const { sources, nowMs, channel } = options;
    const time = sharedTime(nowMs);
    this.samples = new PoolSamples(sources, () => time.toShared(nowMs()));
    channel.on('takeSamples', () => this.samples.take());
  }

  start(): void {
    this.samples.start();
    this.timer ??= setInterval(() => this.tick(), resizeEveryMs).unref();
  }

  stop(): void {
    this.samples.stop();
    clearInterval(this.timer);
    this.timer = undefined;
    this.leading = undefined;
    this.options.forecast?.rest();
  }

  tick(): void {
    const term = this.options.leadTerm();
    if (term === undefined) this.leading = undefined;
    else if (this.leading?.term !== term) this.leading = new Leading(term);
    if (this.leading === undefined) this.options.forecast?.rest();
    if (this.leading === undefined || this.isAsking) return;
    this.isAsking = true;
    void this.resize(this.leading)
      .catch((error: unknown) => {
        if (!(error instanceof ChannelClosed)) this.options.onError(error);
      })
      .finally(() => (this.isAsking = false));
  }

  private async resize(leading: Leading): Promise<void> {
    const { channel } = this.options;
    const { term } = leading;
    const gathered = await channel.ask('gatherSamples', { term });
    if (gathered === undefined) return;
    // It has stopped, or another worker leads.
    if (this.leading !== leading) return;
    const resizes = this.decide(leading, gathered);
    if (resizes.length > 0) channel.tell('resizePools', { term, version: gathered.version, resizes });
  }

  /** Without the figures of all workers nothing is decided: what is not known must not make a pool larger, or smaller. */
  private decide(leading: Leading, { workers, isComplete }: GatheredSamples): DecidedResize[] {
    const { merged, controller, hasSeen } = leading;
    merged.add(workers, isComplete);
    if (!isComplete) return [];
    const { nowMs, sources, forecast } = this.options;
    leading.hasSeen = true;
    const predictor = forecast?.tick();
    const resizes = controller.decide(merged.take(), sources.settings(), nowMs(), predictor);
    this.warm(leading, predictor !== undefined);
    return resizes
      .filter(({ from, to }) => hasSeen || to < from)
      .map(({ key: pool, from, to, reason, why }) => ({ pool, from, to, reason, why }));
  }

  /** A supervisor of an older version, which a restart is about to replace, is not told what it would not understand. */
  private warm(leading: Leading, isForecasting: boolean): void {
    const { term, controller } = leading;
    if (!isForecasting && !leading.hasWarmed) return;
    const pools = Array.from(controller.warm, ([pool, count]) => ({ pool, count }));
    leading.hasWarmed = pools.length > 0;
    this.options.channel.tell('warmPools', { term, pools });
  }
}
