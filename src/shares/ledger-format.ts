/**
 * The ledger of a server as text, in Redis. What is read there may be anything: numbers are within bounds, or it is no ledger.
 * Used by redis-ledgers.ts.
 */
import type { Ledger, Member } from './types.ts';
import { mostWeirs } from './decide.ts';

const mostConnections = 1_000_000;
const mostPids = 10_000;
const latestMs = 1e15;
const version = 1;

export function formatLedger({ sinceMs, lastMs, run, members }: Ledger): string {
  const rows = Array.from(members.values(), (member) => [
    ...[member.id, member.seq, member.limit, member.open, member.need, member.want, member.budget ?? null],
    ...[member.pids.slice(0, mostPids), member.lastMs, member.absentMs ?? null, member.isLeaving],
  ]);
  return JSON.stringify([version, sinceMs, lastMs, run, rows]);
}

/** @returns undefined: that is no ledger */
export function parseLedger(text: string): Ledger | undefined {
  try {
    const [is, sinceMs, lastMs, run, rows] = listOf(JSON.parse(text), 5);
    if (is !== version) return undefined;
    const members = listOf(rows, 0, mostWeirs).map((row) => memberOf(row));
    return {
      sinceMs: whole(sinceMs, latestMs),
      lastMs: whole(lastMs, latestMs),
      run: word(run, /^\w{0,64}$/),
      members: new Map(members.map((member) => [member.id, member])),
    };
  } catch {
    return undefined;
  }
}

function memberOf(row: unknown): Member {
  const [id, seq, limit, open, need, want, budget, pids, lastMs, absentMs, isLeaving] = listOf(row, 11);
  return {
    id: word(id, /^[0-9a-f]{12}$/),
    seq: whole(seq, latestMs),
    limit: whole(limit, mostConnections),
    open: whole(open, mostConnections),
    need: whole(need, mostConnections),
    want: whole(want, mostConnections),
    budget: budget === null ? undefined : whole(budget, mostConnections),
    pids: listOf(pids, 0, mostPids).map((pid) => whole(pid, 2 ** 31)),
    lastMs: whole(lastMs, latestMs),
    absentMs: absentMs === null ? undefined : whole(absentMs, latestMs),
    isLeaving: isLeaving === true,
  };
}

function listOf(value: unknown, least: number, most = least): readonly unknown[] {
  if (!Array.isArray(value) || value.length < least || value.length > most) throw new Error('not a list');
  return value;
}

function whole(value: unknown, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > most)
    throw new Error('not a number');
  return value;
}

function word(value: unknown, form: RegExp): string {
  if (typeof value !== 'string' || !form.test(value)) throw new Error('not a word');
  return value;
}
