/**
 * Keeps the catalog of one database up to date while clients use the database. Looks at it when a client begins to use the
 * database, when a node changes, after every reported change, and every two seconds. A look compares the fingerprint, and
 * reads the catalog if it is new or not known. Sends nothing while no client uses the database.
 * Does not know what a catalog contains (catalog/read-catalog.ts). Made by topology.ts.
 */
import type { NodeConfig } from '../config/config.ts';
import { CatalogLink, type CatalogLinkOptions, type CatalogReader } from './catalog-link.ts';
import type { Catalog } from '../catalog/types.ts';
import { BRIEF_FACTOR, LookPace } from './look-pace.ts';
import { asProbeFailure } from './probe.ts';
import { NO_LOGIN } from './server-connector.ts';
import type { ProbeQuery } from './samples.ts';
import type { SchemaClock } from './types.ts';
import { nextWatchState } from './watch-state.ts';
import type { WatchEvent, WatchState } from './watch-state.ts';

export interface CatalogSource {
  readonly node: NodeConfig;
  readonly isPrimary: boolean;
}

export interface SchemaWatchOptions extends CatalogLinkOptions {
  /** The node to read from now: the primary if it is up, else any replica that is; undefined: no node is up. */
  readonly source: () => CatalogSource | undefined;
  readonly readCatalog: CatalogReader;
  /** Returns a short text that differs when the catalog does; undefined: only changes made through Weir are noticed. */
  readonly fingerprint: ((query: ProbeQuery) => Promise<string>) | undefined;
  readonly onCatalog: (catalog: Catalog) => void;
  /** The catalog was read from the primary, or a comparison with the primary found it unchanged. */
  readonly onConfirmed?: () => void;
  readonly onProblem: (problem: string) => void;
  /** Absent: 2000 (look-pace.ts). */
  readonly pollMs?: number;
  /** Whether a client used the database lately. Absent: always true. */
  readonly isUsed?: () => boolean;
  /** The connection is closed after each look, and looks are rare. Absent: never. */
  readonly isBrief?: () => boolean;
}

/** A catalog, and when and where it was read. */
interface Known {
  readonly catalog: Catalog;
  readonly fingerprint: string | undefined;
  readonly isFromPrimary: boolean;
  /** SchemaWatch.#changes when it was read: the catalog is valid while that number stays the same. */
  readonly changes: number;
}

export class SchemaWatch implements SchemaClock {
  readonly #options: SchemaWatchOptions;
  readonly #link: CatalogLink;
  readonly #pace: LookPace;
  #state: WatchState = 'stopped';
  #last: Known | undefined;
  /** False after a sleep, until the catalog was read or compared again: it may be out of date. */
  #isCompared = true;
  /** Number of changes reported; a catalog is valid only if none was reported while it was being read. */
  #changes = 0;
  /** A look was requested during a look: look once more. */
  #isKicked = false;
  #timer: NodeJS.Timeout | undefined;
  /** The current look, or the last one. */
  #work: Promise<void> = Promise.resolve();
  readonly #whenKnown = new Set<() => void>();
  /** The catalog was read from the primary, or that failed, at least once. */
  hasTried = false;
  /** Why the last attempt to read or compare failed; undefined: it did not fail. */
  problem: string | undefined;
  /** See SchemaClock. */
  next = 1;
  confirmed = 0;

  constructor(options: SchemaWatchOptions) {
    this.#options = options;
    this.#link = new CatalogLink(options, () => this.#state === 'looking' || this.#state === 'stopping');
    this.#pace = new LookPace(options.pollMs);
  }

  get catalog(): Catalog | undefined {
    return this.#isCompared ? this.#known?.catalog : undefined;
  }

  /** The catalog as last read, even if it has changed since. */
  get last(): Catalog | undefined {
    return this.#last?.catalog;
  }

