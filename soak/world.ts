/**
 * One database with the Weirs in front of it, its ledger, and everybody who works in it. There are two at the same time:
 * two Weirs over one Redis, and one Weir without (stage.ts). Knows of faults only that connections end.
 */
import pg from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WeirProcess } from '../integration/harness/weir.ts';
import { Connection, LostError } from './connection.ts';
import { Ledger, Via } from './history.ts';
import type { Level } from './history.ts';
import type { KilledWorkers } from './killed-workers.ts';
import type { Kind } from './kinds.ts';
import { registerNames, registerOf, slots, tables, writtenAround, writtenByNews } from './model.ts';
import type { Form, Table } from './model.ts';
import type { Random } from './random.ts';
import { ReadSession, ways } from './reads.ts';
import type { Own, Target } from './reads.ts';
import type { SqlError } from './writer.ts';
import { Writer } from './writer.ts';

/** What a run may choose for itself. */
export interface Measures {
  /** Between two writes of one writer, at most: what is written all the time is never old for long. */
  readonly pauseMs: number;
  /** How old a read may be at most, whoever has written. */
  readonly boundMs: number;
  /** Each has a slot of its own; only those slots are read. */
  readonly writers: number;
  /** How many batches of reads a reading session lives for, on average. */
  readonly sessionBatches: number;
  /** How many reads are in one batch at most. */
  readonly batchReads: number;
}

export const usualMeasures: Measures = {
  pauseMs: 1_500,
  // Lag, and the time that a Weir needs to notice a fault.
  boundMs: 5_000,
  writers: slots,
  sessionBatches: 2_000,
  batchReads: 8,
};

export interface WorldOptions extends Measures {
  /** Only clients of killed workers may lose anything; undefined: other faults are played, too. */
  readonly killed?: KilledWorkers | undefined;
  readonly kinds: readonly Kind[];
  readonly forms: readonly Form[];
  readonly hasTransactions: boolean;
  /** undefined: as configured, judged as `session`. */
  readonly readers: readonly (Level | undefined)[];
}

/** A place where a Weir runs; when it is killed, the next one takes the place. */
export interface Seat {
  readonly name: string;
  weir: WeirProcess;
  via: Via;
}

/** What a read that reached the primary or a replica may fail with, whatever the fault. */
const expectedStates = /^(08|57P|57014|40001|40P01|53300|58|25P02|55000)/;
/** The same if servers are well, and workers the only ones that die: what one client does to another. */
const strictlyExpected = /^(40001|40P01)/;
const hotTargets = 40;

export class World {
  readonly name: string;
  readonly options: WorldOptions;
  readonly ledger: Ledger;
  readonly seats: Seat[] = [];
  readonly messages = new Messages();
  isOver = false;
  /** What is being written, or was last. */
  latest: Own | undefined = undefined;
  /** How many want the writers to rest. */
  pauses = 0;
  writersAtWork = 0;
  readonly byRoute = { cache: 0, replica: 0, primary: 0 };
  readonly bySqlstate = new Map<string, number>();
  readonly byReason = new Map<string, number>();
  readonly byKind = new Map<string, number>();
  readonly unexpected: string[] = [];
  private readonly hot: Target[] = [];
  private readonly usual: readonly Form[];
  private readonly rare: readonly Form[];
  private readonly byTable = new Map<Table, Form[]>();
  private readonly random: Random;
  private readonly direct: Direct;
  private readonly readers: ReadSession[];
  private readonly writers: Writer[];
  private readonly primaryName: () => string;

  constructor(
    name: string,
    options: WorldOptions,
    at: { random: Random; primaryUrl: () => string; primaryName: () => string },
  ) {
    this.name = name;
    this.options = options;
    this.random = at.random;
    this.primaryName = at.primaryName;
    const tableOf = (register: number): Table => tables[Math.floor(register / slots)]!;
    this.ledger = new Ledger(registerNames, {
      isAround: (register) => writtenAround.includes(tableOf(register)),
      isLate: (register) => writtenByNews.includes(tableOf(register)),
      mayGoBack: (register) => tableOf(register) === 'around',
      boundMs: options.boundMs,
    });
    this.usual = options.forms.filter(({ isRare }) => isRare !== true);
    this.rare = options.forms.filter(({ isRare }) => isRare === true);
    for (const table of tables) {
      const of = this.usual.filter(({ first, second }) => first === table || second === table);
      if (of.length > 0) this.byTable.set(table, of);
    }
    this.direct = new Direct(at.primaryUrl);
    this.readers = options.readers.map((level, i) => new ReadSession(this, `reader ${i}`, level, at.random.fork()));
    this.writers = Array.from({ length: options.writers }, (_, slot) => new Writer(this, slot, at.random.fork()));
  }

