/**
 * A replication connection to a server that decodes its WAL with pgoutput into a temporary slot, which ends with the connection,
 * so that it never holds WAL back for a Weir that is gone. Source: PostgreSQL manual, "Streaming Replication Protocol". Made by
 * reader.ts.
 */
import { StatementError } from '../backend/auth-query-connection.ts';
import type { ServerLink } from '../backend/login.ts';
import { Backend, Frontend, describeType } from '../protocol/codes.ts';
import { ProtocolError, readDataRow, readErrorFields } from '../protocol/read.ts';
import { frame, query, terminate } from '../protocol/write.ts';
import { MessageHeads } from './message-heads.ts';
import { decode } from './pgoutput.ts';

export interface WalStreamEvents {
  /** A transaction was committed that has written these relations; undefined: any may have been. `xid` has 32 bits. */
  committed(xid: number, relations: Set<number> | undefined): void;
  /** All commits before `position` have been reported. */
  reached(position: number): void;
  /** The connection is gone, or of no use: nothing more comes. Called once. */
  lost(why: string): void;
}

/** More of a message is not looked at. A TRUNCATE of 16,000 tables fits in. */
const keptBytes = 64 * 1024;

const xLogData = 0x77;
const keepalive = 0x6b;
const statusUpdate = 0x72;
/** Before the message of the output plugin: its type, two positions and a time. */
const dataHeader = 25;

interface Command {
  readonly rows: (string | null)[][];
  done(): void;
  failed(error: Error): void;
}

export class WalStream {
  /** All of the WAL before it was decoded, and what was in it reported. */
  position = 0;
  /** Messages that have come. */
  heard = 0;
  private readonly socket: ServerLink['socket'];
  private readonly events: WalStreamEvents;
  private command: Command | undefined;
  private isStreaming = false;
  private isClosed = false;
  /** Of the transaction that is being received; undefined: none. */
  private xid: number | undefined;
  private relations: Set<number> | undefined;

  constructor({ socket, leftover }: ServerLink, events: WalStreamEvents) {
    this.socket = socket;
    this.events = events;
    const heads = new MessageHeads(keptBytes, (type, body, length) => this.take(type, body, length));
    const push = (chunk: Buffer): void => {
      try {
        heads.push(chunk);
      } catch (error) {
        this.end((error as Error).message);
      }
    };
    socket.on('data', push);
    socket.on('error', (error) => this.end(error.message));
    socket.on('close', () => this.end('the server has closed the connection'));
    if (leftover.length > 0) push(leftover);
    socket.resume();
  }

  /**
   * Makes the slot. Waits for the end of all transactions that are running: what they have written may not be in the stream.
   * @param slot its name: lower-case letters, digits and underscores. Rejects with StatementError.
   */
  async createSlot(slot: string): Promise<void> {
    await this.run(`CREATE_REPLICATION_SLOT ${slot} TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT`);
  }

  /** From now on, commits are reported. Rejects with StatementError. */
  async start(slot: string, publication: string): Promise<void> {
    const name = `"${publication.replaceAll('"', '""')}"`.replaceAll("'", "''");
    await this.run(`START_REPLICATION SLOT ${slot} LOGICAL 0/0 (proto_version '1', publication_names '${name}')`);
  }

  /** Asks the server how far it has decoded: `reached` tells. Also lets it forget the WAL before that. */
  askPosition(): void {
    this.tellStatus(true);
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.finish()?.failed(new Error('the connection was closed'));
    this.socket.write(terminate);
    this.socket.destroySoon();
  }

  private run(sql: string): Promise<(string | null)[][]> {
    return new Promise((resolve, reject) => {
      if (this.isClosed) return reject(new Error('the connection is closed'));
      const rows: (string | null)[][] = [];
      this.command = { rows, done: () => resolve(rows), failed: reject };
      this.socket.write(query(sql));
    });
  }

  private end(why: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.socket.destroy();
    this.finish()?.failed(new Error(why));
    this.events.lost(why);
  }

  /** @returns the command that was running */
  private finish(): Command | undefined {
    const { command } = this;
    this.command = undefined;
    return command;
  }

  private take(type: number, body: Buffer, length: number): void {
    if (this.isClosed) return;
    this.heard++;
    switch (type) {
      case Backend.CopyData:
        return this.takeData(body, length);
      case Backend.DataRow:
        return void this.command?.rows.push(readDataRow(body));
      case Backend.CopyBothResponse:
        this.isStreaming = true;
        return this.finish()?.done();
      case Backend.ReadyForQuery:
        return this.finish()?.done();
      case Backend.ErrorResponse: {
        const fields = readErrorFields(body, 0, body.length);
        const error = new StatementError(fields.get('C') ?? '', fields.get('M') ?? 'unknown error');
        this.finish()?.failed(error);
        if (this.isStreaming) this.end(error.message);
        return;
      }
      case Backend.CopyDone:
        return this.end('the server has ended the stream');
      case Backend.RowDescription:
      case Backend.CommandComplete:
      case Backend.NoticeResponse:
      case Backend.ParameterStatus:
        return;
      default:
        throw new ProtocolError(`message ${describeType(type)} on a replication connection`);
    }
  }

  private takeData(body: Buffer, length: number): void {
    if (body[0] === keepalive && length >= 18) {
      this.reached(Number(body.readBigUInt64BE(1)));
      if (body[17] === 1) this.tellStatus(false);
    } else if (body[0] === xLogData && length > dataHeader) {
      this.takeDecoded(body.subarray(dataHeader), body.length === length);
    } else throw new ProtocolError(`replication message of type ${body[0] ?? 'none'} and ${length} bytes`);
  }

  private takeDecoded(message: Buffer, isWhole: boolean): void {
    const decoded = decode(message, isWhole);
    switch (decoded.kind) {
      case 'begin':
        this.xid = decoded.xid;
        this.relations = new Set();
        return;
      case 'written':
        for (const oid of decoded.relations) this.relations?.add(oid);
        return;
      case 'too long':
        this.relations = undefined;
        return;
      case 'commit':
        if (this.xid === undefined) throw new ProtocolError('pgoutput sent a commit without its beginning');
        this.events.committed(this.xid, this.relations);
        this.xid = undefined;
        // The end of the commit's record.
        this.reached(Number(message.readBigUInt64BE(10)));
        return;
      case 'other':
    }
  }

  private reached(position: number): void {
    if (position <= this.position) return;
    this.position = position;
    this.events.reached(position);
  }

  /** What was received needs no second time: after a loss, decoding begins anew. */
  private tellStatus(asksPosition: boolean): void {
    if (this.isClosed || !this.isStreaming) return;
    const body = Buffer.alloc(34);
    body[0] = statusUpdate;
    for (const at of [1, 9, 17]) body.writeBigUInt64BE(BigInt(this.position), at);
    // Microseconds since 2000; the server only shows it.
    body.writeBigInt64BE((BigInt(Date.now()) - 946_684_800_000n) * 1000n, 25);
    body[33] = asksPosition ? 1 : 0;
    this.socket.write(frame(Frontend.CopyData, body));
  }
}
