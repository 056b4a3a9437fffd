/** WAL positions as text and number. Fails if a position is read wrongly at the borders of segments and pages. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { endOfLastRecord, formatLsn, parseLsn } from '../../src/util/lsn.ts';

const SEGMENT = 16 * 1024 * 1024;

describe('LSN text', () => {
  it('reads and writes what PostgreSQL prints', () => {
    expect(parseLsn('0/0')).toBe(0);
    expect(parseLsn('0/5A3F2B8')).toBe(0x5a3f2b8);
    expect(parseLsn('16/B374D848')).toBe(0x16 * 2 ** 32 + 0xb374d848);
    expect(formatLsn(0x16 * 2 ** 32 + 0xb374d848)).toBe('16/B374D848');
    expect(formatLsn(Infinity)).toBe('infinity');
  });

  it('is the same after a round trip, and ordered as numbers are', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (lsn) => {
        expect(parseLsn(formatLsn(lsn))).toBe(lsn);
      }),
    );
  });

  it('refuses everything else', () => {
    for (const text of ['', '0', '/', '0/', '/0', '0/G', '0/123456789', '-1/0', '0/0 ', 'FFFFFFFF/FFFFFFFF']) {
      expect(() => parseLsn(text), text).toThrow(RangeError);
    }
  });
});

describe('endOfLastRecord', () => {
  const end = (lsn: number): number => endOfLastRecord(lsn, 8192, SEGMENT);

  it('takes away the header of a page that holds nothing yet', () => {
    expect(end(4 * SEGMENT + 40)).toBe(4 * SEGMENT);
    expect(end(4 * SEGMENT + 8192 + 24)).toBe(4 * SEGMENT + 8192);
  });

  it('leaves alone what only looks like it', () => {
    // 24 bytes into a segment is inside its long header; 40 bytes into another page is 16 bytes of a record.
    expect(end(4 * SEGMENT + 24)).toBe(4 * SEGMENT + 24);
    expect(end(4 * SEGMENT + 8192 + 40)).toBe(4 * SEGMENT + 8192 + 40);
    expect(end(4 * SEGMENT + 8192)).toBe(4 * SEGMENT + 8192);
    expect(end(0)).toBe(0);
  });

  it('never gives more than it got, nor goes back further than a header', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (lsn) => {
        expect(end(lsn)).toBeLessThanOrEqual(lsn);
        expect(lsn - end(lsn)).toBeLessThanOrEqual(40);
      }),
    );
  });
});
