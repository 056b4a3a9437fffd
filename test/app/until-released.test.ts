/**
 * The end as in PgBouncer: clients keep their servers, who asks for one and has none is ended, and all is over when nobody has a server.
 */
import { expect, it } from 'vitest';
import type { Clients } from '../../src/app/clients.ts';
import type { Directory } from '../../src/app/directory.ts';
import { UntilReleased } from '../../src/app/until-released.ts';
import type { WeirError } from '../../src/errors/errors.ts';

interface Client {
  server: object | undefined;
  isWaiting: boolean;
  isIdle: boolean;
  poolMode: 'session' | 'transaction';
  ended?: string;
  terminate(error: WeirError): void;
}

const clientOf = (is: Partial<Omit<Client, 'terminate'>>): Client => {
  const client: Client = {
    ...{ server: undefined, isWaiting: false, isIdle: true, poolMode: 'transaction', ...is },
    terminate: (error) => void (client.ended = error.errorName),
  };
  return client;
};

function bench(sessions: Client[], replications: object[] = []) {
  const servers = new Set<object>(sessions.flatMap(({ server }) => server ?? []));
  const done = { paused: 0, nowMs: 0 };
  const database = { pause: () => void done.paused++, pools: () => [{ servers: () => servers }] };
  const released = new UntilReleased({
    clients: { sessions: () => sessions, all: () => [...sessions, ...replications] } as unknown as Clients,
    directory: { all: () => [database].values() } as unknown as Directory,
    nowMs: () => done.nowMs,
  });
  const look = (): unknown => {
    done.nowMs += 400;
    released.look();
    return sessions.map(({ ended }) => ended);
  };
  return { released, servers, done, look };
}

it('gives out no more servers, and ends who waits for one', () => {
  const { done, look } = bench([clientOf({ isWaiting: true, isIdle: false }), clientOf({})]);
  expect(done.paused).toBe(1);
  expect(look()).toEqual(['shutting_down', undefined]);
});

it('leaves a client the server of its session or transaction, but not one that it is only pinned to', () => {
  const server = {};
  const { look } = bench([
    clientOf({ server, poolMode: 'session' }),
    clientOf({ server: {}, isIdle: false }),
    clientOf({ server: {}, isWaiting: true, isIdle: false }),
    clientOf({ server: {} }),
  ]);
  expect(look()).toEqual([undefined, undefined, undefined, 'shutting_down']);
});

it('does not look more often than a few times a second', () => {
  const waiting = clientOf({ isWaiting: true });
  const { released, done } = bench([waiting]);
  done.nowMs += 100;
  released.look();
  expect(waiting.ended).toBeUndefined();
});

it('is over when no client has a server, not even one of replication', () => {
  const session = clientOf({ server: {}, poolMode: 'session' });
  const { released, servers } = bench([session]);
  expect(released.isOver).toBe(false);
  servers.clear();
  expect(released.isOver).toBe(true);
  expect(bench([clientOf({})], [{}]).released.isOver).toBe(false);
});
