/**
 * The writes of one database that do not go through Weir, for as long as somebody wants to know them: makes a reader, and after a
 * loss the next one, on whichever server is the primary then. Made by app/decodings.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AuthQueryConnection } from '../backend/auth-query-connection.ts';
import type { ServerLink } from '../backend/login.ts';
import type { NodeConfig } from '../config/config.ts';
import type { Log } from '../observability/types.ts';
import { explained } from './advice.ts';
import { PublicationChanged } from './publication.ts';
import { Reader, type ReaderOptions } from './reader.ts';
import type { AskServer, DecodingState } from './types.ts';
import { WalStream } from './wal-stream.ts';

export interface DecodingOptions extends Pick<ReaderOptions, 'publication' | 'clock' | 'wrote'> {
  /** The name that clients use. */
  readonly database: string;
  /** cache.max_out_of_band_lag, in milliseconds. */
  readonly maxLagMs: number;
  readonly log: Log;
  /** Undefined: no primary is known. */
  primary(): NodeConfig | undefined;
  /** Logs in to the database, as whom Weir may read the WAL. Rejects with an error that says what to do. */
  connect(node: NodeConfig, parameters: Readonly<Record<string, string>>): Promise<ServerLink>;
  /** Writes to the tables with these OIDs are told from now on, those to others are not. */
  decodes(roots: ReadonlySet<number>): void;
  /** See ReaderOptions. */
  proven(atMs: number): void;
}

const retryMinMs = 200;
const retryMaxMs = 5_000;
/** No question takes as long, unless the server hangs. */
const answerWithinMs = 10_000;
/** Rows about tables, of one answer. */
const maxMessages = 200_000;
/** Of the longest lag that is allowed. */
const proofsPerLag = 4;

/** If the slot is not made by then, SHOW DECODING says why. */
const sayAfterMs = 3_000;
const waiting =
  'waits for the end of the transactions that were open when it began: pg_stat_activity, backend_xid IS NOT NULL, and pg_prepared_xacts';

const parameters = {
  search_path: 'pg_catalog, pg_temp',
  client_encoding: 'UTF8',
  application_name: 'weir decoding',
};
/** Of the connection that adds tables: neither waits long for, nor holds up, those who change them. The slot waits as long as it must. */
const asksOnly = { ...parameters, lock_timeout: '1s', default_transaction_read_only: 'off' };

export class Decoding {
  private readonly options: DecodingOptions;
  private readonly stopping = new AbortController();
  private life: Promise<void> | undefined;
  private reader: Reader | undefined;
  private stateNow: DecodingState['state'] = 'off';
  private problem: string | undefined;
  private provenAtMs: number | undefined;
  private tables = 0;
  private slots = 0;

  constructor(options: DecodingOptions) {
    this.options = options;
  }

  state(): DecodingState {
    const { stateNow: state, problem, provenAtMs, tables } = this;
    const lagMs = provenAtMs === undefined ? undefined : this.options.clock.nowMs() - provenAtMs;
    return { state, problem, lagMs, tables };
  }

  start(): void {
    this.life ??= this.live();
  }

  /** Resolves when the slot is gone, or its connection at least. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.reader?.stop();
    await this.life;
    this.stateNow = 'off';
  }

  catalogChanged(): void {
    this.reader?.catalogChanged();
  }

  private get isStopped(): boolean {
    return this.stopping.signal.aborted;
  }

  private async live(): Promise<void> {
    let retryMs = retryMinMs;
    while (!this.isStopped) {
      const node = this.options.primary();
      this.stateNow = 'starting';
      try {
        if (node === undefined) throw new Error('no primary is known');
        await this.readFrom(node, () => (retryMs = retryMinMs));
      } catch (error) {
        if (this.isStopped) return;
        if (error instanceof PublicationChanged) continue;
        this.failed(error as Error);
      }
      await sleep(retryMs, undefined, { ref: false, signal: this.stopping.signal }).catch(() => undefined);
      retryMs = Math.min(retryMaxMs, retryMs * 2);
    }
  }

  private failed(error: Error): void {
    const { database, log } = this.options;
    const message = explained(error);
    this.stateNow = 'failed';
    if (message === this.problem) return;
    this.problem = message;
    const what = 'writes around Weir are not seen, so nothing is answered from the cache';
    log('warn', 'decoding_failed', `${what}: ${message}`, { database });
  }

  /** Until it is lost or stopped. @param began called when it reads */
  private async readFrom(node: NodeConfig, began: () => void): Promise<void> {
    const { connect } = this.options;
    const asking = new AuthQueryConnection(await connect(node, asksOnly), maxMessages);
    const ask: AskServer = (sql, values, maxRows) =>
      asking.ask(sql, values, maxRows, AbortSignal.any([this.stopping.signal, AbortSignal.timeout(answerWithinMs)]));
    try {
      const link = await connect(node, {
        ...parameters,
        lock_timeout: '0',
        statement_timeout: '0',
        replication: 'database',
      });
      await this.readWith(node, link, ask, began);
    } finally {
      asking.close();
    }
  }

  private async readWith(node: NodeConfig, link: ServerLink, ask: AskServer, began: () => void): Promise<void> {
    const { publication, clock, maxLagMs, wrote, primary } = this.options;
    const isPrimary = (): boolean => {
      const now = primary();
      return now?.host === node.host && now.port === node.port;
    };
    let lose: (error: Error) => void = () => undefined;
    const lost = new Promise<never>((_, reject) => (lose = reject));
    const stopped = (): void => lose(new Error('stopped'));
    this.stopping.signal.addEventListener('abort', stopped);
    const stream = new WalStream(link, {
      committed: (xid, relations) => reader.committed(xid, relations),
      reached: () => reader.reached(),
      lost: (why) => lose(new Error(why)),
    });
    const proven = (atMs: number): void => {
      this.provenAtMs = atMs;
      this.options.proven(atMs);
    };
    const slot = `weir_${link.processId}_${++this.slots}`;
    const proofEveryMs = maxLagMs / proofsPerLag;
    const reader = new Reader({ publication, slot, ask, stream, clock, proofEveryMs, isPrimary, wrote, proven });
    this.reader = reader;
    const slow = setTimeout(() => (this.problem = waiting), sayAfterMs).unref();
    try {
      if (this.isStopped) stopped();
      const tables = await Promise.race([reader.begin(), lost]);
      began();
      clearTimeout(slow);
      this.began(tables);
      await Promise.race([reader.read(), lost]);
    } finally {
      clearTimeout(slow);
      this.stopping.signal.removeEventListener('abort', stopped);
      this.reader = undefined;
      reader.stop();
      stream.close();
    }
  }

  private began(tables: ReadonlySet<number>): void {
    const { database, log, decodes } = this.options;
    decodes(tables);
    this.tables = tables.size;
    this.stateNow = 'reading';
    this.problem = undefined;
    log('info', 'decoding_started', `writes around Weir to ${tables.size} tables are seen`, { database });
  }
}
