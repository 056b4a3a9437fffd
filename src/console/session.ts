/**
 * One client of the admin console, from the end of its log-in: speaks the simple and extended query protocol and runs one
 * statement at a time through console.ts. Input is bounded; output waits for a slow client. Called by the app for the
 * databases `weir` and `pgbouncer`.
 */
import type { Duplex } from 'node:stream';
import { WeirError } from '../errors/errors.ts';
import type { Log } from '../observability/types.ts';
import { Frontend } from '../protocol/codes.ts';
import { ProtocolError, readString } from '../protocol/read.ts';
import {
  backendKeyData,
  commandComplete,
  emptyQueryResponse,
  errorResponse,
  noticeResponse,
  parameterStatus,
  readyForQuery,
} from '../protocol/write.ts';
import type { ClientStats } from '../session/types.ts';
import { serverVersion } from './driver-statements.ts';
import type { Operator } from './audit.ts';
import { ConsoleExtended, ConsoleOutput, sendRows } from './extended.ts';
import type { Value } from './types.ts';
import { MessageSplitter, describeRows } from './wire.ts';
import type { Frame } from './wire.ts';
import type { Console, ConsoleStatement } from './console.ts';

/** A client after its log-in: AuthenticationOk was sent, and nothing after it. */
export interface ConsoleClient {
  readonly socket: Duplex;
  /** Bytes that the client sent after its log-in. */
  readonly leftover: Buffer;
  readonly user: string;
  /** The name it was opened by: `weir` or `pgbouncer`. */
  readonly database: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly hasTls: boolean;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

export interface ConsoleSessionOptions {
  readonly log: Log;
  /** For BackendKeyData; undefined: the client gets none, and cannot cancel. */
  readonly cancelKey?: { readonly processId: number; readonly secret: Buffer } | undefined;
}

export interface ConsoleSession {
  /** Resolves when the connection is closed; never rejects. */
  readonly closed: Promise<void>;
  /** A statement is running that ends by itself: with several workers, each must have done it before it is answered. */
  readonly isAnswering: boolean;
  /** Its row of SHOW CLIENTS. */
  stats(): ClientStats;
  /** Ends the statement that is running, after a CancelRequest. */
  cancel(): void;
  /** Sends `reason` as an ErrorResponse and closes the connection. */
  close(reason: WeirError): void;
}

const maxMessageBytes = 1024 * 1024;
/** With more unread input than this, the client's socket is paused. */
const readAheadBytes = 2 * maxMessageBytes;

export function serveConsole(client: ConsoleClient, console: Console, options: ConsoleSessionOptions): ConsoleSession {
  const session = new Session(client, console, options);
  session.start(client.leftover);
  return session;
}

class Session implements ConsoleSession {
  readonly closed: Promise<void>;
  private readonly client: ConsoleClient;
  private readonly operator: Operator;
  private readonly connectedAtMs = Date.now();
  private requestAtMs = Date.now();
  private readonly console: Console;
  private readonly options: ConsoleSessionOptions;
  private readonly splitter = new MessageSplitter(maxMessageBytes);
  private running: { readonly abort: AbortController; readonly isEndless: boolean } | undefined;
  private isProcessing = false;
  private isOver = false;
  private isSkippingToSync = false;
  private resolveClosed: () => void = () => {};
  private readonly out: ConsoleOutput;
  private readonly extended: ConsoleExtended;

  constructor(client: ConsoleClient, console: Console, options: ConsoleSessionOptions) {
    this.client = client;
    const { user, database, remoteAddress, remotePort } = client;
    this.operator = { user, database, client: `${remoteAddress}:${remotePort}` };
    this.console = console;
    this.options = options;
    this.closed = new Promise((resolve) => (this.resolveClosed = resolve));
    this.out = new ConsoleOutput(client.socket, this.closed);
    this.extended = new ConsoleExtended(console, this.out, this.operator, (statement) => this.run(statement));
  }

  start(leftover: Buffer): void {
    const { socket } = this.client;
    socket.on('data', (chunk: Buffer) => this.received(chunk));
    socket.on('error', () => this.end());
    socket.on('end', () => this.end());
    socket.on('close', () => this.end());
    if (this.console.roleOf(this.client.user) === undefined) {
      this.close(new WeirError('not_console_user', { user: this.client.user }));
      return;
    }
    this.console.counts.logins++;
    this.sendStartup();
    this.received(leftover);
    socket.resume();
  }

  get isAnswering(): boolean {
    return this.running?.isEndless === false;
  }

  stats(): ClientStats {
    const { user, database, parameters, hasTls, remoteAddress, remotePort } = this.client;
    return {
      ...{ id: this.options.cancelKey?.processId ?? 0, user, database, hasTls, host: remoteAddress, port: remotePort },
      state: this.running === undefined ? 'idle' : 'active',
      applicationName: parameters.get('application_name') ?? '',
      connectedAtMs: this.connectedAtMs,
      requestAtMs: this.requestAtMs,
      ...{ waitMs: 0, serverId: 0, node: '', pins: [], preparedStatements: 0, lastRoute: '' },
    };
  }

  cancel(): void {
    this.running?.abort.abort();
  }

