/**
 * Reads the writes that go past Weir, where cache.out_of_band_writes asks for it: for each database one Decoding, in the process that
 * has the lead, which tells the other workers how far all is known. Entries of `databases` for the same database share it. Made by
 * parts.ts, started and stopped by lifecycle.ts.
 */
import type { ServerLink } from '../backend/login.ts';
import type { ResultCache } from '../cache/types.ts';
import type { Config, NodeConfig } from '../config/config.ts';
import { Decoding } from '../decoding/decoding.ts';
import type { DecodingFigures } from '../decoding/types.ts';
import type { Log } from '../observability/types.ts';
import { systemClock } from '../util/clock.ts';
import type { CoveredDatabase } from '../workers/decoding-topics.ts';
import { sharedTime } from '../workers/shared-time.ts';
import type { WorkerLink } from '../workers/worker-link.ts';
import type { DatabaseRuntime } from './database.ts';
import type { Directory } from './directory.ts';

export interface DecodingsOptions {
  config(): Config;
  readonly directory: Pick<Directory, 'all' | 'find'>;
  readonly cache: ResultCache;
  readonly log: Log;
  /** Number of the time for which this worker is the lead; undefined: it is not. 0 where there is one process. */
  leadTerm(): number | undefined;
  /** To the other workers; undefined: this process is the whole Weir. */
  readonly channel: WorkerLink['channel'] | undefined;
  onError(error: unknown): void;
}

interface Known {
  readonly decoding: Decoding;
  readonly database: DatabaseRuntime;
  catalog: unknown;
  roots: readonly number[];
  /** Monotonic ms. */
  usedAtMs: number;
}

/** How often is looked whether a database has come or gone, or the lead has moved. */
const sweepMs = 200;
/** How often the lead is told which databases are in use. */
const sayEveryMs = 2_000;
/** A database that nobody has used for so long is not read any more, which frees its slot. */
const keptMs = 300_000;

export class Decodings {
  private readonly options: DecodingsOptions;
  private readonly time = sharedTime();
  /** By Catalog.tagPrefix. */
  private readonly known = new Map<string, Known>();
  private readonly ending = new Set<Promise<void>>();
  private timer: NodeJS.Timeout | undefined;
  private saidAtMs = -Infinity;

  constructor(options: DecodingsOptions) {
    this.options = options;
    options.channel?.on('decode', (name) => {
      // Its catalog is read, as if a client of this process used it.
      if (this.timer !== undefined) void options.directory.find(name)?.use();
    });
    options.channel?.on('covered', (database) => this.cover(database, this.time.toLocal(database.untilMs)));
  }

  start(): void {
    const { cache } = this.options.config();
    if (cache.outOfBandWrites === 'off' || !cache.enabled || this.timer !== undefined) return;
    this.timer = setInterval(() => this.sweep(), sweepMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    this.timer = undefined;
    for (const prefix of [...this.known.keys()]) this.end(prefix);
    await Promise.all(this.ending);
  }

  /** Of all databases that clients have named; nothing if no writes are read. */
  *figures(): Iterable<DecodingFigures> {
    if (this.timer === undefined) return;
    const state = this.options.leadTerm() === undefined ? 'standby' : 'off';
    for (const database of this.options.directory.all()) {
      const known = this.known.get(database.tagPrefix() ?? '');
      const none = { state, problem: undefined, lagMs: undefined, tables: 0 } as const;
      yield { database: database.name, ...(known?.decoding.state() ?? none) };
    }
  }

  private sweep(): void {
    try {
      const nowMs = systemClock.nowMs();
      if (this.options.leadTerm() === undefined) this.sayUsed(nowMs);
      else for (const database of this.options.directory.all()) this.follow(database, nowMs);
      for (const [prefix, { usedAtMs }] of this.known)
        if (this.options.leadTerm() === undefined || nowMs - usedAtMs > keptMs) this.end(prefix);
    } catch (error) {
      this.options.onError(error);
    }
  }

  private sayUsed(nowMs: number): void {
    if (nowMs - this.saidAtMs < sayEveryMs) return;
    this.saidAtMs = nowMs;
    for (const { name, usage } of this.options.directory.all())
      if (usage.isRecent(nowMs)) this.options.channel?.tell('decode', name);
  }

  private follow(database: DatabaseRuntime, nowMs: number): void {
    const prefix = database.tagPrefix();
    if (prefix === undefined) return;
    let known = this.known.get(prefix);
    const isUsed = database.usage.isRecent(nowMs);
    if (known === undefined && !isUsed) return;
    const catalog = database.topology.catalog();
    if (known === undefined) {
      known = { decoding: this.make(prefix, database), database, catalog, roots: [], usedAtMs: nowMs };
      this.known.set(prefix, known);
      known.decoding.start();
    }
    if (isUsed) known.usedAtMs = nowMs;
    if (known.database !== database || known.catalog === catalog) return;
    known.catalog = catalog;
    known.decoding.catalogChanged();
  }

  private end(prefix: string): void {
    const known = this.known.get(prefix);
    this.known.delete(prefix);
    if (known === undefined) return;
    const end = known.decoding.stop().finally(() => this.ending.delete(end));
    this.ending.add(end);
  }

  private make(prefix: string, database: DatabaseRuntime): Decoding {
    const { config, log, cache } = this.options;
    const { maxOutOfBandLagMs, publication } = config().cache;
    return new Decoding({
      database: database.name,
      publication,
      clock: systemClock,
      maxLagMs: maxOutOfBandLagMs,
      log,
      primary: () => database.topology.snapshot().primary?.config,
      connect: (node, parameters) => this.connect(database, node, parameters),
      wrote: async (roots) => void (await cache.invalidate(tagsOf(prefix, roots), 'around')),
      decodes: (roots) => {
        const known = this.known.get(prefix);
        if (known !== undefined) known.roots = [...roots];
      },
      proven: (atMs) => this.proven(prefix, atMs + maxOutOfBandLagMs),
    });
  }

  /** As the user of the node's URL, or auth.user. */
  private connect(
    database: DatabaseRuntime,
    node: NodeConfig,
    parameters: Record<string, string>,
  ): Promise<ServerLink> {
    const user = node.user ?? this.options.config().auth.user;
    if (user === undefined)
      return Promise.reject(
        new Error(
          'no log-in that may read the WAL: set auth.user, or user:password in the URL, of a role with REPLICATION',
        ),
      );
    return database.logins.link(node, user, parameters);
  }

  private proven(prefix: string, untilMs: number): void {
    const { channel, leadTerm } = this.options;
    const roots = this.known.get(prefix)?.roots ?? [];
    const database = { prefix, untilMs: this.time.toShared(untilMs), roots };
    this.cover(database, untilMs);
    const term = leadTerm();
    if (term !== undefined) channel?.tell('covered', { term, database });
  }

  private cover({ prefix, roots }: CoveredDatabase, untilMs: number): void {
    this.options.cache.cover(prefix, untilMs, new Set(roots.map((oid) => `${prefix}r${oid}`)));
  }
}

/** @param roots undefined: any table may have been written */
function tagsOf(prefix: string, roots: ReadonlySet<number> | undefined): string[] {
  return roots === undefined ? [`${prefix}all`] : [...roots].map((oid) => `${prefix}r${oid}`);
}
