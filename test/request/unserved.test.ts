/** Which errors count as not the statement's own: the budget `errors` would burn for mistakes of applications otherwise. */
import { describe, expect, it } from 'vitest';
import { WeirError, type ErrorName } from '../../src/errors/errors.ts';
import { isUnservedByServer, isUnservedByWeir } from '../../src/request/unserved.ts';

describe('an error of the server', () => {
  it.each(['08006', '53100', '53200', '53300', '57P01', '57P03', '58030', 'XX001', 'XX002'])(
    '%s: it could not serve the statement',
    (sqlstate) => expect(isUnservedByServer(sqlstate)).toBe(true),
  );
  it.each(['42601', '23505', '40001', '40P01', '57014', '25P03', '08P01', '53400', 'XX000', '0A000', ''])(
    '"%s" is of the statement',
    (sqlstate) => expect(isUnservedByServer(sqlstate)).toBe(false),
  );
});

describe('an error of Weir', () => {
  const is = (name: ErrorName): boolean => isUnservedByWeir(new WeirError(name));

  it.each(['no_node', 'server_lost', 'server_login_failed', 'query_wait_timeout', 'pool_overloaded', 'limits_unknown'])(
    '%s: Weir could not serve the statement',
    (name) => expect(is(name as ErrorName)).toBe(true),
  );
  it.each([
    'limit_reached',
    'low_priority_shed',
    'protocol_violation',
    'query_canceled',
    'not_in_pool_mode',
    'not_supported',
  ])('%s is of the statement, or of its client', (name) => expect(is(name as ErrorName)).toBe(false));
});
