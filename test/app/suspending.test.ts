/**
 * SUSPEND in one process: clients stop first, servers when all that clients have sent is on its way, and who takes too long is
 * closed. Fails when servers stop while a client still waits for one, or somebody stays unread after RESUME.
 */
import { beforeEach, expect, it } from 'vitest';
import { Suspending, type SuspendingParts } from '../../src/app/suspending.ts';
import type { WeirError } from '../../src/errors/errors.ts';
import { Suspension, type Side } from '../../src/net/suspension.ts';

const suspension = (): Suspension => parts.services.turn.suspension;

class Peer {
  readonly side: Side;
  isReady = true;
  readsOn = true;
  state = 'idle';
  ended: string | undefined;
  readonly scanner = { restBytes: 0 };
  readonly wire;

  constructor(side: Side) {
    this.side = side;
    this.wire = { isDrained: true, isRead: true, regulate: () => (this.wire.isRead = suspension().mayRead(side)) };
  }
  terminate(error: WeirError): void {
    this.ended = error.message;
    this.leave();
  }
  destroy(why: string): void {
    this.ended = why;
    this.leave();
  }
  private leave(): void {
    for (const list of [clients, servers]) if (list.includes(this)) list.splice(list.indexOf(this), 1);
  }
}

let clients: Peer[];
let servers: Peer[];
let parts: SuspendingParts;
let nowMs: number;
let timeoutMs: number;
let log: unknown[];

beforeEach(() => {
  [nowMs, timeoutMs, log] = [0, 10_000, []];
  parts = {
    config: () => ({ suspendTimeoutMs: timeoutMs }),
    clients: { sessions: () => clients, replications: () => [] },
    directory: { all: () => [{ pools: () => [{ servers: () => servers }] }] },
    services: {
      turn: { suspension: new Suspension() },
      nowMs: () => nowMs,
      log: (_level: string, event: string, _message: string, fields: unknown) => log.push([event, fields]),
    },
  } as unknown as SuspendingParts;
  clients = [new Peer('client'), new Peer('client')];
  servers = [new Peer('server')];
});

/** Looks at each condition once for each call of the returned function. */
function bench(): { readonly suspending: Suspending; look(): Promise<void> } {
  let isDone: (() => boolean) | undefined;
  let resolve: () => void = () => undefined;
  const suspending = new Suspending(parts, (condition) => {
    if (condition()) return Promise.resolve();
    isDone = condition;
    return new Promise((done) => (resolve = done));
  });
  const look = async (): Promise<void> => {
    if (isDone?.() === true) resolve();
    for (let turns = 0; turns < 10; turns++) await Promise.resolve();
  };
  return { suspending, look };
}

const isRead = (): boolean[] => [...clients, ...servers].map(({ wire }) => wire.isRead);
const signal = new AbortController().signal;

it('stops clients, then servers, and is done when all is sent', async () => {
  const { suspending, look } = bench();
  const [waiting, slow] = clients as [Peer, Peer];
  waiting.isReady = false;
  slow.wire.isDrained = false;
  let isOver = false;
  const over = suspending.begin(signal).then(() => (isOver = true));
  await look();
  expect(isRead()).toEqual([false, false, true]);
  waiting.isReady = true;
  await look();
  expect(isRead()).toEqual([false, false, false]);
  expect(isOver).toBe(false);
  slow.wire.isDrained = true;
  await look();
  await over;
  suspending.end();
  expect(isRead()).toEqual([true, true, true]);
  expect(log).toEqual([]);
});

it('waits for what is kept of a client whose output is full, and for what Weir asks a server; not for half a message', async () => {
  const { suspending, look } = bench();
  const [full, half] = clients as [Peer, Peer];
  [full.scanner.restBytes, full.readsOn, half.scanner.restBytes] = [10, false, 10];
  (servers[0] as Peer).state = 'resetting';
  const over = suspending.begin(signal);
  await look();
  expect(isRead()).toEqual([false, false, true]);
  full.readsOn = true;
  await look();
  expect(isRead()).toEqual([false, false, true]);
  (servers[0] as Peer).state = 'idle';
  await look();
  await over;
  expect(isRead()).toEqual([false, false, false]);
});

it.each([
  [10_000, 'closes who takes longer than suspend_timeout'],
  [0, 'waits without a limit with suspend_timeout: 0'],
])('%i: %s', async (ms) => {
  timeoutMs = ms;
  const { suspending, look } = bench();
  const [waiting, other] = clients as [Peer, Peer];
  const [server] = servers as [Peer];
  waiting.isReady = false;
  server.wire.isDrained = false;
  void suspending.begin(signal);
  await look();
  nowMs = 20_000;
  await look();
  await look();
  const isClosed = ms > 0;
  expect([waiting.ended, server.ended, other.ended]).toEqual(
    isClosed
      ? [expect.stringContaining('suspend_timeout'), 'suspend_timeout', undefined]
      : [undefined, undefined, undefined],
  );
  expect(log).toEqual(
    isClosed
      ? [
          ['suspend_timeout', { clients: 1, servers: 0 }],
          ['suspend_timeout', { clients: 0, servers: 1 }],
        ]
      : [],
  );
});

it('is refused when RESUME comes first; another SUSPEND works', async () => {
  const { suspending, look } = bench();
  (clients[0] as Peer).isReady = false;
  const first = suspending.begin(signal);
  suspending.end();
  await look();
  await expect(first).rejects.toMatchObject({ message: 'RESUME has ended the SUSPEND' });
  (clients[0] as Peer).isReady = true;
  await suspending.begin(signal);
  expect(isRead()).toEqual([false, false, false]);
});

it('who comes meanwhile waits for RESUME', () => {
  const { suspending } = bench();
  const admitted: string[] = [];
  suspending.begin(signal).catch(() => undefined);
  suspension().wait(() => admitted.push('first'));
  const giveUp = suspension().wait(() => admitted.push('left'));
  giveUp();
  suspending.end();
  expect(admitted).toEqual(['first']);
});
