/**
 * A session that reads: several requests in one write, in every form and by every protocol, each answer judged. Connects
 * again after a loss, as another session. Used by writers for their own writes, too.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { LostError, parse, query, run, sync } from './connection.ts';
import type { Answer, Connection } from './connection.ts';
import { Reader } from './history.ts';
import type { Claim, Level } from './history.ts';
import { registerOf } from './model.ts';
import type { Form, Table } from './model.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';

type Way = 'simple' | 'extended' | 'prepared';
/** Simple, extended, prepared by name: the last twice, because that is what most drivers do. */
export const ways: readonly Way[] = ['simple', 'extended', 'prepared', 'prepared'];
const zones = ['UTC', 'Asia/Tokyo', 'Asia/Kolkata'];
const offsets: Readonly<Record<string, string>> = { UTC: '+00', 'Asia/Tokyo': '+09', 'Asia/Kolkata': '+05' };

/** Registers that belong together: what one write has written. */
export interface Own {
  readonly slot: number;
  readonly tables: readonly Table[];
  /** Asked again and again, among the others: an answer that may be kept. */
  readonly target?: Target | undefined;
}

export interface Target {
  readonly form: Form;
  readonly slot: number;
  readonly way: Way;
}

interface Question {
  readonly form: Form;
  readonly claims: readonly Claim[];
  /** By the wall clock; of a transaction when it began. */
  readonly askedAtMs: number;
  readonly bytes: Buffer;
  /** The same without a Parse that has been sent already. */
  readonly again: Buffer;
  /** Of the statement that it uses. */
  readonly name: string | undefined;
  readonly isNew: boolean;
}

const routeSample = 0.06;
/** How often all of a batch is about one register: what went another way must not have been newer. */
const sameAtOnce = 0.25;
/** All run on one machine: this is for a clock that is being set. */
const clockSlackMs = 50;

export class ReadSession {
  reader: Reader | undefined;
  private readonly world: World;
  private readonly name: string;
  private readonly level: Level | undefined;
  private readonly random: Random;
  private current: Connection | undefined;
  private names = new Map<string, string>();
  /** Of statements whose Parse was in a batch that failed: whether they exist nobody can say. */
  private readonly doubtful = new Set<string>();
  private namesGiven = 0;
  private zone = 'UTC';
  private generation = 0;

  constructor(world: World, name: string, level: Level | undefined, random: Random) {
    this.world = world;
    this.name = name;
    this.level = level;
    this.random = random;
  }

  async work(): Promise<void> {
    const { world, random } = this;
    while (!world.isOver) {
      await this.readSome(undefined);
      if (random.chance(0.15)) await sleep(random.between(0, 10));
      // A session that ends is followed by another one, which owes nothing to it.
      if (random.chance(1 / world.options.sessionBatches)) this.drop();
    }
    this.close();
  }

  get waitsSinceMs(): number | undefined {
    return this.current?.waitsSinceMs;
  }

  /** undefined: nobody answers just now. */
  async connection(): Promise<Connection | undefined> {
    if (this.current?.isLost === false) return this.current;
    const { world, random } = this;
    try {
      this.zone = random.pick(zones);
      const { connection, via } = await world.connect({
        TimeZone: this.zone,
        ...(this.level === undefined ? {} : { options: `-c weir.consistency=${this.level}` }),
      });
      this.current = connection;
      this.names = new Map();
      this.doubtful.clear();
      this.reader = new Reader(`${world.name} ${this.name}.${++this.generation}`, this.level ?? 'session', via);
      return connection;
    } catch (error) {
      if (!(error instanceof LostError)) throw error;
      await sleep(50);
      return undefined;
    }
  }

  drop(): void {
    this.current?.drop();
    this.current = undefined;
  }

  close(): void {
    this.current?.end();
  }

  cancel(): void {
    this.current?.cancel();
  }