  get sessions(): readonly ReadSession[] {
    return [...this.readers, ...this.writers.map((writer) => writer.reading)];
  }

  nowMs(): number {
    return performance.now();
  }

  newVia(seat: string): Via {
    return new Via(seat, registerNames.length);
  }

  /** Resolves when it is over and everybody has gone home. */
  async work(): Promise<void> {
    const observing = this.observe();
    await Promise.all([...this.readers.map((one) => one.work()), ...this.writers.map((one) => one.work())]);
    await observing;
    await this.direct.end();
  }

  /* ---- connections ---- */

  async connect(parameters: Readonly<Record<string, string>> = {}): Promise<{ connection: Connection; via: Via }> {
    const { weir, via } = this.random.pick(this.seats);
    const onCut = (lost: Connection, why: string): void => this.cut(lost, why);
    const connection = await Connection.open(weir, { user: 'app', database: this.name, ...parameters }, onCut);
    return { connection, via };
  }

  elsewhere(): Promise<{ connection: Connection; via: Via }> {
    return this.connect();
  }

  private cut({ port, openedAtMs, isLoggedIn }: Connection, why: string): void {
    const { killed } = this.options;
    if (killed === undefined || killed.explains(port, openedAtMs, isLoggedIn, why)) return;
    if (this.unexpected.length > 100) return;
    this.unexpected.push(
      `${why}: it was not of a worker that was killed (port ${port}, at ${this.nowMs().toFixed(0)})`,
    );
  }

  /* ---- past Weir ---- */

  async writeAround(slot: number, value: number): Promise<void> {
    const table = this.random.pick(writtenAround);
    const register = registerOf(table, slot);
    const write = this.ledger.begin(register, value, { kind: 'around', via: 'nobody', nowMs: this.nowMs() });
    this.played('around', [table], slot);
    const isDone = await this.direct.ask(`UPDATE ${table} SET n = greatest(n, ${value}) WHERE id = ${slot}`);
    if (isDone === undefined) this.ledger.unknownOutcome(write, this.nowMs());
    else this.ledger.committed(write, this.nowMs(), undefined, undefined);
  }

  /** As a superuser, past Weir. False: it failed, or nobody knows. */
  async askAround(sql: string): Promise<boolean> {
    return (await this.direct.ask(sql)) !== undefined;
  }

  /** What a two-phase write of unknown outcome has left behind would block the next one. */
  async forgetPrepared(slot: number): Promise<void> {
    const rows = await this.direct.ask(`SELECT gid FROM pg_prepared_xacts WHERE gid LIKE '${this.name}\\_${slot}\\_%'`);
    for (const { gid } of rows ?? []) await this.direct.ask(`ROLLBACK PREPARED '${gid}'`);
  }

  /** Once a second: what is committed, whatever its writer was told. */
  private async observe(): Promise<void> {
    const sql = tables
      .map((table, i) => `SELECT ${i} AS t, id, max(n) AS n FROM ${table} GROUP BY id`)
      .join(' UNION ALL ');
    while (!this.isOver) {
      const rows = await this.direct.ask(sql);
      const now = this.nowMs();
      for (const { t, id, n } of rows ?? []) this.ledger.observed(Number(t) * slots + Number(id), Number(n), now);
      await sleep(1000);
    }
  }

  /* ---- what is told ---- */

  /** `tables` at `slot` are about to be written: a good moment to read them. */
  played(kind: string, tables: readonly Table[], slot: number): void {
    this.byKind.set(kind, (this.byKind.get(kind) ?? 0) + 1);
    this.latest = { slot, tables };
    for (let i = 0; i < 2; i++) this.heat({ form: this.formOf(tables), slot, way: this.random.pick(ways) });
  }

