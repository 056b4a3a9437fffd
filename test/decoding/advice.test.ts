/** What SHOW DECODING says to do. */
import { expect, test } from 'vitest';
import { explained } from '../../src/decoding/advice.ts';
import { StatementError } from '../../src/backend/auth-query-connection.ts';

test.each([
  ['42501', 'permission denied (what helps: ALTER ROLE ... REPLICATION'],
  ['55000', 'wal_level = logical'],
  ['53400', 'max_replication_slots'],
  ['53300', 'max_wal_senders'],
])('%s: %s', (sqlstate, text) => {
  expect(explained(new StatementError(sqlstate, 'permission denied'))).toContain(text);
});

test('anything else is said as it is', () => {
  expect(explained(new StatementError('XX000', 'no idea'))).toBe('no idea');
  expect(explained(new Error('the server has closed the connection'))).toBe('the server has closed the connection');
});
