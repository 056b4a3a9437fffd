/**
 * As much of PostgreSQL's side of the protocol as a misbehaving client or a dying server can bring out: its transaction
 * status, skip-until-Sync, COPY, what it says of bad messages. Keeps count of what it executed, and says every message
 * through `mind`, where a test may break it off.
 */
import type { Socket } from 'node:net';
import { Frontend } from '../../src/protocol/codes.ts';
import { FrameScanner } from '../../src/protocol/scanner.ts';
import {
  bindComplete,
  closeComplete,
  commandComplete,
  dataRow,
  emptyQueryResponse,
  errorResponse,
  frame,
  noData,
  parameterDescription,
  parameterStatus,
  parseComplete,
  readyForQuery,
  rowDescription,
} from '../../src/protocol/write.ts';

/** What a test makes of a message that is about to be said; undefined: the connection ends here. */
export type Mind = (message: Buffer, server: FakePostgres) => Buffer | undefined;

class SqlError extends Error {
  readonly sqlstate: string;

  constructor(sqlstate: string, message: string) {
    super(message);
    this.sqlstate = sqlstate;
  }
}

/** Messages that PostgreSQL takes only up to 10,000 bytes (PQ_SMALL_MESSAGE_LIMIT). */
const small: ReadonlySet<number> = new Set([
  Frontend.Close,
  Frontend.Describe,
  Frontend.Execute,
  Frontend.Flush,
  Frontend.Sync,
  Frontend.Terminate,
  Frontend.CopyDone,
]);
const known: ReadonlySet<number> = new Set(Object.values(Frontend));
const copyOut = Buffer.concat([
  frame(0x48, Buffer.from([0, 0, 1, 0, 0])),
  frame(0x64, Buffer.from('one\n')),
  frame(0x64, Buffer.from('two\n')),
  frame(0x63),
]);
const copyIn = frame(0x47, Buffer.from([0, 0, 1, 0, 0]));

export class FakePostgres {
  readonly processId: number;
  /** How often each write was executed, over all servers of a test. */
  readonly executed: Map<string, number>;
  isReplica = false;
  isOpen = true;
  /** What is said next is its last word. */
  isDying = false;
  private readonly socket: Socket;
  private readonly mind: Mind | undefined;
  private readonly scanner: FrameScanner;
  private readonly waiting: { type: number; body: Buffer }[] = [];
  private status: 'I' | 'T' | 'E' = 'I';
  private isSkipping = false;
  /** COPY from the client is going on; what to do when it ends well. */
  private copying: (() => void) | undefined;
  private copyIsSimple = false;
  /** A statement that takes its time: what ends it. */
  private sleeping: ((isCancelled: boolean) => void) | undefined;
  private readonly statements = new Map<string, string>();
  private readonly portals = new Map<string, string>();

