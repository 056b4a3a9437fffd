/**
 * Reads the trace of a client out of a comment at the beginning or end of a text, as sqlcommenter writes it: pairs of
 * key='value', separated by commas, both URL-encoded. Only comments at the very edge are looked at, so no string of the text
 * can be taken for one. Called by request/plans.ts, if statements are traced or logged.
 */
import type { TraceComment } from '../statements/types.ts';

const key = Buffer.from('traceparent');
/** A longer comment is not read. */
const mostBytes = 4_096;
const mostStateCharacters = 512;
/** At one edge; a hint (hints.ts) may be among them. */
const mostComments = 4;
/** Version ff is not allowed, nor are a trace and a span of nothing but zeros. Versions above 00 may say more behind the flags. */
const form = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|(?<!^00.{53})-)/;
const usualLength = 55;

export function readTraceComment(sql: Buffer): TraceComment | undefined {
  // Most texts have none, and this is fast.
  if (sql.indexOf(key) === -1) return undefined;
  return inLastComments(sql) ?? inFirstComments(sql);
}

function inLastComments(sql: Buffer): TraceComment | undefined {
  let end = sql.length;
  for (let i = 0; i < mostComments; i++) {
    while (end > 0 && isBlankOrSemicolon(sql[end - 1] as number)) end--;
    if (end < 4 || sql[end - 1] !== 0x2f || sql[end - 2] !== 0x2a) return undefined;
    const start = sql.lastIndexOf('/*', end - 4);
    if (start === -1 || end - start > mostBytes) return undefined;
    const found = inComment(sql.toString('utf8', start + 2, end - 2));
    if (found !== undefined) return found;
    end = start;
  }
  return undefined;
}

function inFirstComments(sql: Buffer): TraceComment | undefined {
  let start = 0;
  for (let i = 0; i < mostComments; i++) {
    while (start < sql.length && isBlankOrSemicolon(sql[start] as number)) start++;
    if (sql[start] !== 0x2f || sql[start + 1] !== 0x2a) return undefined;
    const end = sql.indexOf('*/', start + 2);
    if (end === -1 || end - start > mostBytes) return undefined;
    const found = inComment(sql.toString('utf8', start + 2, end));
    if (found !== undefined) return found;
    start = end + 2;
  }
  return undefined;
}

function isBlankOrSemicolon(byte: number): boolean {
  return byte === 0x20 || byte === 0x3b || (byte >= 0x09 && byte <= 0x0d);
}

function inComment(comment: string): TraceComment | undefined {
  const traceparent = valueOf(comment, 'traceparent');
  if (traceparent === undefined || !form.test(traceparent)) return undefined;
  const tracestate = valueOf(comment, 'tracestate');
  const isShort = tracestate !== undefined && tracestate.length <= mostStateCharacters;
  return { traceparent: traceparent.slice(0, usualLength), tracestate: isShort ? tracestate : undefined };
}

function valueOf(comment: string, name: string): string | undefined {
  const found = new RegExp(`(?:^|[\\s,])${name}\\s*=\\s*'([^']*)'`).exec(comment)?.[1];
  if (found === undefined) return undefined;
  try {
    return decodeURIComponent(found).trim();
  } catch {
    return undefined;
  }
}
