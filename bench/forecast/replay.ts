/**
 * Plays a trace against the resize controller and the forecaster of Weir, as they are. The pool is a model: clients that always
 * ask again share the open connections, and log-ins take their time, two at once. Whoever waits for more than target_wait counts.
 */
import { assemble, defaultValues } from '../../src/config/assemble.ts';
import { Forecaster, type Bounds } from '../../src/forecast/forecaster.ts';
import type { PoolStats } from '../../src/pool/types.ts';
import { PeakWindow } from '../../src/sizing/peak-window.ts';
import { ResizeController, type SampledPool } from '../../src/sizing/controller.ts';
import type { Predictor } from '../../src/sizing/types.ts';
import type { Trace } from '../traces/generate.ts';

export interface Outcome {
  /** Seconds in which clients waited longer than target_wait. */
  readonly overTargetSeconds: number;
  /** Connections that were opened while clients waited. */
  readonly coldConnects: number;
  /** Connection hours that were open and not in use. */
  readonly idleHours: number;
  /** Growths with the reason "predicted". */
  readonly predicted: number;
  /** What was predicted for each five minutes of the last day but three, and what it was. */
  readonly plot: readonly { readonly predicted: number | undefined; readonly demand: number }[];
}

export interface ReplayOptions {
  readonly isForecasting: boolean;
  readonly bounds?: Bounds;
  /** Only so many days; the first `learnDays` are not counted. */
  readonly days?: number;
  readonly learnDays?: number;
}

const { pool: settings, resize, forecast } = assemble(defaultValues(), { databases: new Map(), users: new Map() });
const bucketMs = 300_000;
/** How long a statement holds its connection, and a log-in takes (TLS and SCRAM, to another zone). */
const holdMs = 20;
const loginMs = 60;
const stepMs = 50;
const maxLogins = 2;

/** Every half second at the beginning of five minutes, when the load changes; then every five seconds. */
const ticksMs = [...Array.from({ length: 20 }, () => 500), ...Array.from({ length: 58 }, () => 5_000)];

class ModelPool {
  limit = settings.defaultPoolSize;
  open = 0;
  private loggedIn = 0;
  private checkouts = 0;
  private maxWaitMs = 0;
  private peak = 0;
  private readonly used = new PeakWindow(settings.serverIdleTimeoutMs, 0);
  readonly key = {};
  overMs = 0;
  coldConnects = 0;
  idleMs = 0;

  /** @param warm connections to be open without clients @param isCounted the days of learning are over */
  run(demand: number, warm: number, nowMs: number, tickMs: number, isCounted: boolean): void {
    for (let passedMs = 0; passedMs < tickMs;) {
      const wanted = Math.min(this.limit, Math.max(demand, warm));
      const waiting = Math.max(0, demand - this.open);
      // While nothing changes, one long step.
      const ms = wanted > this.open ? stepMs : tickMs - passedMs;
      const waitMs = waiting === 0 ? 0 : this.open === 0 ? Infinity : (holdMs * waiting) / this.open;
      this.maxWaitMs = Math.max(this.maxWaitMs, Math.min(waitMs, ms + holdMs));
      if (isCounted && waitMs > resize.targetWaitMs) this.overMs += ms;
      if (isCounted) this.idleMs += ms * Math.max(0, this.open - demand);
      this.peak = Math.max(this.peak, Math.min(demand, this.open));
      this.checkouts += (Math.min(demand, this.open) * ms) / holdMs;
      this.logIn(wanted, ms, isCounted && waiting > 0);
      passedMs += ms;
    }
    this.used.add(nowMs, demand);
    this.open = Math.min(this.open, Math.max(this.used.max(nowMs), warm), this.limit);
  }

  private logIn(wanted: number, ms: number, isCold: boolean): void {
    if (wanted <= this.open) return;
    this.loggedIn += (maxLogins * ms) / loginMs;
    const count = Math.min(wanted - this.open, Math.floor(this.loggedIn));
    this.loggedIn -= Math.floor(this.loggedIn);
    this.open += count;
    if (isCold) this.coldConnects += count;
  }

  sample(demand: number): SampledPool<object> {
    const active = Math.min(demand, this.open);
    const stats = {
      ...{ database: 'shop', user: 'app', node: 'db1', poolMode: 'transaction', isPaused: false },
      ...{ limit: this.limit, min: settings.minPoolSize, max: settings.maxPoolSize },
      ...{
        active,
        idle: this.open - active,
        login: 0,
        resetting: 0,
        pinned: 0,
        waiting: Math.max(0, demand - this.open),
      },
      ...{ checkouts: this.checkouts, heldTotalMs: this.checkouts * holdMs, maxWaitMs: this.maxWaitMs },
    } as PoolStats;
    const sample = {
      ...{ stats, maxWaitMs: this.maxWaitMs, peakInUse: this.peak, serverFull: 0 },
      ...{ defaultSize: settings.defaultPoolSize, reserveSize: 0, reserveTimeoutMs: settings.reservePoolTimeoutMs },
    };
    this.maxWaitMs = this.peak = 0;
    return { key: this.key, sample, server: 'db1:5432', connectionLimit: 200, maxDbConnections: 0 };
  }
}

export function replay(trace: Trace, options: ReplayOptions): Outcome {
  const { isForecasting, bounds = forecast, days = trace.days.length, learnDays = 7 } = options;
  const demands = trace.days.slice(0, days).flatMap((day) => day.split(' ').map(Number));
  const startMs = Date.parse(trace.from);
  const pool = new ModelPool();
  const controller = new ResizeController<object>();
  const forecaster = new Forecaster();
  const predictor: Predictor = {
    observe: (stats, load) => forecaster.observe(stats, load),
    predicted: (stats) => forecaster.predicted(stats, bounds),
    warmed: () => undefined,
  };
  const plot: { predicted: number | undefined; demand: number }[] = [];
  let nowMs = 0;
  let predicted = 0;
  demands.forEach((demand, bucket) => {
    for (const tickMs of ticksMs) {
      const warm = controller.warm.get(pool.key) ?? 0;
      pool.run(demand, warm, nowMs, tickMs, bucket >= learnDays * 288);
      nowMs += tickMs;
      if (isForecasting) forecaster.pass({ epochMs: startMs + nowMs, nowMs });
      const sampled = [pool.sample(demand)];
      for (const { to, reason } of controller.decide(sampled, resize, nowMs, isForecasting ? predictor : undefined)) {
        if (reason === 'predicted') predicted++;
        pool.limit = to;
      }
    }
    if (isForecasting && Math.floor(bucket / 288) === days - 4) {
      const [figures] = forecaster.figures({ confidence: 0, aheadMs: 0 });
      plot.push({ predicted: figures?.predicted, demand: demands[bucket + 1] ?? demand });
    }
    if (nowMs !== (bucket + 1) * bucketMs) throw new Error('the ticks of five minutes are not five minutes');
  });
  return {
    overTargetSeconds: pool.overMs / 1000,
    coldConnects: pool.coldConnects,
    idleHours: pool.idleMs / 3_600_000,
    predicted,
    plot,
  };
}
