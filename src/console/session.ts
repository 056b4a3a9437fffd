/**
 * One client of the admin console: a small PostgreSQL server over an already logged-in socket, simple and extended
 * protocol. One statement at a time; input is bounded, output waits for the client. Commands are console.ts's business.
 * Called by the app for the databases `weir` and `pgbouncer`.
 */
import type { Duplex } from 'node:stream';
import { WeirError } from '../errors.ts';
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
import { serverVersion } from './chatter.ts';
import { ConsoleExtended, ConsoleOutput, sendRows } from './extended.ts';
import type { Value } from './types.ts';
import { FrameCutter, describeRows } from './wire.ts';
import type { Frame } from './wire.ts';
import type { Console, ConsoleStatement } from './console.ts';

/** A client as the frontend hands it over: authenticated (AuthenticationOk sent), nothing else said. */
export interface ConsoleClient {
  readonly socket: Duplex;
  /** Bytes that came behind the log-in. */
  readonly leftover: Buffer;
  readonly user: string;
}

export interface ConsoleSessionOptions {
  readonly log: Log;
  /** For BackendKeyData, if CancelRequests with it reach `cancel()`. */
  readonly cancelKey?: { readonly processId: number; readonly secret: Buffer } | undefined;
}

export interface ConsoleSession {
  /** Resolves when the connection is gone; never rejects. */
  readonly closed: Promise<void>;
  /** CancelRequest: ends the statement that is being waited for. */
  cancel(): void;
  /** Says why and closes. */
  close(reason: WeirError): void;
}

const maxMessageBytes = 1024 * 1024;
/** A client that sends ahead of its answers is made to wait beyond this. */
const readAheadBytes = 2 * maxMessageBytes;

export function serveConsole(client: ConsoleClient, console: Console, options: ConsoleSessionOptions): ConsoleSession {
  const session = new Session(client, console, options);
  session.start(client.leftover);
  return session;
}

class Session implements ConsoleSession {
  readonly closed: Promise<void>;
  private readonly socket: Duplex;
  private readonly user: string;
  private readonly console: Console;
  private readonly options: ConsoleSessionOptions;
  private readonly cutter = new FrameCutter(maxMessageBytes);
  private running: AbortController | undefined;
  private isPumping = false;
  private isOver = false;
  private isSkippingToSync = false;
  private resolveClosed: () => void = () => {};
  private readonly out: ConsoleOutput;
  private readonly extended: ConsoleExtended;

  constructor(client: ConsoleClient, console: Console, options: ConsoleSessionOptions) {
    this.socket = client.socket;
    this.user = client.user;
    this.console = console;
    this.options = options;
    this.closed = new Promise((resolve) => (this.resolveClosed = resolve));
    this.out = new ConsoleOutput(client.socket, this.closed);
    this.extended = new ConsoleExtended(console, this.out, (statement) => this.run(statement));
  }

  start(leftover: Buffer): void {
    const { socket } = this;
    socket.on('data', (chunk: Buffer) => this.received(chunk));
    socket.on('error', () => this.end());
    socket.on('end', () => this.end());
    socket.on('close', () => this.end());
    if (this.console.roleOf(this.user) === undefined) {
      this.close(new WeirError('not_console_user', { user: this.user }));
      return;
    }
    this.greet();
    this.received(leftover);
    socket.resume();
  }

  cancel(): void {
    this.running?.abort();
  }

  close(reason: WeirError): void {
    if (this.isOver) return;
    this.out.send(errorResponse(reason));
    this.out.write();
    this.socket.end();
    this.end();
    // A client that never closes its side does not keep the socket.
    setTimeout(() => this.socket.destroy(), 1_000).unref();
  }

  private greet(): void {
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
      ['session_authorization', this.user],
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
    this.cutter.push(chunk);
    if (this.cutter.heldBytes > readAheadBytes) this.socket.pause();
    if (!this.isPumping) void this.pump();
  }

  private end(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.running?.abort();
    this.resolveClosed();
  }

  /** Handles frames one after another until there is none; never rejects. */
  private async pump(): Promise<void> {
    this.isPumping = true;
    try {
      while (!this.isOver) {
        const message = this.cutter.next();
        if (message === undefined) break;
        await this.handle(message);
        // With nothing more to do the answers must not wait for company.
        if (this.cutter.heldBytes === 0 || this.out.isFull) await this.out.drain();
        if (this.cutter.heldBytes <= readAheadBytes) this.socket.resume();
      }
      this.out.write();
    } catch (error) {
      this.fail(error);
    } finally {
      this.isPumping = false;
    }
  }

  private fail(error: unknown): void {
    const what = error instanceof Error ? error.message : String(error);
    if (error instanceof ProtocolError) {
      this.close(new WeirError('protocol_violation', { what }));
    } else {
      this.options.log('error', 'console_session_failed', `admin console: ${what}`, { user: this.user });
      this.close(new WeirError('internal_error', { what }));
    }
  }

  private async handle(message: Frame): Promise<void> {
    if (message.type === Frontend.Terminate) {
      this.socket.end();
      this.end();
    } else if (message.type === Frontend.Sync) {
      this.isSkippingToSync = false;
      // Portals live until the end of the transaction, which in the console is every Sync.
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
      const statements = this.console.parse(readString(body, 0, body.length));
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

  /** Runs a statement, says its notices, and gives its rows. */
  private async run(statement: ConsoleStatement): Promise<Iterator<readonly Value[]>> {
    const running = new AbortController();
    this.running = running;
    try {
      // What was answered so far must not wait for a command that may take long.
      this.out.write();
      const result = await this.console.execute(statement, { user: this.user, signal: running.signal });
      for (const message of result.notices ?? []) {
        this.out.send(noticeResponse({ severity: 'NOTICE', sqlstate: '00000', message }));
      }
      return (result.rows ?? [])[Symbol.iterator]();
    } finally {
      this.running = undefined;
    }
  }

  /** Whatever the table of errors calls its severity, here the connection goes on. */
  private sendError(error: WeirError): void {
    const { sqlstate, message, detail, hint } = error;
    this.out.send(errorResponse({ severity: 'ERROR', sqlstate, message, detail, hint }));
  }
}
