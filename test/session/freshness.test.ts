/**
 * What a session remembers of where it has read. Fails if a server gets its reads only because it has the name of another one,
 * which was further.
 */
import { expect, test } from 'vitest';
import { TxStatus } from '../../src/protocol/codes.ts';
import { Freshness } from '../../src/session/concerns/freshness.ts';
import type { ConcernOwner } from '../../src/session/concerns/concern.ts';
import { Request } from '../../src/session/request.ts';
import { createTicker } from '../../src/topology/ticker.ts';
import { node } from '../routing/route-fixture.ts';

test('a read that ends after its node was replaced by another one of the same name was on no node', () => {
  const cache = { newFreshness: () => ({}), underWay: () => undefined, isEnabled: false };
  const topology = { ticker: createTicker(() => undefined) };
  const session = { services: { cache }, database: { topology }, status: TxStatus.Idle } as unknown as ConcernOwner;
  const freshness = new Freshness(session);
  const db2 = node('db2');
  const request = new Request();
  request.target.node = db2;
  freshness.readyForQuery(request, TxStatus.Idle);
  expect(freshness.tokens.lastNode).toBe('db2');
  db2.load.isGone = true;
  freshness.readyForQuery(request, TxStatus.Idle);
  expect(freshness.tokens.lastNode).toBe('');
  expect(freshness.tokens.moveLsn(topology.ticker)).toBeUndefined();
});
