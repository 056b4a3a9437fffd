/**
 * Finds for each pool of this process how many statements may run at once (resize.mode): every half second it gives the figures of
 * each pool to its search, and sets what the search says. With `observe` it only says what it sees. Made by the app; with several
 * workers each has one, for its own clients.
 */
import type { StatementsAtOnce } from '../pool/statements-at-once.ts';
import type { PoolName } from '../pool/budget-types.ts';
import { StatementSearch, type SettledChange, type WorkWindow } from './statement-search.ts';

export type ResizeMode = 'off' | 'observe' | 'on';

export interface LimitedPool extends PoolName {
  readonly atOnce: StatementsAtOnce;
  /** pool_mode = session: a client has its server for as long as it likes, so there is nothing to limit. */
  readonly isSession: boolean;
  /** Clients that wait may begin, if the limit has become larger. */
  statementEnded(): void;
}

export interface AtOnceOptions {
  pools(): Iterable<LimitedPool>;
  mode(): ResizeMode;
  /** Since it was last asked, Weir's own event loop was busy: what clients waited for was not the server. Asked once in each window. */
  isBusy(): boolean;
  nowMs(): number;
  /** A limit that is kept, or with `observe` one that might be better. */
  say(pool: PoolName, message: string, change: SettledChange | undefined): void;
  /** The loop goes on after an error, which should not happen. */
  onError(error: unknown): void;
}

const windowMs = 500;
/** With `observe`: so many windows in a row with statements this much slower than alone, and so long between two lines. */
const slow = { windows: 20, factor: 1.5, sayEveryMs: 60_000 };

class Watched {
  search = new StatementSearch();
  slowWindows = 0;
  saidAtMs = -Infinity;
}

export class AtOnceLoop {
  private readonly options: AtOnceOptions;
  private readonly watched = new WeakMap<LimitedPool, Watched>();
  private timer: NodeJS.Timeout | undefined;

  constructor(options: AtOnceOptions) {
    this.options = options;
  }

  start(): void {
    this.timer ??= setInterval(() => {
      try {
        this.tick();
      } catch (error) {
        this.options.onError(error);
      }
    }, windowMs).unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  /** A window has passed. The timer calls it, and tests. */
  tick(): void {
    const mode = this.options.mode();
    const isBusy = this.options.isBusy();
    for (const pool of this.options.pools()) {
      const { atOnce } = pool;
      const figures = atOnce.take();
      atOnce.isMeasured = mode !== 'off' && !pool.isSession;
      if (atOnce.isMeasured && mode === 'on') this.search(pool, { ...figures, isContaminated: isBusy });
      else if (atOnce.isLimited) this.letGo(pool);
      if (atOnce.isMeasured && mode === 'observe') this.observe(pool, { ...figures, isContaminated: isBusy });
    }
  }

  private of(pool: LimitedPool): Watched {
    let watched = this.watched.get(pool);
    if (watched === undefined) this.watched.set(pool, (watched = new Watched()));
    return watched;
  }

  private search(pool: LimitedPool, window: WorkWindow): void {
    const watched = this.of(pool);
    const change = watched.search.next(window);
    if (change?.to === Infinity) watched.search = new StatementSearch(watched.search.found);
    this.limit(pool, watched.search.limit);
    if (change !== undefined) this.options.say(pool, inWords(change), change);
  }

  private letGo(pool: LimitedPool): void {
    this.of(pool).search = new StatementSearch();
    this.limit(pool, Infinity);
  }

  private limit(pool: LimitedPool, limit: number): void {
    const isMore = limit > pool.atOnce.limit;
    pool.atOnce.limit = limit;
    if (isMore) pool.statementEnded();
  }

  private observe(pool: LimitedPool, window: WorkWindow): void {
    const { count, latencyMs, aloneMs, running, isContaminated } = window;
    const watched = this.of(pool);
    const factor = aloneMs === 0 ? 1 : latencyMs / aloneMs;
    const isSlow = count >= 20 && running > 2 && factor >= slow.factor && !isContaminated;
    watched.slowWindows = isSlow ? watched.slowWindows + 1 : 0;
    const now = this.options.nowMs();
    if (watched.slowWindows < slow.windows || now - watched.saidAtMs < slow.sayEveryMs) return;
    watched.saidAtMs = now;
    const fewer = Math.max(2, Math.round(running / factor));
    const message = `statements take ${factor.toFixed(1)} times as long as alone, with ${Math.round(running)} at once: about ${fewer} at once may do as much`;
    this.options.say(pool, `${message} (resize.mode = on would find out)`, undefined);
  }
}

function inWords({ from, to, why }: SettledChange): string {
  const word = (limit: number): string => (limit === Infinity ? 'no limit' : String(limit));
  return `statements at once: ${word(from)} -> ${word(to)}: ${why}`;
}
