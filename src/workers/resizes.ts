/**
 * The supervisor's part of resizing pools: gets the figures of all workers for the lead, and sets the limits that the lead has
 * decided on. Decides nothing itself, and drops what the lead could not know: that operators have changed sizes meanwhile, or
 * that another worker leads. The other end is worker-resizing.ts.
 */
import type { Log } from '../observability/types.ts';
import { answerOf } from './ask.ts';
import type { Lead } from './lead.ts';
import type { Lessor } from './lessor.ts';
import type { WorkerChannel } from './messages.ts';
import type { DecidedResize, GatheredSamples } from './resize-messages.ts';

export interface ResizesOptions {
  readonly lead: Pick<Lead, 'isLeading' | 'all'>;
  readonly lessor: Pick<Lessor, 'resize' | 'keepWarm'>;
  /** Grows with each change of sizes by operators; undefined while one is under way. */
  sizesVersion(): number | undefined;
  readonly log: Log;
  /** How long a worker may take to answer. */
  readonly limitMs?: number;
}

const defaultLimitMs = 2_000;

export class Resizes {
  private readonly options: ResizesOptions;
  /** Place of the worker that has not answered last time. */
  private silent: number | undefined;

  constructor(options: ResizesOptions) {
    this.options = options;
  }

  attach(channel: Pick<WorkerChannel, 'on'>): void {
    const { lead, lessor, sizesVersion } = this.options;
    channel.on('gatherSamples', ({ term }) => (lead.isLeading(channel, term) ? this.gather() : undefined));
    channel.on('resizePools', ({ term, version, resizes }) => {
      if (!lead.isLeading(channel, term) || sizesVersion() !== version) return;
      for (const resize of resizes) this.resize(resize);
    });
    channel.on('warmPools', ({ term, pools }) => {
      if (lead.isLeading(channel, term)) lessor.keepWarm(pools);
    });
  }

  private resize({ pool, from, to, reason, why }: DecidedResize): void {
    this.options.lessor.resize(pool, { atMs: Date.now(), from, to, reason, why });
  }

  private async gather(): Promise<GatheredSamples | undefined> {
    const { lead, sizesVersion, limitMs = defaultLimitMs } = this.options;
    const version = sizesVersion();
    if (version === undefined) return undefined;
    const asked = await Promise.all(
      Array.from(lead.all(), async ([worker, { number, channel }]) => {
        return { worker, number, answer: await answerOf(channel.ask('takeSamples', undefined), limitMs) };
      }),
    );
    const silent = asked.find(({ answer }) => answer.kind === 'silent' || answer.kind === 'refused');
    this.noteSilent(silent?.number);
    return {
      version,
      workers: asked.flatMap(({ worker, answer }) =>
        answer.kind === 'answer' ? [{ worker, samples: answer.value }] : [],
      ),
      isComplete: silent === undefined,
    };
  }

  private noteSilent(number: number | undefined): void {
    if (number !== undefined && number !== this.silent) {
      const message = `worker ${number} does not answer: no pool is made larger or smaller until it does`;
      this.options.log('warn', 'resize_waits', message, { worker: number });
    }
    this.silent = number;
  }
}
