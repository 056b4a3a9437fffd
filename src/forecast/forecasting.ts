/**
 * Forecasts of this process: follows the settings, gives the forecaster the time, keeps its state in the file, and says in the log
 * what is wrong with the file or the clock. Of several workers the one that resizes the pools has them. Made by
 * app/services.ts; called by sizing/resize-loop.ts and workers/worker-resizing.ts.
 */
import type { ForecastSettings } from '../config/config.ts';
import type { Log } from '../observability/types.ts';
import type { PoolStats } from '../pool/types.ts';
import type { ForecastHost, Prediction, Predictor } from '../sizing/types.ts';
import { Forecaster } from './forecaster.ts';
import { readState, writeState, writeStateNow } from './state-file.ts';
import { encodeState } from './state-format.ts';
import type { ForecastFigures } from './types.ts';

export interface ForecastingOptions {
  settings(): ForecastSettings;
  /** Monotonic. */
  nowMs(): number;
  /** The calendar. */
  epochMs(): number;
  readonly log: Log;
}

/** A jump of the clock is logged at most once in this time. */
const logJumpsEveryMs = 3_600_000;

/** What there is while forecast.file is set. */
interface Open {
  readonly path: string;
  readonly forecaster: Forecaster;
  readonly isReadOnly: boolean;
  /** Why the last write failed. */
  failure: string | undefined;
  /** The one under way; the next one waits for it. */
  writing: Promise<void> | undefined;
  isClosed: boolean;
}

export class Forecasting implements ForecastHost, Predictor {
  private readonly options: ForecastingOptions;
  private open: Open | undefined;
  private jumpLoggedAtMs = -Infinity;

  constructor(options: ForecastingOptions) {
    this.options = options;
  }

  tick(): Predictor | undefined {
    const { file } = this.options.settings();
    if (this.open !== undefined && this.open.path !== file) this.rest();
    if (file === undefined) return undefined;
    this.open ??= this.begin(file);
    const moment = { epochMs: this.options.epochMs(), nowMs: this.options.nowMs() };
    const { isOver, jumpMs } = this.open.forecaster.pass(moment);
    if (jumpMs !== 0) this.jumped(jumpMs, moment.nowMs);
    if (isOver) this.save(this.open);
    return this;
  }

  rest(): void {
    const { open } = this;
    if (open === undefined) return;
    this.open = undefined;
    open.isClosed = true;
    if (open.isReadOnly) return;
    this.written(open, writeStateNow(open.path, this.textOf(open)));
  }

  private begin(path: string): Open {
    const { pools, problem, isReadOnly } = readState(path, this.options.epochMs());
    if (problem === undefined) {
      const pool = pools.length === 1 ? 'pool' : 'pools';
      const what = pools.length === 0 ? 'begins with nothing' : `knows ${pools.length} ${pool}`;
      this.options.log('info', 'forecast_state', `forecast.file ${path}: ${what}`);
    } else {
      const message = `forecast.file ${path} is not used: ${problem}; forecasts begin anew`;
      this.options.log('warn', 'forecast_state', message);
    }
    const open: Open = {
      ...{ path, isReadOnly, forecaster: new Forecaster(pools) },
      ...{ failure: undefined, writing: undefined, isClosed: false },
    };
    // Says now that the file cannot be written, not in five minutes.
    this.save(open);
    return open;
  }

  private textOf({ forecaster }: Open): string {
    return encodeState(forecaster.state(), this.options.epochMs());
  }

  private save(open: Open): void {
    if (open.isReadOnly || open.writing !== undefined) return;
    open.writing = writeState(open.path, this.textOf(open), () => !open.isClosed).then((failure) => {
      open.writing = undefined;
      this.written(open, failure);
    });
  }

  private written(open: Open, failure: string | undefined): void {
    if (failure === open.failure) return;
    open.failure = failure;
    const { log } = this.options;
    if (failure === undefined) log('info', 'forecast_state', `forecast.file ${open.path} is written again`);
    else
      log(
        'warn',
        'forecast_state',
        `forecast.file ${open.path} cannot be written (${failure}): what is learned is lost at the end of Weir`,
      );
  }

  private jumped(jumpMs: number, nowMs: number): void {
    if (nowMs - this.jumpLoggedAtMs < logJumpsEveryMs) return;
    this.jumpLoggedAtMs = nowMs;
    const how = `${jumpMs > 0 ? 'forward' : 'back'} by ${Math.round(Math.abs(jumpMs) / 1000)} s`;
    const message = `the clock has jumped ${how}: forecasts learn nothing from these five minutes`;
    this.options.log('warn', 'forecast_clock', message, { jumpMs: Math.round(jumpMs) });
  }

  observe(stats: PoolStats, load: number): void {
    this.open?.forecaster.observe(stats, load);
  }

  predicted(stats: PoolStats): Prediction | undefined {
    return this.open?.forecaster.predicted(stats, this.options.settings());
  }

  warmed(stats: PoolStats, count: number): void {
    this.open?.forecaster.warmed(stats, count);
  }

  /** The next save has finished; for tests. */
  async saved(): Promise<void> {
    await this.open?.writing;
  }

  figures(): readonly ForecastFigures[] {
    return this.open?.forecaster.figures(this.options.settings()) ?? [];
  }
}
