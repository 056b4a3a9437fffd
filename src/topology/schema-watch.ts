/**
 * Keeps the catalog of one database true: reads it when a node is up, again after every change it hears of, and looks
 * for changes made beside Weir. Does not know what is in a catalog (catalog.ts). Made by topology.ts.
 */
import type { NodeConfig } from '../config/config.ts';
import type { Catalog } from './catalog-types.ts';
import { asProbeFailure } from './probe.ts';
import type { ConnectProbe, ProbeConnection, ProbeQuery } from './samples.ts';

export interface CatalogSource {
  readonly node: NodeConfig;
  readonly isPrimary: boolean;
}

export interface SchemaWatchOptions {
  readonly connect: ConnectProbe;
  /** Where to read now: the primary if it is up, else any replica that is; undefined: nowhere. */
  readonly source: () => CatalogSource | undefined;
  readonly readCatalog: (query: ProbeQuery) => Promise<Catalog>;
  /** A short text that differs when the catalog does; undefined: only changes through Weir are noticed. */
  readonly fingerprint: ((query: ProbeQuery) => Promise<string>) | undefined;
  readonly onCatalog: (catalog: Catalog) => void;
  readonly onProblem: (problem: string) => void;
  readonly pollMs?: number;
}

const POLL_MS = 2000;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5000;

export class SchemaWatch {
  readonly #options: SchemaWatchOptions;
  #catalog: Catalog | undefined;
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
  #open: { readonly node: NodeConfig; readonly connection: ProbeConnection } | undefined;
  #abort = new AbortController();
  #work: Promise<void> = Promise.resolve();

  constructor(options: SchemaWatchOptions) {
    this.#options = options;
  }

  /** It was read from the primary once, or could not be: what a replica says is dropped when the primary comes up. */
  hasTried = false;
  #isAskingPrimary = false;

  get catalog(): Catalog | undefined {
    return this.#catalog;
  }

  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#abort = new AbortController();
    this.kick();
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    clearTimeout(this.#timer);
    this.#abort.abort();
    await this.#hangUp();
    await this.#work;
  }

  /** The catalog is not what it was: nothing is known until it was read again, from the primary. */
  changed(): void {
    this.#changes++;
    this.#catalog = undefined;
    this.kick();
  }

  /** Something happened (a node came up, a change): look now instead of at the next poll. */
  kick(): void {
    this.#isKicked = true;
    if (!this.#isRunning || this.#isBusy) return;
    clearTimeout(this.#timer);
    this.#isBusy = true;
    this.#work = this.#run().finally(() => {
      this.#isBusy = false;
    });
  }

  async #run(): Promise<void> {
    let waitMs = this.#options.pollMs ?? POLL_MS;
    try {
      do this.#isKicked = false;
      while (this.#isRunning && ((await this.#step()) || this.#isKicked));
      this.#retryMs = RETRY_MIN_MS;
    } catch (error) {
      this.hasTried ||= this.#isAskingPrimary;
      await this.#hangUp();
      if (this.#isRunning) this.#options.onProblem(asProbeFailure(error, 'cannot read the catalog').problem);
      waitMs = this.#retryMs;
      this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
    }
    if (!this.#isRunning) return;
    this.#timer = setTimeout(() => this.kick(), waitMs);
    this.#timer.unref();
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
    if (this.#options.fingerprint === undefined) return false;
    const connection = await this.#connectionTo(source.node);
    const changes = this.#changes;
    const fingerprint = await this.#options.fingerprint(connection.query);
    if (changes !== this.#changes) return true;
    if (fingerprint === this.#fingerprint) return false;
    this.changed();
    return true;
  }

  async #read(source: CatalogSource): Promise<boolean> {
    const connection = await this.#connectionTo(source.node);
    const changes = this.#changes;
    // Before the catalog: a change in between shows up as a difference at the next look.
    const fingerprint = await this.#options.fingerprint?.(connection.query);
    const catalog = await this.#options.readCatalog(connection.query);
    if (changes !== this.#changes) return true;
    this.#fingerprint = fingerprint;
    this.#isFromPrimary = source.isPrimary;
    this.#catalog = catalog;
    this.hasTried ||= source.isPrimary;
    this.#options.onCatalog(catalog);
    return false;
  }

  async #connectionTo(node: NodeConfig): Promise<ProbeConnection> {
    if (this.#open?.node === node) return this.#open.connection;
    await this.#hangUp();
    const connection = await this.#options.connect(
      node,
      () => {
        if (this.#open?.connection === connection) this.#open = undefined;
      },
      this.#abort.signal,
    );
    this.#open = { node, connection };
    if (!this.#isRunning) await this.#hangUp();
    return connection;
  }

  async #hangUp(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.connection.close();
  }
}
