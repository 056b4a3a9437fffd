/**
 * The extended query protocol of the admin console: prepared statements and portals, without parameters. Throws a
 * WeirError, which session.ts sends before it skips to Sync. ConsoleOutput, which both protocols write to, waits for a
 * slow client. Called by session.ts.
 */
import type { Duplex } from 'node:stream';
import { WeirError } from '../errors/errors.ts';
import { Backend, Frontend, describeType } from '../protocol/codes.ts';
import { ProtocolError } from '../protocol/read.ts';
import {
  bindComplete,
  closeComplete,
  commandComplete,
  emptyQueryResponse,
  frame,
  noData,
  parameterDescription,
  parseComplete,
} from '../protocol/write.ts';
import type { Operator } from './audit.ts';
import { syntaxError } from './parse.ts';
import type { ConsoleColumn, Value } from './types.ts';
import { describeRows, encodeRow, readBind, readExecute, readParse, readTarget } from './wire.ts';
import type { Formats, Frame } from './wire.ts';
import type { Console, ConsoleStatement } from './console.ts';

export type Rows = Iterator<readonly Value[]>;

const writeBelowBytes = 64 * 1024;

/** Buffers answers and writes them to the socket in pieces of about 64 kB. */
export class ConsoleOutput {
  private readonly socket: Duplex;
  private readonly closed: Promise<void>;
  private pieces: Buffer[] = [];
  private bytes = 0;

  constructor(socket: Duplex, closed: Promise<void>) {
    this.socket = socket;
    this.closed = closed;
  }

  get isFull(): boolean {
    return this.bytes > writeBelowBytes;
  }

  send(bytes: Buffer): void {
    this.pieces.push(bytes);
    this.bytes += bytes.length;
  }

  /** @returns false if the caller should wait for 'drain' before it writes more */
  write(): boolean {
    if (this.bytes === 0) return true;
    const bytes = Buffer.concat(this.pieces);
    this.pieces = [];
    this.bytes = 0;
    return !this.socket.writable || this.socket.write(bytes);
  }

  /**
   * Writes, and waits until the client has taken it or the connection is closed. Meanwhile others are served: a table of thousands
   * of clients must not hold up their statements.
   */
  async drain(): Promise<void> {
    if (this.write()) return new Promise((resolve) => setImmediate(resolve));
    await Promise.race([new Promise<void>((resolve) => this.socket.once('drain', () => resolve())), this.closed]);
  }
}

/**
 * @param maxRows 0: all rows
 * @returns whether the last row has been sent
 */
export async function sendRows(
  out: ConsoleOutput,
  rows: Rows,
  columns: readonly ConsoleColumn[],
  formats: Formats,
  maxRows: number,
): Promise<boolean> {
  for (let sent = 0; maxRows === 0 || sent < maxRows; sent++) {
    const row = rows.next();
    if (row.done === true) return true;
    out.send(encodeRow(row.value, columns, formats));
    if (out.isFull) await out.drain();
  }
  return false;
}

const mostPrepared = 1_000;
const portalSuspended = frame(Backend.PortalSuspended);

/** A prepared statement; `statement` is undefined if its text is empty. */
interface Prepared {
  readonly statement: ConsoleStatement | undefined;
}

interface Portal extends Prepared {
  readonly formats: Formats;
  /** Rows that were not fetched yet; undefined: the statement has not run yet. */
  rows: Rows | undefined;
}

export class ConsoleExtended {
  private readonly console: Console;
  private readonly out: ConsoleOutput;
  private readonly operator: Operator;
  private readonly run: (statement: ConsoleStatement) => Promise<Rows>;
  private readonly statements = new Map<string, Prepared>();
  private readonly portals = new Map<string, Portal>();

  constructor(
    console: Console,
    out: ConsoleOutput,
    operator: Operator,
    run: (statement: ConsoleStatement) => Promise<Rows>,
  ) {
    this.console = console;
    this.out = out;
    this.operator = operator;
    this.run = run;
  }

