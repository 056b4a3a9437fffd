/**
 * Keeps the catalog of one database true while somebody uses the database: reads it when a node is up, again after every
 * change it hears of, and looks for changes made beside Weir. Of a database that nobody uses nothing is asked.
 * Does not know what is in a catalog (catalog/read-catalog.ts). Made by topology.ts.
 */
import type { NodeConfig } from '../config/config.ts';
import { CatalogLink, type CatalogLinkOptions } from './catalog-link.ts';
import type { Catalog } from '../catalog/types.ts';
import { LookPace } from './look-pace.ts';
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
  /** Where to read now: the primary if it is up, else any replica that is; undefined: nowhere. */
  readonly source: () => CatalogSource | undefined;
  readonly readCatalog: (query: ProbeQuery) => Promise<Catalog>;
  /** A short text that differs when the catalog does; undefined: only changes through Weir are noticed. */
  readonly fingerprint: ((query: ProbeQuery) => Promise<string>) | undefined;
  readonly onCatalog: (catalog: Catalog) => void;
  /** The catalog was read from the primary, or was found to be as it was. */
  readonly onConfirmed?: () => void;
  readonly onProblem: (problem: string) => void;
  readonly pollMs?: number;
  /** Has there been a client lately? Absent: always. */
  readonly isUsed?: () => boolean;
}

/** What was read, and where. */
interface Known {
  readonly catalog: Catalog;
  readonly fingerprint: string | undefined;
  readonly isFromPrimary: boolean;
  /** SchemaWatch.#changes when it was read: it is true as long as no other came. */
  readonly changes: number;
}

export class SchemaWatch implements SchemaClock {
  readonly #options: SchemaWatchOptions;
  readonly #link: CatalogLink;
  readonly #pace: LookPace;
  #state: WatchState = 'stopped';
  /** What was read last. */
  #last: Known | undefined;
  /** What is known was compared, or read, since somebody began to use the database: before that it is not believed. */
  #isCompared = true;
  /** Changes heard of; a catalog is only true if none came while it was being read. */
  #changes = 0;
  /** Somebody asked for a look during a look: look once more. */
  #isKicked = false;
  #timer: NodeJS.Timeout | undefined;
  /** The look that is under way, or the last one. */
  #work: Promise<void> = Promise.resolve();
  readonly #whenKnown = new Set<() => void>();
  /** It was read from the primary once, or could not be: what a replica says is dropped when the primary comes up. */
  hasTried = false;
  /** Why it could not be read or compared at the last attempt. */
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

  /** As it was last read, whatever has changed since. */
  get last(): Catalog | undefined {
    return this.#last?.catalog;
  }

  /** undefined: nothing was read since the last change. */
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
    this.#kickIn(this.#pace.pauseMs(this.#link.crowding));
  }

  #kickIn(waitMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.kick(), waitMs);
    this.#timer.unref();
  }

  /** Somebody begins to use the database. */
  wake(): void {
    if (this.#state !== 'asleep') return;
    this.#move('wake');
    this.kick();
  }

  /** For whoever comes first: resolves when the catalog is known, or could not be read, or after `patienceMs`. */
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
    // After a look that has not ended yet, that one decides whether to sleep.
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

  /** The catalog is not what it was: nothing is known until it was read again, from the primary. */
  changed(): void {
    this.#changes++;
    this.kick();
  }

  /** There is something new to log in with: what failed before says nothing about the next try. */
  tryAgain(): void {
    if (this.#known !== undefined && !this.#pace.isRetrying) return;
    this.#pace.succeeded();
    this.kick();
  }

  /** Something happened (a node came up, a change): look now instead of at the next poll. */
  kick(): void {
    this.#isKicked = true;
    if (this.#state !== 'resting') return;
    clearTimeout(this.#timer);
    this.#move('look');
    this.#work = this.#run();
  }

  async #run(): Promise<void> {
    const retryMs = await this.#look();
    if (this.catalog !== undefined || this.hasTried) for (const settle of [...this.#whenKnown]) settle();
    if (this.#isRunning && !this.#isUsed()) {
      await this.#link.hangUp();
      // Unless somebody came meanwhile.
      if (!this.#isUsed()) return this.#sleep();
    }
    if (this.#link.isAwaited) await this.#link.hangUp();
    this.#move('rest');
    if (this.#state !== 'resting') return;
    this.#kickIn(retryMs ?? this.#pace.pauseMs(this.#link.crowding));
    // By somebody who came when the look was over already.
    if (this.#isKicked) this.kick();
  }

  /** Looks until there is nothing more to do now. Resolves with the time until the next try if that failed. */
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
      // The retry is look enough: kicks must not make it come sooner and sooner.
      this.#isKicked = false;
      await this.#link.hangUp();
      const { problem } = asProbeFailure(error, 'cannot read the catalog');
      // That there is no log-in has a line already (announce.ts).
      this.problem = problem === NO_LOGIN ? undefined : problem;
      if (this.#isRunning && this.problem !== undefined) this.#options.onProblem(this.problem);
      return this.#pace.failed() * this.#link.crowding;
    }
  }

  /** True if there is more to do at once. */
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
    // Before the catalog: a change in between shows up as a difference at the next look.
    const fingerprint = await this.#options.fingerprint?.(connection.query);
    const catalog = await this.#options.readCatalog(connection.query);
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