  constructor(socket: Socket, processId: number, executed: Map<string, number>, mind?: Mind) {
    this.socket = socket;
    this.processId = processId;
    this.executed = executed;
    this.mind = mind;
    this.scanner = new FrameScanner({
      frame: (type, buffer, start, end) => this.arrived(type, buffer.subarray(start + 5, end)),
      mayStream: () => false,
      begin: () => true,
      more: () => true,
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        this.scanner.push(chunk);
      } catch {
        this.fatal('invalid message length');
      }
    });
    socket.on('close', () => (this.isOpen = false));
  }

  /** What keeps it from serving somebody else; '' = nothing. */
  get unrest(): string {
    if (!this.scanner.isBetweenFrames) return 'half a message has come';
    if (this.copying !== undefined) return 'COPY goes on';
    if (this.isSkipping) return 'it skips until Sync';
    if (this.sleeping !== undefined) return 'it sleeps';
    return this.status === 'I' ? '' : 'a transaction is open';
  }

  cancel(): void {
    this.sleeping?.(true);
  }

  /** Reads on, or takes no more than fits into its socket. */
  reads(isReading: boolean): void {
    if (isReading) this.socket.resume();
    else this.socket.pause();
  }

  end(): void {
    this.isOpen = false;
    this.socket.destroy();
  }

  private say(...messages: readonly Buffer[]): void {
    for (const message of messages) {
      if (!this.isOpen) return;
      const said = this.mind === undefined ? message : this.mind(message, this);
      if (said === undefined) return this.end();
      this.socket.write(said);
      if (this.isDying) return this.end();
    }
  }

  private fatal(message: string): void {
    this.say(errorResponse({ severity: 'FATAL', sqlstate: '08P01', message }));
    this.end();
  }

  private arrived(type: number, body: Buffer): boolean {
    this.waiting.push({ type, body });
    this.work();
    return true;
  }

  private work(): void {
    while (this.isOpen && this.sleeping === undefined) {
      const next = this.waiting.shift();
      if (next === undefined) return;
      this.handle(next.type, next.body);
    }
  }

  private handle(type: number, body: Buffer): void {
    if (!known.has(type) || type === Frontend.Password) return this.fatal(`invalid frontend message type ${type}`);
    if (small.has(type) && body.length > 10_000) return this.fatal('invalid message length');
    if (type === Frontend.Terminate) return this.end();
    if (this.copying !== undefined) return this.handleCopy(type);
    if (this.isSkipping && type !== Frontend.Sync) return;
    try {
      this.run(type, body);
    } catch (error) {
      this.failed(error as SqlError, type);
    }
  }

  private failed(error: SqlError, type: number): void {
    if (this.status === 'T') this.status = 'E';
    const { sqlstate = '08P01', message } = error;
    this.say(errorResponse({ severity: 'ERROR', sqlstate, message }));
    if (type === Frontend.Query || type === Frontend.FunctionCall) this.ready();
    else this.isSkipping = true;
  }

  private handleCopy(type: number): void {
    switch (type) {
      case Frontend.CopyData:
      case Frontend.Flush:
      case Frontend.Sync:
        return;
      case Frontend.CopyDone: {
        const done = this.copying;
        this.copying = undefined;
        return done?.();
      }
      case Frontend.CopyFail:
        this.copying = undefined;
        return this.failed(
          new SqlError('57014', 'COPY from stdin failed'),
          this.copyIsSimple ? Frontend.Query : Frontend.Execute,
        );
      default:
        this.say(
          errorResponse({ severity: 'ERROR', sqlstate: '08P01', message: 'unexpected message during COPY from stdin' }),
        );
        return this.fatal('terminating connection because protocol synchronization was lost');
    }
  }

  private run(type: number, body: Buffer): void {
    const text = new Reader(body);
    switch (type) {
      case Frontend.Query: {
        const sql = text.string();
        text.end();
        this.statements.delete('');
        this.portals.delete('');
        return this.simple(sql.split(';').map((one) => one.trim()));
      }
      case Frontend.Parse: {
        const [name, sql] = [text.string(), text.string()];
        text.pass(4 * text.int16());
        text.end();
        if (name === '') this.statements.delete('');
        else if (this.statements.has(name)) throw new SqlError('42P05', `${name} already exists`);
        this.check(sql);
        this.statements.set(name, sql.trim());
        return this.say(parseComplete);
      }
      case Frontend.Bind:
        return this.bind(text);
      case Frontend.Describe: {
        const [kind, name] = [text.byte(), text.string()];
        text.end();
        const sql = (kind === 0x53 ? this.statements : this.portals).get(name);
        if (sql === undefined) throw new SqlError(kind === 0x53 ? '26000' : '34000', `"${name}" does not exist`);
        if (/^select/i.test(sql)) this.checkTransaction(sql);
        if (kind === 0x53) this.say(parameterDescription([]));
        return this.say(/^select/i.test(sql) ? rowDescription([{ name: 'text' }]) : noData);
      }
      case Frontend.Execute: {
        const name = text.string();
        text.pass(4);
        text.end();
        const sql = this.portals.get(name);
        if (sql === undefined) throw new SqlError('34000', `portal "${name}" does not exist`);
        this.checkTransaction(sql);
        return this.execute(sql, false, () => undefined);
      }
      case Frontend.Close: {
        const kind = text.byte();
        (kind === 0x53 ? this.statements : this.portals).delete(text.string());
        text.end();
        return this.say(closeComplete);
      }
      case Frontend.Sync:
        this.isSkipping = false;
        return this.ready();
      case Frontend.FunctionCall:
        text.pass(4);
        this.say(frame(0x56, Buffer.from([0xff, 0xff, 0xff, 0xff])));
        return this.ready();
      default:
      // Flush has no answer; COPY data that comes late is ignored.
    }
  }

  /** Outside of a transaction no portal lives on. */
  private ready(): void {
    if (this.status === 'I') this.portals.clear();
    this.say(readyForQuery(this.status));
  }

  private bind(text: Reader): void {
    const [portal, name] = [text.string(), text.string()];
    text.pass(2 * text.int16());
    for (let left = text.int16(); left > 0; left--) text.pass(Math.max(0, text.int32()));
    text.pass(2 * text.int16());
    text.end();
    const sql = this.statements.get(name);
    if (sql === undefined) throw new SqlError('26000', `prepared statement "${name}" does not exist`);
    this.checkTransaction(sql);
    this.portals.set(portal, sql);
    this.say(bindComplete);
  }

  /** The statements of one Query, then ReadyForQuery. */
  private simple(statements: readonly string[]): void {
    const [first, ...rest] = statements.filter((one) => one !== '');
    if (first === undefined) {
      if (statements.length === 1 || rest.length === 0) this.say(emptyQueryResponse);
      return this.ready();
    }
    this.goOn([first, ...rest]);
  }

  private goOn(statements: readonly string[]): void {
    const [first, ...rest] = statements;
    if (first === undefined) return this.ready();
    try {
      this.check(first);
      if (/^select/i.test(first)) this.say(rowDescription([{ name: 'text' }]));
      this.execute(first, true, () => this.goOn(rest));
    } catch (error) {
      this.failed(error as SqlError, Frontend.Query);
    }
  }

  /** @throws SqlError in a failed transaction, if the statement does not end it */
  private checkTransaction(sql: string): void {
    if (this.status === 'E' && !/^(commit|rollback|end)\b/i.test(sql)) {
      throw new SqlError('25P02', 'current transaction is aborted');
    }
  }

  /** @throws SqlError if it is not understood, or not allowed now */
  private check(sql: string): void {
    const text = sql.trim();
    this.checkTransaction(text);
    if (
      text !== '' &&
      !/^(begin|commit|rollback|end|savepoint|release|set|reset|discard|copy|insert|update|delete|select|fail)\b/i.test(
        text,
      )
    ) {
      throw new SqlError('42601', 'syntax error');
    }
  }

  private execute(sql: string, isSimple: boolean, next: () => void): void {
    const verb = /^\w*/.exec(sql.toLowerCase())?.[0] ?? '';
    if (/^(insert|update|delete)/i.test(sql)) this.executed.set(sql, (this.executed.get(sql) ?? 0) + 1);
    const done = (tag: string): void => {
      this.say(commandComplete(tag));
      if (isSimple) next();
    };
    switch (verb) {
      case '':
        this.say(emptyQueryResponse);
        return isSimple ? next() : undefined;
      case 'begin':
        this.status = this.status === 'I' ? 'T' : this.status;
        return done('BEGIN');
      case 'savepoint':
      case 'release':
        return this.savepoint(verb, done);
      case 'commit':
      case 'end':
      case 'rollback': {
        if (/^rollback\s+to\b/i.test(sql)) return this.savepoint('rollback', done);
        const tag = verb === 'rollback' || this.status === 'E' ? 'ROLLBACK' : 'COMMIT';
        this.status = 'I';
        this.portals.clear();
        return done(tag);
      }
      case 'set':
        this.set(sql);
        return done('SET');
      case 'reset':
        return done('RESET');
      case 'discard':
        if (this.status !== 'I') throw new SqlError('25001', 'DISCARD ALL cannot run inside a transaction block');
        this.statements.clear();
        this.portals.clear();
        return done('DISCARD ALL');
      case 'copy':
        return this.copy(sql, isSimple, done);
      case 'select':
        return this.select(sql, isSimple, done);
      case 'fail':
        throw new SqlError('22012', `failed: ${sql}`);
      default:
        if (this.isReplica) throw new SqlError('25006', 'cannot write in a read-only transaction');
        return done(verb === 'insert' ? 'INSERT 0 1' : `${verb.toUpperCase()} 1`);
    }
  }

  /** Names are not looked at. */
  private savepoint(verb: string, done: (tag: string) => void): void {
    if (this.status === 'I') throw new SqlError('25P01', `${verb} can only be used in transaction blocks`);
    this.status = 'T';
    done(verb.toUpperCase());
  }

  private set(sql: string): void {
    const name = /^set\s+application_name\s*(?:=|to)\s*'([^']*)'/i.exec(sql)?.[1];
    if (name !== undefined) this.say(parameterStatus('application_name', name));
  }

  private copy(sql: string, isSimple: boolean, done: (tag: string) => void): void {
    if (/to stdout/i.test(sql)) {
      this.say(copyOut);
      return done('COPY 2');
    }
    if (this.isReplica) throw new SqlError('25006', 'cannot write in a read-only transaction');
    this.say(copyIn);
    this.copyIsSimple = isSimple;
    this.copying = () => done('COPY 1');
  }

  private select(sql: string, isSimple: boolean, done: (tag: string) => void): void {
    const say = (): void => {
      this.say(dataRow([sql]));
      done('SELECT 1');
    };
    if (!/pg_sleep/i.test(sql)) return say();
    let ticks = 20;
    const tick = setImmediateLoop(
      () => --ticks > 0,
      () => this.sleeping?.(false),
    );
    this.sleeping = (isCancelled) => {
      tick.stop();
      this.sleeping = undefined;
      const cancelled = new SqlError('57014', 'canceling statement due to user request');
      if (isCancelled) this.failed(cancelled, isSimple ? Frontend.Query : Frontend.Execute);
      else say();
      this.work();
    };
  }
}

