/** Which messages of other Weirs tell of a write: while there is no primary, a table that was written is not read from a replica. */
import { describe, expect, test } from 'vitest';
import type { PeerMessage } from '../../src/cache/messages.ts';
import { SharedStamps } from '../../src/cache/shared-stamps.ts';
import { TagTable } from '../../src/cache/tags.ts';
import { markerMs } from '../../src/cache/transport.ts';

function world(tag = 'db:r1') {
  const ddl: string[] = [];
  let ticks = 0;
  let nowMs = 0;
  const source = { next: () => ++ticks, lsnOf: () => undefined };
  const table = new TagTable(true, 100);
  table.attach('db:', source);
  const state = table.state(tag);
  const stamps = new SharedStamps({
    table,
    instanceId: 'own',
    now: () => nowMs,
    peerBumped: () => undefined,
    peersDdl: (prefix, about) => ddl.push(`${prefix}: ${about}`),
    confirms: true,
  });
  let number = 0;
  const say = (what: { kind: 'close'; token: string } | { kind: 'open'; token: string; stamps: number[] }): void => {
    const message: PeerMessage = { incarnation: 'i', number: ++number, from: 'other', tags: [tag], ...what };
    stamps.apply(message);
  };
  return {
    say,
    ddl,
    /** As if another Weir had died: nobody says any more that its writes are under way. */
    lapse: () => {
      nowMs += markerMs + 1;
      return state.isClosed(nowMs);
    },
    isWritten: () => state.lastWriteIn(source, true) !== 0,
  };
}

describe('is known to be written', () => {
  test('when a write of another Weir has ended', () => {
    const { say, isWritten } = world();
    say({ kind: 'close', token: 'w:1' });
    expect(isWritten()).toBe(false);
    say({ kind: 'open', token: 'w:1', stamps: [7] });
    expect(isWritten()).toBe(true);
  });

  test('when its beginning was missed', () => {
    const { say, isWritten } = world();
    say({ kind: 'open', token: 'w:1', stamps: [7] });
    expect(isWritten()).toBe(true);
  });

  test('when nobody says how it ended', () => {
    const early = world();
    early.say({ kind: 'close', token: 'w:1' });
    early.say({ kind: 'open', token: '', stamps: [7] });
    expect(early.isWritten()).toBe(true);

    const late = world();
    late.say({ kind: 'close', token: 'w:1' });
    expect(late.lapse()).toBe(false);
    expect(late.isWritten()).toBe(true);
  });
});

test('is not known to be written when another Weir was the first to ask for its stamp', () => {
  const { say, isWritten } = world();
  say({ kind: 'open', token: '', stamps: [7] });
  expect(isWritten()).toBe(false);
});

test('DDL of another Weir: it may come, has come, or was rolled back', () => {
  const { say, ddl } = world('db:cat');
  say({ kind: 'close', token: 'w:1' });
  expect(ddl).toEqual(['db:: catalog, perhaps']);
  say({ kind: 'open', token: 'w:1', stamps: [7] });
  expect(ddl.splice(0)).toEqual(['db:: catalog, perhaps', 'db:: catalog, changed']);
  say({ kind: 'close', token: 'w:2' });
  say({ kind: 'open', token: 'w:2', stamps: [] });
  expect(ddl.splice(0)).toEqual(['db:: catalog, perhaps', 'db:: catalog, perhaps']);
  // It has only read the catalog again.
  say({ kind: 'open', token: '', stamps: [8] });
  expect(ddl).toEqual([]);
});
