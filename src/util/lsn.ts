/**
 * Log sequence numbers as JavaScript numbers: exact up to 2^53 bytes (8 PiB of WAL), compared with plain operators.
 * Text form: PostgreSQL manual, "pg_lsn Type".
 */

const HIGH = 2 ** 32;

/** `0/5A3F2B8`; Infinity is written "infinity" (a demand that no replica can meet), 0 is `0/0`. */
export function formatLsn(lsn: number): string {
  if (lsn === Infinity) return 'infinity';
  const high = Math.floor(lsn / HIGH);
  return `${high.toString(16).toUpperCase()}/${(lsn - high * HIGH).toString(16).toUpperCase()}`;
}

const LSN = /^([0-9a-f]{1,8})\/([0-9a-f]{1,8})$/i;

/** The number of `X/Y`; throws RangeError for anything else, and for positions above 2^53. */
export function parseLsn(text: string): number {
  const parts = LSN.exec(text);
  const lsn = parts === null ? NaN : parseInt(parts[1] ?? '', 16) * HIGH + parseInt(parts[2] ?? '', 16);
  if (!Number.isSafeInteger(lsn)) throw new RangeError(`not a log sequence number: ${JSON.stringify(text)}`);
  return lsn;
}

const SHORT_PAGE_HEADER = 24;
const LONG_PAGE_HEADER = 40;

/**
 * The end of the last record, given the insert position. Right behind a page header no record has ended yet: a replica
 * that replayed everything reports the start of that page, so the bare insert position would never be reached on an
 * idle system. Header sizes: SizeOfXLogShortPHD, and SizeOfXLogLongPHD on a segment's first page (PostgreSQL 9.3 to 18).
 */
export function endOfLastRecord(insertLsn: number, walBlockSize: number, walSegmentSize: number): number {
  const inPage = insertLsn % walBlockSize;
  if (inPage === LONG_PAGE_HEADER && insertLsn % walSegmentSize === LONG_PAGE_HEADER) return insertLsn - inPage;
  if (inPage === SHORT_PAGE_HEADER && insertLsn % walSegmentSize !== SHORT_PAGE_HEADER) return insertLsn - inPage;
  return insertLsn;
}
