/** Which node is the primary if several claim it, or none does. Fails if a write could go to the old one. */
import { describe, expect, it } from 'vitest';
import { elect } from '../../src/topology/elect.ts';
import type { Contender, Incumbent } from '../../src/topology/elect.ts';

const primary = (name: string, timeline: number, systemId = 'A'): Contender => ({
  name,
  isInRecovery: false,
  timeline,
  systemId,
});
const standby = (name: string, timeline: number, systemId = 'A'): Contender => ({
  name,
  isInRecovery: true,
  timeline,
  systemId,
});
const gone = (name: string): Contender => ({ name, isInRecovery: undefined, timeline: undefined, systemId: undefined });
/** Its role is known, and neither its timeline nor its position (Amazon Aurora). */
const noWal = (isInRecovery: boolean, name: string): Contender => ({
  name,
  isInRecovery,
  timeline: undefined,
  systemId: 'A',
  hasNoWal: true,
});
const unknown = (node: Contender): Contender => ({ ...node, timeline: undefined });
/** Named twice, under two addresses. */
const twice = (node: Contender): Contender => ({ ...node, serverId: 'started at noon' });
const office = (index: number, timeline: number, isStanding: boolean): Incumbent => ({
  index,
  timeline,
  systemId: 'A',
  isStanding,
});

const unknownOffice = (index: number, isStanding: boolean): Incumbent => ({
  ...office(index, 0, isStanding),
  timeline: undefined,
});