  /** Closes all portals. In the console, every Sync ends the transaction. */
  endOfTransaction(): void {
    this.portals.clear();
  }

  async handle({ type, body }: Frame): Promise<void> {
    if (type === Frontend.Parse) this.parse(body);
    else if (type === Frontend.Bind) this.bind(body);
    else if (type === Frontend.Describe) this.describe(body);
    else if (type === Frontend.Execute) await this.execute(body);
    else if (type === Frontend.Close) this.close(body);
    else if (type === Frontend.Flush) await this.out.drain();
    else if (type === Frontend.FunctionCall)
      throw new WeirError('not_supported', { what: 'FunctionCall on the console' });
    // PostgreSQL ignores these messages outside of COPY, too.
    else if (type !== Frontend.CopyData && type !== Frontend.CopyDone && type !== Frontend.CopyFail) {
      throw new ProtocolError(`unexpected message ${describeType(type)}`);
    }
  }

  private parse(body: Buffer): void {
    const { name, sql } = readParse(body);
    if (name !== '' && this.statements.has(name)) throw new WeirError('statement_exists', { name });
    const [statement, ...more] = this.console.parse(sql, this.operator);
    if (more.length > 0) throw syntaxError('cannot insert multiple commands into a prepared statement');
    if (name !== '') this.checkRoom(this.statements.size, 'prepared statements');
    this.statements.set(name, { statement });
    this.out.send(parseComplete);
  }

  private bind(body: Buffer): void {
    const { portal, statement: name, parameters, formats } = readBind(body);
    const { statement } = this.prepared(name);
    if (parameters > 0) throw new WeirError('not_supported', { what: 'a parameter ($1) on the admin console' });
    const columns = statement?.columns.length ?? 0;
    if (formats.length > 1 && formats.length !== columns) {
      throw new ProtocolError(`${formats.length} result formats for ${columns} columns`);
    }
    if (!this.portals.has(portal)) this.checkRoom(this.portals.size, 'portals');
    this.portals.set(portal, { statement, formats, rows: undefined });
    this.out.send(bindComplete);
  }

  private describe(body: Buffer): void {
    const { kind, name } = readTarget(body);
    const portal = kind === 'P' ? this.portal(name) : undefined;
    const { statement } = portal ?? this.prepared(name);
    if (portal === undefined) this.out.send(parameterDescription([]));
    const columns = statement?.columns ?? [];
    this.out.send(columns.length === 0 ? noData : describeRows(columns, portal?.formats ?? []));
  }

  private async execute(body: Buffer): Promise<void> {
    const { portal: name, maxRows } = readExecute(body);
    const portal = this.portal(name);
    const { statement } = portal;
    if (statement === undefined) {
      this.out.send(emptyQueryResponse);
      return;
    }
    portal.rows ??= await this.run(statement);
    const isWhole = await sendRows(this.out, portal.rows, statement.columns, portal.formats, maxRows);
    this.out.send(isWhole ? commandComplete(statement.command.tag) : portalSuspended);
  }

  private close(body: Buffer): void {
    const { kind, name } = readTarget(body);
    if (kind === 'S') this.statements.delete(name);
    else this.portals.delete(name);
    this.out.send(closeComplete);
  }

  private checkRoom(count: number, what: string): void {
    if (count < mostPrepared) return;
    throw new WeirError('console_refused', { what: `more than ${mostPrepared} ${what} on one connection` });
  }

  private prepared(name: string): Prepared {
    const found = this.statements.get(name);
    if (found === undefined) throw new WeirError('statement_not_found', { name });
    return found;
  }

  private portal(name: string): Portal {
    const found = this.portals.get(name);
    if (found === undefined) throw new WeirError('console_refused', { what: `portal "${name}" does not exist` });
    return found;
  }
}