  formOf(tables: readonly Table[]): Form {
    return this.random.pick(this.byTable.get(this.random.pick(tables)) ?? this.usual);
  }

  /** The form of reading a table past the cache, if this run has it. */
  uncachedOf(table: Table): Form | undefined {
    return this.byTable.get(table)?.find(({ name }) => name.startsWith('uncached'));
  }

  /** A question about that row that readers ask again and again: its answer may be in the cache. */
  hotAbout({ slot, tables }: Own): Target | undefined {
    const about = this.hot.filter((target) => target.slot === slot && tables.includes(target.form.first));
    return about.length === 0 ? undefined : this.random.pick(about);
  }

  /** What readers mostly ask for: few questions at a time, so that answers are asked for again before they are void. */
  pick(): Target {
    const { random } = this;
    if (this.rare.length > 0 && random.chance(0.0005)) {
      return { form: random.pick(this.rare), slot: random.below(this.options.writers), way: random.pick(ways) };
    }
    if (this.hot.length < hotTargets || random.chance(0.01)) {
      this.heat({ form: random.pick(this.usual), slot: random.below(this.options.writers), way: random.pick(ways) });
    }
    return random.pick(this.hot);
  }

  private heat(target: Target): void {
    if (this.hot.length < hotTargets) this.hot.push(target);
    else this.hot[this.random.below(hotTargets)] = target;
  }

  served(route: string): void {
    const [node, ...reasons] = route.split(';');
    if (node === this.primaryName()) {
      // Positions in the WAL would make each its own.
      const why = reasons
        .join(';')
        .trim()
        .replaceAll(/[0-9A-F]+\/[0-9A-F]+/g, 'x/y');
      this.byReason.set(why, (this.byReason.get(why) ?? 0) + 1);
    }
    if (node === 'cache') this.byRoute.cache++;
    else if (node === this.primaryName()) this.byRoute.primary++;
    else this.byRoute.replica++;
  }

  refused(what: Pick<SqlError, 'sqlstate' | 'message'>, where: string): void {
    const { sqlstate, message } = what;
    const kind = `${sqlstate} ${message}`;
    this.bySqlstate.set(kind, (this.bySqlstate.get(kind) ?? 0) + 1);
    const expected = this.options.killed === undefined ? expectedStates : strictlyExpected;
    if (expected.test(sqlstate) || this.unexpected.length > 100) return;
    this.unexpected.push(`${sqlstate} ${message} (${where})`);
  }

  /** Sessions that wait for longer than anything may take. */
  stuck(limitMs: number): string[] {
    const now = this.nowMs();
    return this.sessions
      .filter(({ waitsSinceMs }) => waitsSinceMs !== undefined && now - waitsSinceMs > limitMs)
      .map((session) => session.reader?.name ?? 'a session');
  }
}

/** The same bytes are sent again and again. */
export class Messages {
  private readonly known = new Map<string, Buffer>();

  of(key: string, make: () => Buffer): Buffer {
    let bytes = this.known.get(key);
    if (bytes === undefined) this.known.set(key, (bytes = make()));
    return bytes;
  }
}

/** A connection to whoever is the primary, made again when it is lost. */
class Direct {
  private readonly url: () => string;
  private client: pg.Client | undefined;
  private last: Promise<Record<string, string>[] | undefined> = Promise.resolve(undefined);

  constructor(url: () => string) {
    this.url = url;
  }

  /** undefined: no answer, and nobody knows whether it was done. One at a time. */
  ask(sql: string): Promise<Record<string, string>[] | undefined> {
    return (this.last = this.last.then(() => this.askNow(sql)));
  }

  private async askNow(sql: string): Promise<Record<string, string>[] | undefined> {
    try {
      const client = (this.client ??= await this.open());
      return (await client.query<Record<string, string>>(sql)).rows;
    } catch {
      const lost = this.client;
      this.client = undefined;
      await lost?.end().catch(() => undefined);
      return undefined;
    }
  }

  async end(): Promise<void> {
    await this.client?.end().catch(() => undefined);
  }

  private async open(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.url(),
      connectionTimeoutMillis: 3_000,
      query_timeout: 20_000,
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }
}

export { LostError };