describe('elect', () => {
  const cases: readonly {
    what: string;
    nodes: readonly Contender[];
    incumbent?: Incumbent;
    isSettled?: boolean;
    winner: number | undefined;
    refused?: Readonly<Record<number, RegExp>>;
  }[] = [
    { what: 'the configured primary', nodes: [primary('db1', 1), standby('db2', 1)], winner: 0 },
    {
      what: 'the successor, though it is named under two addresses',
      nodes: [gone('db1'), twice(primary('db2', 2)), standby('db3', 1), twice(primary('10.0.0.2', 2))],
      incumbent: office(0, 1, false),
      winner: 1,
      refused: { 3: /is db2 under another address/ },
    },
    {
      what: 'the address in office, if the server is named under two',
      nodes: [twice(primary('db1', 2)), standby('db2', 2), twice(primary('10.0.0.1', 2))],
      incumbent: office(2, 2, true),
      winner: 2,
      refused: { 0: /is 10.0.0.1 under another address/ },
    },
    {
      what: 'the writer of servers without WAL functions',
      nodes: [noWal(true, 'db1'), noWal(false, 'db2')],
      winner: 1,
    },
    {
      what: 'the successor of such a writer, which says itself that it is a standby now',
      nodes: [noWal(true, 'db1'), noWal(false, 'db2')],
      incumbent: unknownOffice(0, false),
      winner: 1,
    },
    {
      what: 'nobody while such a writer is gone: it may still be writing',
      nodes: [gone('db1'), noWal(false, 'db2')],
      incumbent: unknownOffice(0, false),
      winner: undefined,
      refused: { 1: /claims to be the primary on timeline 0/ },
    },
    {
      what: 'the writer that stands, whoever else claims it',
      nodes: [noWal(false, 'db1'), noWal(false, 'db2')],
      incumbent: unknownOffice(0, true),
      winner: 0,
      refused: { 1: /two primaries\?/ },
    },
    {
      what: 'nobody without WAL functions, after a primary whose timeline was known',
      nodes: [noWal(true, 'db1'), noWal(false, 'db2')],
      incumbent: office(0, 3, false),
      winner: undefined,
      refused: { 1: /on timeline 0, but db1 was on 3/ },
    },
    {
      what: 'nobody whose timeline is not known for another reason, such as a monitor without a log-in',
      nodes: [unknown(primary('db1', 1)), unknown(standby('db2', 1))],
      incumbent: unknownOffice(1, false),
      winner: undefined,
      refused: { 0: /on timeline 0, but db2 was on 0/ },
    },
    {
      what: 'nobody without WAL functions whom a standby has left behind',
      nodes: [noWal(false, 'db1'), standby('db2', 2)],
      winner: undefined,
      refused: { 0: /db2 already follows timeline 2/ },
    },
    {
      what: 'nobody before everybody had a chance to speak',
      nodes: [primary('db1', 1), gone('db2')],
      isSettled: false,
      winner: undefined,
    },
    {
      what: 'the one that is a primary when the configured one is in recovery',
      nodes: [standby('db1', 2), primary('db2', 2)],
      winner: 1,
    },
    {
      what: 'the higher timeline over the configured one, from the start',
      nodes: [primary('db1', 1), primary('db2', 2)],
      winner: 1,
      refused: { 0: /stale primary on timeline 1; db2 is the primary on 2/ },
    },
    {
      what: 'not a configured primary that the replicas have left behind',
      nodes: [primary('db1', 1), gone('db2'), standby('db3', 2)],
      winner: undefined,
      refused: { 0: /db3 already follows timeline 2/ },
    },
    {
      what: 'the configured one of two on the same timeline',
      nodes: [primary('db1', 1), primary('db2', 1)],
      winner: 0,
      refused: { 1: /two primaries\?/ },
    },
    {
      what: 'neither of two strangers on the same timeline',
      nodes: [gone('db1'), primary('db2', 2), primary('db3', 2)],
      winner: undefined,
      refused: { 1: /not the only one/, 2: /not the only one/ },
    },
    {
      what: 'whoever was promoted when the primary is gone',
      nodes: [gone('db1'), primary('db2', 2), standby('db3', 1)],
      incumbent: office(0, 1, false),
      winner: 1,
    },
    {
      what: 'whoever was promoted, though the old one still stands',
      nodes: [primary('db1', 1), primary('db2', 2)],
      incumbent: office(0, 1, true),
      winner: 1,
      refused: { 0: /stale/ },
    },
    {
      what: 'not the stale primary that comes back',
      nodes: [primary('db1', 1), primary('db2', 2)],
      incumbent: office(1, 2, true),
      winner: 1,
      refused: { 0: /stale/ },
    },
    {
      what: 'not the stale primary either while the new one is away',
      nodes: [primary('db1', 1), gone('db2')],
      incumbent: office(1, 2, false),
      winner: undefined,
      refused: { 0: /on timeline 1, but db2 was on 2/ },
    },
    {
      what: 'the same primary after a restart',
      nodes: [primary('db1', 1), standby('db2', 1)],
      incumbent: office(0, 1, false),
      winner: 0,
    },
    {
      what: 'nobody else on the timeline of a primary that is gone',
      nodes: [gone('db1'), primary('db2', 1)],
      incumbent: office(0, 1, false),
      winner: undefined,
      refused: { 1: /db1 was on 1/ },
    },
    {
      what: 'the incumbent of two on the same timeline',
      nodes: [primary('db1', 2), primary('db2', 2)],
      incumbent: office(1, 2, true),
      winner: 1,
      refused: { 0: /two primaries\?/ },
    },
    {
      what: 'nobody while a demoted primary is in recovery and no other came forward',
      nodes: [standby('db1', 1), standby('db2', 1)],
      incumbent: office(0, 1, true),
      winner: undefined,
    },
    {
      what: 'no stranger of another cluster, however high its timeline',
      nodes: [gone('db1'), primary('db2', 9, 'B')],
      incumbent: office(0, 1, false),
      winner: undefined,
      refused: { 1: /another cluster/ },
    },
    {
      what: 'the same node when its cluster was made anew',
      nodes: [primary('db1', 1, 'B'), standby('db2', 3)],
      incumbent: office(0, 3, false),
      winner: 0,
    },
  ];

  for (const { what, nodes, incumbent, isSettled = true, winner, refused = {} } of cases) {
    it(`elects ${what}`, () => {
      const result = elect(nodes, incumbent, 0, isSettled);
      expect(result.winner).toBe(winner);
      expect([...result.refusals.keys()].sort()).toEqual(Object.keys(refused).map(Number));
      for (const [index, pattern] of Object.entries(refused))
        expect(result.refusals.get(Number(index))).toMatch(pattern);
    });
  }
});
