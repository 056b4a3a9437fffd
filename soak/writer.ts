/**
 * The one writer of a slot: carries out one kind of write after the other, knows for each whether it was committed, taken
 * back, or cannot be known, and reads its own writes. Driven by world.ts, which says when to pause and when it is over.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { LostError, parse, query, run, sync } from './connection.ts';
import type { Answer, Connection } from './connection.ts';
import type { Reader, Via, Write } from './history.ts';
import type { Hand, Kind } from './kinds.ts';
import { registerOf } from './model.ts';
import type { Table } from './model.ts';
import type { Random } from './random.ts';
import { ReadSession } from './reads.ts';
import type { World } from './world.ts';

/** The server has said no. */
export class SqlError extends Error {
  readonly sqlstate: string;

  constructor(answer: Answer) {
    super(`${answer.sqlstate} ${answer.message}`);
    this.sqlstate = answer.sqlstate;
  }
}

/** A connection failure or a shutdown: the COMMIT may have been done. */
const unknownStates = /^(08|57P|58|XX)/;
/** Longer than the longest straggler: see Kind.isUnguarded. */
const stragglerMs = 20_000;

export class Writer {
  private readonly world: World;
  private readonly slot: number;
  private readonly random: Random;
  private readonly session: ReadSession;
  private written: readonly Table[] = ['plain'];
  private value = 0;
  private lastUnknownMs = -Infinity;

  constructor(world: World, slot: number, random: Random) {
    this.world = world;
    this.slot = slot;
    this.random = random;
    this.session = new ReadSession(world, `writer ${slot}`, 'session', random.fork());
  }

  get reading(): ReadSession {
    return this.session;
  }

  async work(): Promise<void> {
    const { world, random } = this;
    while (!world.isOver) {
      if (world.pauses > 0) {
        await sleep(10);
        continue;
      }
      world.writersAtWork++;
      try {
        await this.writeOnce();
      } finally {
        world.writersAtWork--;
      }
      if (random.chance(0.6)) await this.session.readSome({ slot: this.slot, tables: this.written });
      if (random.chance(0.3)) await this.session.readSome(undefined);
      await sleep(random.between(0, world.options.pauseMs));
    }
    this.session.close();
  }

  private async writeOnce(): Promise<void> {
    const { world, session } = this;
    if (this.random.chance(0.1)) return world.writeAround(this.slot, (this.value += 2));
    const connection = await session.connection();
    if (connection === undefined) return;
    await this.play(this.choose(), connection);
  }

  private choose(): Kind {
    const { kinds } = this.world.options;
    for (;;) {
      const kind = this.random.pick(kinds);
      const isTooSoon = kind.isUnguarded === true && this.world.nowMs() - this.lastUnknownMs < stragglerMs;
      if (!isTooSoon && this.random.chance((kind.weight ?? 1) / 3)) return kind;
    }
  }

  private async play(kind: Kind, connection: Connection): Promise<void> {
    const { world, session, slot } = this;
    // By two, so that a kind has one value more for what it commits on the way.
    const value = (this.value += 2);
    const reader = session.reader!;
    const deed = new Deed(world, { slot, value, kind, connection, session, random: this.random });
    const what = { kind: kind.name, via: reader.via.name, nowMs: world.nowMs() };
    const writes = kind.tables.map((table) => world.ledger.begin(registerOf(table, slot), value, what));
    deed.onCommitted = (via, owner) => {
      for (const write of writes) world.ledger.committed(write, world.nowMs(), via, owner);
    };
    this.written = kind.tables;
    world.played(kind.name, kind.tables, slot);
    try {
      await kind.write(deed);
      if (kind.isTakenBack === true) for (const write of writes) world.ledger.rolledBack(write, world.nowMs());
      else deed.committed();
    } catch (error) {
      await this.failed(kind, deed, writes, error as Error);
    }
  }

  private async failed(kind: Kind, deed: Deed, writes: readonly Write[], error: Error): Promise<void> {
    const { world, session } = this;
    const isRefused = error instanceof SqlError;
    if (!isRefused && !(error instanceof LostError)) throw error;
    for (const sql of deed.parsed) session.doubt(sql);
    if (isRefused) world.refused(error, `write, ${kind.name}`);
    const isUnknown =
      kind.isTakenBack !== true && (!isRefused || kind.commitsInside === true || unknownStates.test(error.sqlstate));
    if (!deed.isCommitted) {
      for (const write of writes) {
        if (isUnknown) world.ledger.unknownOutcome(write, world.nowMs());
        else world.ledger.rolledBack(write, world.nowMs());
      }
    }
    if (isUnknown) this.lastUnknownMs = world.nowMs();
    // Whatever is left open ends with its session, or is rolled back.
    if (!isRefused || this.random.chance(0.2)) session.drop();
    else await session.ask(query('ROLLBACK'), 1);
    if (kind.name.startsWith('two-phase')) await world.forgetPrepared(this.slot);
  }
}

/** One write of one kind. */
class Deed implements Hand {
  readonly k: number;
  readonly v: number;
  readonly world: string;
  isCommitted = false;
  /** Statements that it has given a name. */
  readonly parsed: string[] = [];
  onCommitted: (via: Via | undefined, owner: Reader | undefined) => void = () => undefined;
  private via: Via | undefined;
  private owner: Reader | undefined;
  private readonly connection: Connection;
  private readonly at: World;
  private readonly random: Random;
  private readonly session: ReadSession;

  constructor(
    at: World,
    what: {
      slot: number;
      value: number;
      kind: Kind;
      connection: Connection;
      session: ReadSession;
      random: Random;
    },
  ) {
    this.at = at;
    this.k = what.slot;
    this.v = what.value;
    this.world = at.name;
    this.connection = what.connection;
    this.random = what.random;
    this.session = what.session;
    this.owner = what.session.reader;
    this.via = this.owner?.via;
  }

  async send(bytes: Buffer, count = 1): Promise<Answer[]> {
    const answers = await this.connection.send(bytes, count);
    for (const answer of answers) if (answer.sqlstate !== '') throw new SqlError(answer);
    return answers;
  }

  async ask(sql: string): Promise<Answer> {
    const [answer] = await this.send(query(sql));
    return answer!;
  }

  async expectError(bytes: Buffer): Promise<void> {
    const [answer] = await this.connection.send(bytes, 1);
    if (answer!.sqlstate === '') throw new Error('an error was expected');
    // Only division by zero says how far it came.
    if (answer!.sqlstate !== '22012') throw new SqlError(answer!);
  }

  async askElsewhere(sql: string): Promise<Answer> {
    const { connection, via } = await this.at.elsewhere();
    this.via = via;
    this.owner = undefined;
    const [answer] = await connection.send(query(sql), 1);
    connection.end();
    if (answer!.sqlstate !== '') throw new SqlError(answer!);
    return answer!;
  }

  async askAround(sql: string): Promise<void> {
    if (!(await this.at.askAround(sql))) throw new LostError('nobody answers around Weir');
  }

  committed(): void {
    if (this.isCommitted) return;
    this.isCommitted = true;
    this.onCommitted(this.via, this.owner);
  }

  prepared(sql: string, values: readonly number[]): Buffer {
    const { name, isNew } = this.session.nameOf(sql);
    if (isNew) this.parsed.push(sql);
    return Buffer.concat([...(isNew ? [parse(name, sql)] : []), run(name, values), sync]);
  }

  async pause(mostMs: number): Promise<void> {
    await sleep(this.random.between(0, mostMs));
  }

  chance(probability: number): boolean {
    return this.random.chance(probability);
  }
}