  /** undefined: not read since the last change. */
  get #known(): Known | undefined {
    return this.#last?.changes === this.#changes ? this.#last : undefined;
  }

  get isAsleep(): boolean {
    return this.#state === 'asleep';
  }

  get #isRunning(): boolean {
    return this.#state !== 'stopped' && this.#state !== 'stopping';
  }

  #move(event: WatchEvent): void {
    this.#state = nextWatchState(this.#state, event);
  }

  hurry(): void {
    if (this.#pace.isHurried) return;
    this.#pace.isHurried = true;
    if (this.#state !== 'resting' || this.#pace.isRetrying) return;
    this.#kickIn(this.#pace.pauseMs(this.#crowding));
  }

  get #crowding(): number {
    return this.#link.crowding * (this.#options.isBrief?.() === true ? BRIEF_FACTOR : 1);
  }

  #kickIn(waitMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.kick(), waitMs);
    this.#timer.unref();
  }

  /** A client begins to use the database. */
  wake(): void {
    if (this.#state !== 'asleep') return;
    this.#move('wake');
    this.kick();
  }

  /**
   * Resolves when the catalog is known, or could not be read, or after `patienceMs`. For the first clients of a
   * database.
   */
  whenKnown(patienceMs: number): Promise<void> {
    const isOver = this.#isCompared && (this.#known !== undefined || this.hasTried);
    if (isOver || !this.#isRunning || this.#pace.isRetrying) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#whenKnown.delete(settle);
        resolve();
      };
      const timer = setTimeout(settle, patienceMs);
      timer.unref();
      this.#whenKnown.add(settle);
    });
  }

  start(): void {
    if (this.#isRunning) return;
    this.#link.start();
    this.#move('start');
    // A look that still runs from before `stop()` decides at its end whether to sleep.
    if (this.#isUsed() || this.#state === 'looking') this.kick();
    else this.#sleep();
  }

  async stop(): Promise<void> {
    this.#move('stop');
    clearTimeout(this.#timer);
    this.#link.stop();
    for (const settle of [...this.#whenKnown]) settle();
    await this.#link.hangUp();
    await this.#work;
    this.#link.leaveCrowd();
  }

  #isUsed(): boolean {
    return this.#options.isUsed?.() ?? true;
  }

  #sleep(): void {
    this.#move('sleep');
    this.#isCompared = false;
    this.#link.leaveCrowd();
  }

  /** The catalog has changed: it counts as unknown until it was read again from the primary. */
  changed(): void {
    this.#changes++;
    this.kick();
  }

  /**
   * The available log-ins have changed: forgets the failures so far and tries again now. Does nothing if the catalog is known
   * and the last look did not fail.
   */
  tryAgain(): void {
    if (this.#known !== undefined && !this.#pace.isRetrying) return;
    this.#pace.succeeded();
    this.kick();
  }

  /** Looks now instead of at the next poll, because something happened (a node came up, the catalog changed). */
  kick(): void {
    this.#isKicked = true;
    if (this.#state !== 'resting') return;
    clearTimeout(this.#timer);
    this.#move('look');
    this.#work = this.#run();
  }

  async #run(): Promise<void> {
    const retryMs = await this.#look();
    if (this.#options.isBrief?.() === true) await this.#link.hangUp();
    if (this.catalog !== undefined || this.hasTried) for (const settle of [...this.#whenKnown]) settle();
    if (this.#isRunning && !this.#isUsed()) {
      await this.#link.hangUp();
      // A client may have come while the connection was being closed.
      if (!this.#isUsed()) return this.#sleep();
    }
    if (this.#link.isAwaited) await this.#link.hangUp();
    this.#move('rest');
    if (this.#state !== 'resting') return;
    this.#kickIn(retryMs ?? this.#pace.pauseMs(this.#crowding));
    // A look requested after the loop of the last one had ended.
    if (this.#isKicked) this.kick();
  }

  /**
   * Looks until nothing more is to be done now. Resolves with the milliseconds until the next attempt if it failed,
   * else undefined.
   */
  async #look(): Promise<number | undefined> {
    this.#pace.begin();
    let source: CatalogSource | undefined;
    try {
      do {
        this.#isKicked = false;
        source = this.#options.source();
      } while (((await this.#step(source)) || this.#isKicked) && this.#isRunning);
      this.#pace.succeeded();
      this.problem = undefined;
      return undefined;
    } catch (error) {
      this.hasTried ||= source?.isPrimary === true;
      // The retry covers requests that came meanwhile: they must not shorten its growing pause.
      this.#isKicked = false;
      await this.#link.hangUp();
      const { problem } = asProbeFailure(error, 'cannot read the catalog');
      // announce.ts already logs a missing log-in.
      this.problem = problem === NO_LOGIN ? undefined : problem;
      if (this.#isRunning && this.problem !== undefined) this.#options.onProblem(this.problem);
      return this.#pace.failed() * this.#link.crowding;
    }
  }

  /** @returns true if another step has to follow at once */
  async #step(source: CatalogSource | undefined): Promise<boolean> {
    if (source === undefined) return false;
    if (this.#known?.isFromPrimary === false && source.isPrimary) this.changed();
    if (this.#known !== undefined) return this.#lookForChanges(source);
    // A replica may not have replayed the change yet.
    if (!source.isPrimary && this.#changes > 0) return false;
    return this.#read(source);
  }

  async #lookForChanges(source: CatalogSource): Promise<boolean> {
    if (this.#options.fingerprint === undefined) {
      if (this.#isCompared) return false;
      this.changed();
      return true;
    }
    const connection = await this.#link.to(source.node);
    const changes = this.#changes;
    const number = this.next++;
    const askedAtMs = performance.now();
    const fingerprint = await this.#options.fingerprint(connection.query);
    this.#pace.tookMs = performance.now() - askedAtMs;
    if (changes !== this.#changes) return true;
    if (fingerprint === this.#known?.fingerprint) {
      this.#isCompared = true;
      if (source.isPrimary) this.#confirm(number);
      return false;
    }
    this.changed();
    return true;
  }

  async #read(source: CatalogSource): Promise<boolean> {
    const connection = await this.#link.to(source.node);
    const changes = this.#changes;
    const number = this.next++;
    // Read before the catalog: a change between the two then shows as a difference at the next look.
    const fingerprint = await this.#options.fingerprint?.(connection.query);
    const catalog = await this.#options.readCatalog(connection.query, this.#last?.catalog);
    if (changes !== this.#changes) return true;
    this.#last = { catalog, fingerprint, isFromPrimary: source.isPrimary, changes };
    this.#isCompared = true;
    this.hasTried ||= source.isPrimary;
    this.#options.onCatalog(catalog);
    if (source.isPrimary) this.#confirm(number);
    return false;
  }

  #confirm(number: number): void {
    this.confirmed = number;
    this.#options.onConfirmed?.();
  }
}