  /** Without judging; '' when the connection is lost. */
  async ask(bytes: Buffer, count: number): Promise<Answer[]> {
    try {
      return (await this.current?.send(bytes, count)) ?? [];
    } catch (error) {
      if (!(error instanceof LostError)) throw error;
      return [];
    }
  }

  nameOf(sql: string): { name: string; isNew: boolean } {
    const known = this.names.get(sql);
    if (known !== undefined) return { name: known, isNew: false };
    const name = `s${this.namesGiven++}`;
    this.names.set(sql, name);
    return { name, isNew: true };
  }

  /** The batch with its Parse has failed: the next use parses it again, under another name. */
  doubt(sql: string): void {
    const name = this.names.get(sql);
    if (name === undefined) return;
    this.doubtful.add(name);
    this.names.delete(sql);
  }

  /** What was just written by this session, or anything. */
  async readSome(own: Own | undefined): Promise<void> {
    const connection = await this.connection();
    if (connection === undefined) return;
    const dice = this.random.next();
    try {
      if (dice < 0.06 && this.world.options.hasTransactions) await this.readInTransaction(connection);
      else if (dice < 0.06 + routeSample) await this.readWithRoute(connection, own);
      else await this.readAtOnce(connection, own);
    } catch (error) {
      if (!(error instanceof LostError)) throw error;
      this.drop();
    }
  }

  private async readAtOnce(connection: Connection, own: Own | undefined): Promise<void> {
    const about = own ?? (this.random.chance(sameAtOnce) ? this.oneRegister() : undefined);
    const questions = Array.from({ length: 1 + this.random.below(this.world.options.batchReads) }, () =>
      this.question(about),
    );
    const answers = await connection.send(Buffer.concat(questions.map(({ bytes }) => bytes)), questions.length);
    questions.forEach((question, i) => this.judge(question, answers[i]!, ''));
  }

  /** Half of the time the one that is being written: around a commit there is the most to get wrong. */
  private oneRegister(): Own {
    const { latest } = this.world;
    if (latest !== undefined && this.random.chance(0.5)) return { ...latest, target: this.world.hotAbout(latest) };
    const target = this.world.pick();
    return { slot: target.slot, tables: [target.form.first], target };
  }

  private async readWithRoute(connection: Connection, own: Own | undefined): Promise<void> {
    const question = this.question(own);
    const [answer, shown] = await connection.send(Buffer.concat([question.bytes, query('SHOW weir.last_route')]), 2);
    const route = shown!.rows[0]?.[0] ?? '';
    if (answer!.sqlstate === '') this.world.served(route);
    this.judge(question, answer!, route);
  }

  /** READ ONLY, on a replica if there is one: each statement has its own snapshot, or all have the first one's. */
  private async readInTransaction(connection: Connection): Promise<void> {
    const isRepeatable = this.random.chance(0.5);
    const begin = `BEGIN ${isRepeatable ? 'ISOLATION LEVEL REPEATABLE READ ' : ''}READ ONLY`;
    const first = this.question(undefined);
    // Before it begins: its node knows what was written until then, and so does the primary if it begins again there.
    const other = isRepeatable ? undefined : this.question(undefined);
    const [begun, answer] = await connection.send(Buffer.concat([query(begin), first.bytes]), 2);
    if (begun!.sqlstate === '' || answer!.sqlstate !== '') this.judge(first, answer!, '');
    // Long enough for somebody to write and somebody else to read that.
    if (isRepeatable) await sleep(this.random.between(0, this.random.chance(0.3) ? 150 : 15));
    const [second, ended] = await connection.send(Buffer.concat([other?.bytes ?? first.again, query('COMMIT')]), 2);
    if (ended!.sqlstate !== '') this.world.refused(ended!, 'end of a transaction');
    if (other !== undefined) return this.judge(other, second!, '');
    const [one, two] = [answer!, second!];
    if (one.sqlstate !== '' || two.sqlstate !== '') return;
    this.world.ledger.reads++;
    if (one.rows[0]?.[0] === two.rows[0]?.[0]) return;
    const detail = `${one.rows[0]?.[0]} and ${two.rows[0]?.[0]}`;
    this.world.ledger.accuse('two snapshots in one transaction', this.reader!, first.claims[0]!, detail);
  }