function setImmediateLoop(goesOn: () => boolean, end: () => void): { stop(): void } {
  let isStopped = false;
  const step = (): void => {
    if (isStopped) return;
    if (goesOn()) setImmediate(step);
    else end();
  };
  setImmediate(step);
  return { stop: () => void (isStopped = true) };
}

/** Reads a message's body as PostgreSQL does: an ERROR when it lies about itself. */
class Reader {
  private readonly body: Buffer;
  private at = 0;

  constructor(body: Buffer) {
    this.body = body;
  }

  string(): string {
    const end = this.body.indexOf(0, this.at);
    if (end === -1) throw new SqlError('08P01', 'invalid string in message');
    const text = this.body.toString('latin1', this.at, end);
    this.at = end + 1;
    return text;
  }

  byte(): number {
    return this.body[this.need(1)] as number;
  }

  int16(): number {
    return this.body.readUInt16BE(this.need(2));
  }

  int32(): number {
    return this.body.readInt32BE(this.need(4));
  }

  pass(count: number): void {
    this.need(count);
  }

  end(): void {
    if (this.at !== this.body.length) throw new SqlError('08P01', 'invalid message format');
  }

  private need(count: number): number {
    const at = this.at;
    if (at + count > this.body.length) throw new SqlError('08P01', 'insufficient data left in message');
    this.at += count;
    return at;
  }
}
