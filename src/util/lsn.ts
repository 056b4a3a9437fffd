/**
 * Log sequence numbers as JavaScript numbers: exact up to 2^53 bytes (8 PiB of WAL), compared with plain operators.
 * Text form: PostgreSQL manual, "pg_lsn Type".
 */

const HIGH = 2 ** 32;

/** @returns the text form, such as `0/5A3F2B8`; "infinity" for Infinity, which no replica can reach */
export function formatLsn(lsn: number): string {
  if (lsn === Infinity) return 'infinity';
  const high = Math.floor(lsn / HIGH);
  return `${high.toString(16).toUpperCase()}/${(lsn - high * HIGH).toString(16).toUpperCase()}`;
}

const LSN = /^([0-9a-f]{1,8})\/([0-9a-f]{1,8})$/i;

/**
 * @returns the number for `X/Y`
 * @throws RangeError for any other text, and for positions above 2^53
 */
export function parseLsn(text: string): number {
  const parts = LSN.exec(text);
  const lsn = parts === null ? NaN : parseInt(parts[1] ?? '', 16) * HIGH + parseInt(parts[2] ?? '', 16);
  if (!Number.isSafeInteger(lsn)) throw new RangeError(`not a log sequence number: ${JSON.stringify(text)}`);
  return lsn;
}

const SHORT_PAGE_HEADER = 24;
const LONG_PAGE_HEADER = 40;

/**
 * Computes the end of the last WAL record from the insert position; all arguments in bytes. They differ when the
 * insert position is right after a page header: no record has ended there yet, and a replica that has replayed
 * everything reports the start of the page. On an idle system it would never reach the insert position. Header sizes:
 * SizeOfXLogShortPHD, and SizeOfXLogLongPHD on a segment's first page (PostgreSQL 9.3 to 18).
 */
export function endOfLastRecord(insertLsn: number, walBlockSize: number, walSegmentSize: number): number {
  const inPage = insertLsn % walBlockSize;
  if (inPage === LONG_PAGE_HEADER && insertLsn % walSegmentSize === LONG_PAGE_HEADER) return insertLsn - inPage;
  if (inPage === SHORT_PAGE_HEADER && insertLsn % walSegmentSize !== SHORT_PAGE_HEADER) return insertLsn - inPage;
  return insertLsn;
}
