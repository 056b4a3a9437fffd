/**
 * The judge of histories (soak/history.ts): each kind of anomaly is found in the shortest history that has it, and what is allowed is not.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { Ledger, Reader, Via } from '../../soak/history.ts';
import type { Level } from '../../soak/history.ts';

const [plain, around, beside] = [0, 1, 2];
const boundMs = 5_000;

let ledger: Ledger;
let here: Via;
let there: Via;
let now: number;

beforeEach(() => {
  ledger = new Ledger(['plain', 'around', 'beside'], {
    isAround: (register) => register !== plain,
    mayGoBack: (register) => register === around,
    boundMs,
  });
  [here, there] = [new Via('here', 3), new Via('there', 3)];
  now = 0;
});

function write(value: number, register = plain, via: Via = here, owner?: Reader): void {
  const what = { kind: 'simple', via: via.name, nowMs: ++now };
  ledger.committed(ledger.begin(register, value, what), ++now, via, owner);
}

function read(reader: Reader, value: number, register = plain): void {
  const claim = ledger.claim(reader, register, ++now, 'select');
  ledger.returned(reader, claim, value, ++now);
}

const found = (): string[] => ledger.anomalies.map(({ what }) => what);
const session = (level: Level = 'session', via: Via = here): Reader => new Reader('a session', level, via);

describe('found', () => {
  test('an own write that is not seen', () => {
    const reader = session();
    write(2, plain, there, reader);
    read(reader, 0);
    expect(found()).toEqual(['own write not seen']);
  });

  test('a read that goes back', () => {
    const reader = session('session', there);
    write(2);
    read(reader, 2);
    read(reader, 0);
    expect(found()).toEqual(['went back']);
  });

  test("another session's write through the same Weir", () => {
    write(2);
    read(session(), 0);
    expect(found()).toEqual(["another session's write not seen"]);
  });

  test('at strict, through any Weir', () => {
    write(2);
    read(session('strict', there), 0);
    expect(found()).toEqual(["another session's write not seen"]);
  });

  test.each<[Level, number]>([
    ['eventual', plain],
    ['session', plain],
    ['session', around],
  ])('at %s what is older than allowed', (level, register) => {
    write(2, register);
    now += boundMs + 1;
    read(session(level, there), 0, register);
    expect(found()).toEqual(['older than allowed']);
  });

  test('what was rolled back, was on the way, or was never written', () => {
    const what = { kind: 'simple', via: 'here', nowMs: ++now };
    ledger.rolledBack(ledger.begin(plain, 2, what), ++now);
    for (const value of [2, -2, 4]) read(session(), value);
    expect(found()).toEqual(['saw what was not committed', 'saw what was not committed', 'saw what nobody wrote']);
  });

  test('a commit of unknown outcome that somebody has seen', () => {
    ledger.unknownOutcome(ledger.begin(plain, 2, { kind: 'slow', via: 'here', nowMs: ++now }), ++now);
    ledger.observed(plain, 2, ++now);
    now += boundMs + 1;
    read(session(), 0);
    expect(found()).toEqual(['older than allowed']);
  });

  test('going back among replicas, also of what was written around Weir', () => {
    const reader = session();
    write(2, beside);
    read(reader, 2, beside);
    read(reader, 0, beside);
    expect(found()).toEqual(['went back']);
  });

  test('with the writes and reads before it', () => {
    write(2);
    read(session(), 0);
    expect(ledger.anomalies[0]!.history).toEqual([
      '1.0-2.0 write 2 by simple through here: committed',
      '3.0-4.0 a session read 0 by select',
    ]);
  });
});

describe('allowed', () => {
  test('what is new, what is under way, what another Weir has acknowledged just now', () => {
    const [one, other] = [session(), session('session', there)];
    write(2);
    read(one, 2);
    read(other, 0);
    ledger.begin(plain, 4, { kind: 'simple', via: 'here', nowMs: ++now });
    read(one, 4);
    read(session(), 2);
    expect(found()).toEqual([]);
    expect(ledger.reads).toBe(4);
  });

  test('at eventual, to go back and to miss what is new', () => {
    const reader = session('eventual');
    write(2);
    read(reader, 2);
    read(reader, 0);
    expect(found()).toEqual([]);
  });

  test('of a cache that does not hear of a write, to go back for a while', () => {
    const reader = session();
    write(2, around);
    read(reader, 2, around);
    read(reader, 0, around);
    expect(found()).toEqual([]);
  });
});