  private question(own: Own | undefined): Question {
    const { world } = this;
    const { form, slot, way } = own === undefined ? world.pick() : this.targetAbout(own);
    const now = world.nowMs();
    const reader = this.reader!;
    const how = `${form.name} ${way}`;
    const claims = [world.ledger.claim(reader, registerOf(form.first, slot), now, how)];
    if (form.second !== undefined) claims.push(world.ledger.claim(reader, registerOf(form.second, slot), now, how));
    return { form, claims, askedAtMs: Date.now(), ...this.encode(form, slot, way) };
  }

  private targetAbout({ slot, tables, target }: Own): Target {
    const { random, world } = this;
    const dice = random.next();
    if (target !== undefined && dice < 0.5) return target;
    const form = (dice < 0.75 ? world.uncachedOf(tables[0]!) : undefined) ?? world.formOf(tables);
    return { form, slot, way: random.pick(ways) };
  }

  private encode(form: Form, slot: number, way: Way): Pick<Question, 'bytes' | 'again' | 'name' | 'isNew'> {
    const { messages } = this.world;
    const unnamed = { name: undefined, isNew: false };
    if (way === 'simple') {
      const bytes = messages.of(`q ${form.name} ${slot}`, () => query(form.text(String(slot))));
      return { bytes, again: bytes, ...unnamed };
    }
    const text = form.text('$1');
    if (way === 'extended') {
      const make = (): Buffer => Buffer.concat([parse('', text), run('', [slot]), sync]);
      const bytes = messages.of(`x ${form.name} ${slot}`, make);
      return { bytes, again: bytes, ...unnamed };
    }
    const { name, isNew } = this.nameOf(text);
    const use = messages.of(`p ${name} ${slot}`, () => Buffer.concat([run(name, [slot]), sync]));
    return { bytes: isNew ? Buffer.concat([parse(name, text), use]) : use, again: use, name, isNew };
  }

  private failed({ form, name, isNew }: Question, answer: Answer): void {
    if (isNew) this.doubt(form.text('$1'));
    const isExplained = answer.sqlstate === '26000' && name !== undefined && this.doubtful.has(name);
    if (!isExplained) this.world.refused(answer, form.name);
  }

  private judge(question: Question, answer: Answer, route: string): void {
    const { world } = this;
    const { form, claims } = question;
    if (answer.sqlstate !== '') return this.failed(question, answer);
    const row = answer.rows[0];
    // TRUNCATE is not MVCC-safe: whoever's snapshot is older sees an empty table.
    if (row === undefined || row[0] == null) {
      if (form.first !== 'truncated') world.ledger.accuse('saw what nobody wrote', this.reader!, claims[0]!, 'no row');
      return;
    }
    const now = world.nowMs();
    const reader = this.reader!;
    claims.forEach((claim, i) => world.ledger.returned(reader, claim, Number(row[i]), now, route));
    if (form.second !== undefined && row[0] !== row[1]) {
      world.ledger.accuse('two snapshots in one statement', reader, claims[0]!, `${row[0]} and ${row[1]}`);
    }
    if (form.isZoned && row[1] !== offsets[this.zone]) {
      world.ledger.accuse("another session's settings", reader, claims[0]!, `${row[1]} in ${this.zone}`);
    }
    if (form.isMomentary === true && Number(row[1]) < question.askedAtMs - clockSlackMs) {
      const detail = `${question.askedAtMs - Number(row[1])} ms before it was asked for`;
      world.ledger.accuse('of another moment', reader, claims[0]!, detail);
    }
  }
}
