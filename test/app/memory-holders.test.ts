/** What each client counts for when memory is short, under which reason, and what it is told. */
import { describe, expect, test } from 'vitest';
import { holdersOf, type ClientHolder } from '../../src/app/memory-holders.ts';
import type { WeirError } from '../../src/errors/errors.ts';
import { TxStatus } from '../../src/protocol/codes.ts';
import type { ClientSession } from '../../src/request/client.ts';

interface Fake {
  readonly unsent?: number;
  readonly untakenSeconds?: number;
  readonly partial?: number;
  readonly pending?: readonly number[];
  readonly kept?: number;
  readonly texts?: readonly { readonly bytes: number; readonly users: number }[];
  readonly unnamed?: number;
  readonly running?: number;
  readonly status?: number;
}

const told: WeirError[] = [];

function sessionOf(fake: Fake): ClientSession {
  const statements = (fake.texts ?? []).map(({ bytes, users }) => ({ sql: Buffer.alloc(bytes), users }));
  const session = {
    wire: { unsentBytes: fake.unsent ?? 0 },
    untakenSeconds: fake.untakenSeconds ?? 0,
    scanner: { heldBytes: fake.partial ?? 0 },
    intake: { batch: undefined, pending: (fake.pending ?? []).map((bytes) => ({ form: { bytes } })), isInBatch: false },
    keptBytes: fake.kept ?? 0,
    inFlight: { length: fake.running ?? 0 },
    prepared: {
      all: new Map(statements.map((statement, i) => [`s${i}`, statement])),
      unnamed: { statement: fake.unnamed === undefined ? undefined : { sql: Buffer.alloc(fake.unnamed) } },
    },
    services: { book: { usersOf: (statement: { users: number }) => statement.users } },
    status: fake.status ?? TxStatus.Idle,
    shed: (error: WeirError) => told.push(error),
  };
  return session as unknown as ClientSession;
}

function holderOf(fake: Fake): ClientHolder {
  const [holder] = holdersOf([sessionOf(fake)]);
  return holder!;
}

describe('a client', () => {
  test.each<[string, Fake, string, number]>([
    ['that does not read', { unsent: 300_000, untakenSeconds: 1 }, 'unread', 300_000],
    ['that reads, but has not read all yet, holds nothing', { unsent: 300_000, running: 1 }, 'unread', 0],
    ['that sends a long text', { partial: 500_000 }, 'statement', 500_000],
    ['whose statements wait', { pending: [10_000, 20_000], kept: 1_000 }, 'statement', 31_000],
    ['with prepared statements', { texts: [{ bytes: 50_000, users: 1 }] }, 'prepared', 101_000],
    ['that shares them with others', { texts: [{ bytes: 50_000, users: 101 }] }, 'prepared', 1_000],
    ['with an unnamed statement', { unnamed: 70_000 }, 'prepared', 70_000],
    ['that has something running is not ended for those', { unnamed: 70_000, running: 1 }, 'unread', 0],
    ['counts with all that it holds', { unsent: 100, untakenSeconds: 9, partial: 300 }, 'statement', 400],
  ])('%s', (_who, fake, reason, bytes) => {
    expect(holderOf(fake)).toMatchObject({ reason, bytes, isInTransaction: false });
  });

  test.each([
    [TxStatus.InTransaction, true],
    [TxStatus.Failed, true],
    [TxStatus.Idle, false],
  ])('with the status %d', (status, isInTransaction) => {
    expect(holderOf({ status }).isInTransaction).toBe(isInTransaction);
  });

  test('is told what it held', () => {
    holderOf({ unsent: 300_000, untakenSeconds: 2 }).shed();
    expect(told.at(-1)).toMatchObject({ sqlstate: '53200', severity: 'FATAL' });
    expect(told.at(-1)?.message).toBe(
      'terminating connection: Weir is short of memory, and this client held 300000 bytes of answers that it does not read',
    );
  });
});
