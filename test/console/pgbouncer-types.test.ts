/**
 * The types of the columns on database `pgbouncer`, which decide what drivers make of the values, and their binary formats.
 */
import { describe, expect, it } from 'vitest';
import { createConsole } from '../../src/console/console.ts';
import { describeRows, encodeRow } from '../../src/console/wire.ts';
import { fakeSources } from './fakes.ts';

const options = { roleOf: () => 'admin' as const, nowMs: () => 0, log: () => {} };

function typesOf(text: string, database: string): Record<string, string> {
  const console = createConsole({ sources: fakeSources(), ...options });
  const [statement] = console.parse(text, { user: 'weir', database, client: '' });
  return Object.fromEntries((statement?.columns ?? []).map(({ name, type }) => [name, type]));
}

describe('types of columns', () => {
  it("are PgBouncer's on database pgbouncer, and int8 on weir and for what only Weir has", () => {
    expect(typesOf('SHOW POOLS', 'pgbouncer')).toMatchObject({
      ...{
        database: 'text',
        cl_active: 'int4',
        sv_login: 'int4',
        maxwait_us: 'int4',
        pool_mode: 'text',
        checkouts: 'int8',
      },
    });
    expect(typesOf('SHOW POOLS', 'weir')).toMatchObject({ cl_active: 'int8', checkouts: 'int8' });
    expect(typesOf('SHOW STATS', 'pgbouncer')).toMatchObject({
      ...{ database: 'text', total_received: 'numeric', avg_wait_time: 'numeric', from_cache: 'int8' },
    });
    expect(typesOf('SHOW STATS_TOTALS', 'pgbouncer')).toMatchObject({ database: 'text', bytes_sent: 'numeric' });
    expect(typesOf('SHOW TOTALS', 'pgbouncer')).toEqual({ name: 'text', value: 'numeric' });
    expect(typesOf('SHOW LISTS', 'pgbouncer')).toEqual({ list: 'text', items: 'int4' });
    expect(typesOf('SHOW SERVERS', 'pgbouncer')).toMatchObject({ remote_pid: 'int4', id: 'int8', addr: 'text' });
    expect(typesOf('SHOW DATABASES', 'pgbouncer')).toMatchObject({
      port: 'int4',
      paused: 'int4',
      max_pool_size: 'int8',
    });
  });

  it('have the OIDs and sizes of PostgreSQL', () => {
    const columns = [{ name: 'a', type: 'int4' } as const, { name: 'b', type: 'numeric' } as const];
    const bytes = describeRows(columns, []);
    const at = (index: number): number => 7 + 20 * index + 2;
    const described = [0, 1].map((index) => [bytes.readInt32BE(at(index) + 6), bytes.readInt16BE(at(index) + 10)]);
    expect(described).toEqual([
      [23, 4],
      [1700, -1],
    ]);
  });

  it.each([
    [0, '0000000000000000'],
    [7, '00010000000000000007'],
    [10_000, '000200010000000000010000'],
    [-123_456_789, '00030002400000000001' + '0929' + '1a85'],
  ])('a binary numeric: %d', (value, hex) => {
    const row = encodeRow(
      [value, value],
      [
        { name: 'n', type: 'numeric' },
        { name: 'i', type: 'int4' },
      ],
      [1],
    );
    const length = row.readInt32BE(7);
    expect(row.subarray(11, 11 + length).toString('hex')).toBe(hex);
    expect([row.readInt32BE(11 + length), row.readInt32BE(15 + length)]).toEqual([4, value]);
  });
});
