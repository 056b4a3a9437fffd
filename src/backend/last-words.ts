/**
 * Why a server connection ends: the server's own words, if it had any, and whether Weir ended it. The words are a FATAL
 * ErrorResponse, or the WARNING that is all a process says when another one has crashed or PostgreSQL is stopped at once.
 * Filled by incoming.ts; told on by request/server-lost.ts.
 */
import { ProtocolError, readErrorFields, readSqlstate } from '../protocol/read.ts';
import type { AnswerReceiver, End, LastWords } from './receiver.ts';

const gone = 'the server closed the connection';
const adminShutdown = '57P01';
const crashShutdown = '57P02';
/** Limits of a session: in a transaction without work, in a transaction at all, without work. */
const ownLimits: ReadonlySet<string> = new Set(['25P03', '25P04', '57P05']);

export class Farewell {
  private why: string | undefined;
  private words: LastWords | undefined;
  private isOurDoing = false;

  /** Weir ends it. What the server said before that stays the reason. */
  byUs(why: string): void {
    this.why ??= why;
    this.isOurDoing = true;
  }

  /** What it said could not be understood. */
  brokenBy(error: unknown): void {
    const isViolation = error instanceof ProtocolError;
    this.why = isViolation ? `protocol violation by the server: ${error.message}` : String(error);
  }

  /** ErrorResponse. True: it is the last thing that the server says. */
  heardError(fields: ReadonlyMap<string, string>, isCut: boolean, buffer: Buffer, start: number, end: number): boolean {
    if (!/^(FATAL|PANIC)$/.test(fields.get('V') ?? fields.get('S') ?? '')) return false;
    this.why = fields.get('M') ?? 'fatal error';
    this.words = isCut ? undefined : wordsOf(buffer, start, end, undefined);
    return true;
  }

  /** NoticeResponse: perhaps the last thing that it says. */
  heardNotice(buffer: Buffer, start: number, end: number, toldTo: AnswerReceiver | undefined): void {
    if (mayBeLast(buffer, start, end)) this.words = wordsOf(buffer, start, end, toldTo);
  }

  /** It has answered since: what it has said before was not the end. */
  goesOn(): void {
    this.words = undefined;
  }

  end(error?: Error): End {
    const { words } = this;
    const why = (this.why ??= error?.message ?? gone);
    const isOwnLimit = words !== undefined && ownLimits.has(words.sqlstate);
    return { why, words, isNodeAtFault: !this.isOurDoing && !isOwnLimit };
  }
}

function wordsOf(buffer: Buffer, start: number, end: number, toldTo: AnswerReceiver | undefined): LastWords {
  const fields = readErrorFields(buffer, start + 5, end);
  const frame = Buffer.from(buffer.subarray(start, end));
  return { sqlstate: fields.get('C') ?? '', hasHint: fields.has('H'), frame, toldTo };
}

/** A NoticeResponse, whole, that PostgreSQL sends before it ends a process. */
export function mayBeLast(buffer: Buffer, start: number, end: number): boolean {
  if (buffer.readInt32BE(start + 1) + 1 > end - start) return false;
  const sqlstate = readSqlstate(buffer, start + 5, end);
  return sqlstate === adminShutdown || sqlstate === crashShutdown;
}
