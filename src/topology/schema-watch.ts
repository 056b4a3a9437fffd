/**
 * Keeps the catalog of one database true while somebody uses the database: reads it when a node is up, again after every
 * change it hears of, and looks for changes made beside Weir. Of a database that nobody uses nothing is asked.
 * Does not know what is in a catalog (catalog/read-catalog.ts). Made by topology.ts.
 */
import type { NodeConfig } from '../config/config.ts';
import { CatalogLink, type CatalogLinkOptions } from './catalog-link.ts';
import type { Catalog } from '../catalog/types.ts';
import { asProbeFailure } from './probe.ts';
import { NO_LOGIN } from './server-connector.ts';
import type { ProbeQuery } from './samples.ts';
import type { SchemaClock } from './types.ts';

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

const POLL_MS = 2000;
/** When somebody waits for it: from the begin of one comparison to the next, and of that time at most a twentieth is its own. */
const HURRY_MS = 50;
const HURRY_SHARE = 20;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5000;

export class SchemaWatch implements SchemaClock {
  readonly #options: SchemaWatchOptions;
  #catalog: Catalog | undefined;
  /** The one before the change of which it was heard. */
  #last: Catalog | undefined;
  #isFromPrimary = false;
  #fingerprint: string | undefined;
  /** Changes heard of; a catalog is only true if none came while it was being read. */
  #changes = 0;
  #isRunning = false;
  #isBusy = false;
  /** Somebody kicked while we were at it: look once more. */
  #isKicked = false;
  #retryMs = RETRY_MIN_MS;
  #timer: NodeJS.Timeout | undefined;
  readonly #link: CatalogLink;
  #work: Promise<void> = Promise.resolve();
  /** Nobody uses the database: what is known of it is not believed until it has been compared again. */
  #isAsleep = false;
  #isCompared = true;
  readonly #whenKnown = new Set<() => void>();

  constructor(options: SchemaWatchOptions) {
    this.#options = options;
    this.#link = new CatalogLink(options, () => this.#isBusy);
  }

  /** It was read from the primary once, or could not be: what a replica says is dropped when the primary comes up. */
  hasTried = false;
  /** Why it could not be read or compared at the last attempt. */
  problem: string | undefined;
  /** See SchemaClock. */
  next = 1;
  confirmed = 0;
  #isHurried = false;
  #beganAtMs = -Infinity;
  #tookMs = 0;
  #isAskingPrimary = false;

  get catalog(): Catalog | undefined {
    return this.#isCompared ? this.#catalog : undefined;
  }

  /** What was last known of it, however old that is. */
  get last(): Catalog | undefined {
    return this.#catalog ?? this.#last;
  }

  get isAsleep(): boolean {
    return this.#isAsleep;
  }

  hurry(): void {
    if (this.#isHurried) return;
    this.#isHurried = true;
    if (!this.#isRunning || this.#isBusy || this.#isAsleep || this.#retryMs > RETRY_MIN_MS) return;
    this.#kickIn(this.#pauseMs());
  }

  /** Until the next look. */
  #pauseMs(): number {
    const pollMs = (this.#options.pollMs ?? POLL_MS) * this.#link.crowding;
    if (!this.#isHurried) return pollMs;
    const gapMs = Math.max(HURRY_MS, HURRY_SHARE * this.#tookMs);
    return Math.min(pollMs, Math.max(0, this.#beganAtMs + gapMs - performance.now()));
  }

  #kickIn(waitMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.kick(), waitMs);
    this.#timer.unref();
  }

  /** Somebody begins to use the database. */
  wake(): void {
    if (!this.#isAsleep) return;
    this.#isAsleep = false;
    this.kick();
  }

  /** For whoever comes first: resolves when the catalog is known, or could not be read, or after `patienceMs`. */
  whenKnown(patienceMs: number): Promise<void> {
    const isOver = this.#isCompared && (this.#catalog !== undefined || this.hasTried);
    if (isOver || !this.#isRunning || this.#retryMs > RETRY_MIN_MS) return Promise.resolve();
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
    this.#isRunning = true;
    this.#link.start();
    if (this.#isUsed()) this.kick();
    else this.#sleep();
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
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
    this.#isAsleep = true;
    this.#isCompared = false;
    this.#link.leaveCrowd();
  }

  /** The catalog is not what it was: nothing is known until it was read again, from the primary. */
  changed(): void {
    this.#changes++;
    this.#last = this.last;
    this.#catalog = undefined;
    this.kick();
  }

  /** There is something new to log in with: what failed before says nothing about the next try. */
  tryAgain(): void {
    if (this.#catalog !== undefined && this.#retryMs === RETRY_MIN_MS) return;
    this.#retryMs = RETRY_MIN_MS;
    this.kick();
  }

  /** Something happened (a node came up, a change): look now instead of at the next poll. */
  kick(): void {
    this.#isKicked = true;
    if (!this.#isRunning || this.#isBusy || this.#isAsleep) return;
    clearTimeout(this.#timer);
    this.#isBusy = true;
    this.#work = this.#run().finally(() => {
      this.#isBusy = false;
      // By somebody who came when the last look was over already.
      if (this.#isKicked) this.kick();
    });
  }

  async #run(): Promise<void> {
    let waitMs: number | undefined;
    // Whether there is somebody to ask or not: the next look is not at once.
    this.#isHurried = false;
    this.#beganAtMs = performance.now();
    try {
      do this.#isKicked = false;
      while (this.#isRunning && ((await this.#step()) || this.#isKicked));
      this.#retryMs = RETRY_MIN_MS;
      this.problem = undefined;
    } catch (error) {
      this.hasTried ||= this.#isAskingPrimary;
      // The retry is look enough: kicks must not make it come sooner and sooner.
      this.#isKicked = false;
      await this.#link.hangUp();
      const { problem } = asProbeFailure(error, 'cannot read the catalog');
      // That there is no log-in has a line already (announce.ts).
      this.problem = problem === NO_LOGIN ? undefined : problem;
      if (this.#isRunning && this.problem !== undefined) this.#options.onProblem(this.problem);
      waitMs = this.#retryMs * this.#link.crowding;
      this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
    }
    if (this.catalog !== undefined || this.hasTried) for (const settle of [...this.#whenKnown]) settle();
    if (!this.#isRunning) return;
    if (!this.#isUsed()) {
      await this.#link.hangUp();
      // Unless somebody came meanwhile.
      if (!this.#isUsed()) return this.#sleep();
    }
    if (this.#link.isAwaited) await this.#link.hangUp();
    this.#kickIn(waitMs ?? this.#pauseMs());
  }

  /** True if there is more to do at once. */
  async #step(): Promise<boolean> {
    const source = this.#options.source();
    if (source === undefined) return false;
    this.#isAskingPrimary = source.isPrimary;
    if (this.#catalog !== undefined && source.isPrimary && !this.#isFromPrimary) this.changed();
    if (this.#catalog !== undefined) return this.#lookForChanges(source);
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
    this.#tookMs = performance.now() - askedAtMs;
    if (changes !== this.#changes) return true;
    if (fingerprint === this.#fingerprint) {
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
    this.#fingerprint = fingerprint;
    this.#isFromPrimary = source.isPrimary;
    this.#catalog = catalog;
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