  close(reason: WeirError): void {
    if (this.isOver) return;
    this.out.send(errorResponse(reason));
    this.out.write();
    this.client.socket.end();
    this.end();
    // In case the client does not close its side.
    setTimeout(() => this.client.socket.destroy(), 1_000).unref();
  }

  private sendStartup(): void {
    const { version } = this.console.sources;
    const parameters: readonly [string, string][] = [
      ['server_version', serverVersion(version)],
      ['server_encoding', 'UTF8'],
      ['client_encoding', 'UTF8'],
      ['DateStyle', 'ISO, MDY'],
      ['TimeZone', 'UTC'],
      ['IntervalStyle', 'postgres'],
      ['integer_datetimes', 'on'],
      ['standard_conforming_strings', 'on'],
      ['is_superuser', 'off'],
      ['session_authorization', this.client.user],
      ['default_transaction_read_only', 'off'],
      ['in_hot_standby', 'off'],
    ];
    for (const [name, value] of parameters) this.out.send(parameterStatus(name, value));
    const key = this.options.cancelKey;
    if (key !== undefined) this.out.send(backendKeyData(key.processId, key.secret));
    this.out.send(readyForQuery('I'));
    this.out.write();
  }

  private received(chunk: Buffer): void {
    if (this.isOver) return;
    this.splitter.push(chunk);
    if (this.splitter.heldBytes > readAheadBytes) this.client.socket.pause();
    if (!this.isProcessing) void this.processInput();
  }

  private atEnd(act: () => Promise<void>): void {
    void this.closed.then(act).catch((error: unknown) => this.failed(error));
  }

  private end(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.running?.abort.abort();
    this.resolveClosed();
  }

  /** Handles the received messages one after another; never rejects. */
  private async processInput(): Promise<void> {
    this.isProcessing = true;
    try {
      while (!this.isOver) {
        const message = this.splitter.next();
        if (message === undefined) break;
        await this.handle(message);
        // Answers are gathered only while more requests are at hand.
        if (this.splitter.heldBytes === 0 || this.out.isFull) await this.out.drain();
        if (this.splitter.heldBytes <= readAheadBytes) this.client.socket.resume();
      }
      this.out.write();
    } catch (error) {
      this.fail(error);
    } finally {
      this.isProcessing = false;
    }
  }

  private fail(error: unknown): void {
    const what = error instanceof Error ? error.message : String(error);
    if (error instanceof ProtocolError) {
      this.close(new WeirError('protocol_violation', { what }));
    } else {
      this.failed(error);
      this.close(new WeirError('internal_error', { what }));
    }
  }

  private failed(error: unknown): void {
    const what = error instanceof Error ? error.message : String(error);
    this.options.log('error', 'console_session_failed', `admin console: ${what}`, { user: this.client.user });
  }

  private async handle(message: Frame): Promise<void> {
    if (message.type === Frontend.Terminate) {
      this.client.socket.end();
      this.end();
    } else if (message.type === Frontend.Sync) {
      this.isSkippingToSync = false;
      // In the console, every Sync ends the transaction, and with it the portals.
      this.extended.endOfTransaction();
      this.out.send(readyForQuery('I'));
    } else if (message.type === Frontend.Query) {
      await this.query(message.body);
    } else if (!this.isSkippingToSync) {
      try {
        await this.extended.handle(message);
      } catch (error) {
        if (!(error instanceof WeirError)) throw error;
        this.sendError(error);
        this.isSkippingToSync = true;
      }
    }
  }

  private async query(body: Buffer): Promise<void> {
    this.isSkippingToSync = false;
    try {
      const statements = this.console.parse(readString(body, 0, body.length), this.operator);
      if (statements.length === 0) this.out.send(emptyQueryResponse);
      for (const statement of statements) {
        if (this.isOver) return;
        if (statement.columns.length > 0) {
          const rows = await this.run(statement);
          this.out.send(describeRows(statement.columns, []));
          await sendRows(this.out, rows, statement.columns, [], 0);
        } else {
          await this.run(statement);
        }
        this.out.send(commandComplete(statement.command.tag));
      }
    } catch (error) {
      if (!(error instanceof WeirError)) throw error;
      this.sendError(error);
    }
    this.out.send(readyForQuery('I'));
  }

  /** Runs a statement and sends its notices. @returns its rows */
  private async run(statement: ConsoleStatement): Promise<Iterator<readonly Value[]>> {
    const { isEndless = false } = statement.command;
    const abort = new AbortController();
    this.requestAtMs = Date.now();
    this.running = { abort, isEndless };
    try {
      // Earlier answers must not wait for a command that may take long.
      this.out.write();
      const result = await this.console.execute(statement, { ...this.operator, signal: abort.signal });
      if (result.whenLeft !== undefined) this.atEnd(result.whenLeft);
      for (const message of result.notices ?? []) {
        this.out.send(noticeResponse({ severity: 'NOTICE', sqlstate: '00000', message }));
      }
      return (result.rows ?? [])[Symbol.iterator]();
    } finally {
      this.running = undefined;
    }
  }

  /** Always with severity ERROR, because the connection stays open. */
  private sendError(error: WeirError): void {
    const { sqlstate, message, detail, hint } = error;
    this.out.send(errorResponse({ severity: 'ERROR', sqlstate, message, detail, hint }));
  }
}
