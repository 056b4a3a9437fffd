/**
 * Divides the connections that a server can spare among Weirs, max-min fair. Pure: the ledger and the time come from Redis, and
 * the new ledger goes there. What a Weir may have counts until it has said that it lets itself have less; what a silent Weir may
 * have, until its connections are seen to be gone. Called by exchange.ts.
 */
import { shareOut } from '../sizing/share-out.ts';
import type { Answer, Decision, Late, Ledger, Member, Said, Seen, ShareReason } from './types.ts';

/** A Weir that has said nothing for so long is late. The answer of Redis holds for as long. */
export const validMs = 3_000;
/** A Weir may use what it was granted for so long after its monitor has shown itself at the server, without Redis, too. */
export const shownMs = 3_000;
/** A late Weir whose monitor was not seen for so long opens nothing any more. Longer than shownMs, in case a clock jumps. */
const absentMs = 7_000;
export const mostWeirs = 200;
/** With fewer connections than Weirs that have clients, other ones have them after so long. */
export const turnMs = 5_000;

type Members = Map<string, Member>;

/** @param remembered the last ledger that the Weir has seen: who is not in this one any more may still have connections */
export function decide(
  before: Ledger | undefined,
  run: string,
  said: Said,
  nowMs: number,
  remembered?: Ledger,
): Decision {
  const sinceMs = keptSince(before, run, nowMs);
  const isNew = nowMs - sinceMs < validMs;
  const members = membersOf(before, nowMs, sinceMs === nowMs);
  if (isNew && remembered !== undefined) recall(members, remembered, said.id, nowMs);
  const known = members.get(said.id);
  if (known !== undefined && said.seq <= known.seq) return { kind: 'overtaken' };
  if (known === undefined && members.size >= mostWeirs) return { kind: 'full' };
  if (said.seen !== undefined) noteSeen(members, said.id, said.seen, nowMs);
  const { seen: _seen, ...own } = said;
  members.set(said.id, { ...own, lastMs: nowMs, absentMs: undefined });
  const budget = budgetOf(members, nowMs);
  const { limit, why } = limitOf(said, members, budget, isNew, nowMs);
  members.set(said.id, { ...own, limit: Math.max(said.limit, limit), lastMs: nowMs, absentMs: undefined });
  for (const [id, member] of members) if (isLate(member, nowMs) && reserved(member) === 0) members.delete(id);
  const ledger = { sinceMs, lastMs: nowMs, run, members };
  return { kind: 'answer', ledger, answer: answerOf(said.id, members, { limit, why, budget }, nowMs) };
}

/** What counts against the budget. */
export function reserved({ limit, open }: Pick<Member, 'limit' | 'open'>): number {
  return Math.max(limit, open);
}

/** The clock of Redis may have jumped: then it is not known for how long a monitor was not seen. */
function membersOf(before: Ledger | undefined, nowMs: number, isNew: boolean): Members {
  const members: Members = new Map();
  for (const [id, member] of before?.members ?? [])
    members.set(id, {
      ...member,
      lastMs: Math.min(member.lastMs, nowMs),
      absentMs: isNew ? undefined : member.absentMs,
    });
  return members;
}

/** What a ledger that was lost, or an old copy of it, does not say. Who is alive says more within moments. */
function recall(members: Members, remembered: Ledger, teller: string, nowMs: number): void {
  for (const [id, member] of remembered.members) {
    const known = members.get(id);
    if (id === teller || (known !== undefined && known.seq >= member.seq)) continue;
    if (known === undefined && members.size >= mostWeirs) return;
    members.set(id, { ...member, lastMs: nowMs - validMs - 1, absentMs: undefined });
  }
}

/** A ledger that nobody has written for a while may be an old copy, or the clock has jumped. */
function keptSince(before: Ledger | undefined, run: string, nowMs: number): number {
  if (before?.run !== run || nowMs < before.lastMs || nowMs - before.lastMs > validMs) return nowMs;
  return before.sinceMs;
}

function isLate({ lastMs, isLeaving }: Member, nowMs: number): boolean {
  return isLeaving || nowMs - lastMs > validMs;
}

function noteSeen(members: Members, looker: string, { askedMs, monitors, absent }: Seen, nowMs: number): void {
  for (const { id, limit } of monitors) {
    const member = members.get(id);
    if (id === looker || limit === 0) continue;
    if (member === undefined) {
      if (members.size < mostWeirs) members.set(id, unknownMember(id, limit, nowMs));
    } else if (isLate(member, nowMs) && !member.isLeaving) {
      members.set(id, { ...member, limit: Math.max(member.limit, limit), absentMs: undefined });
    }
  }
  for (const { id, seq, left } of absent) {
    const member = members.get(id);
    if (member?.seq !== seq || !isLate(member, nowMs)) continue;
    const since = member.absentMs ?? nowMs;
    const opensNone = member.isLeaving || askedMs - since >= absentMs;
    const gone = opensNone ? { limit: 0, open: Math.min(reserved(member), left) } : {};
    members.set(id, { ...member, ...gone, absentMs: since });
  }
}

/** Its monitor is logged in at the server, and the ledger has lost it, or Redis has never heard of it. */
function unknownMember(id: string, limit: number, nowMs: number): Member {
  const nothing = { open: 0, need: 0, want: 0, budget: undefined, pids: [], isLeaving: false };
  return { id, seq: 0, limit, ...nothing, lastMs: nowMs - validMs - 1, absentMs: undefined };
}

/** Of Weirs that believe in different budgets, the smallest one. Late ones count if no other knows. */
function budgetOf(members: Members, nowMs: number): number | undefined {
  const least = (those: readonly Member[]): number | undefined => {
    const known = those.flatMap(({ budget }) => budget ?? []);
    return known.length === 0 ? undefined : Math.min(...known);
  };
  const all = [...members.values()];
  return least(all.filter((member) => !isLate(member, nowMs))) ?? least(all);
}

function limitOf(
  said: Said,
  members: Members,
  budget: number | undefined,
  isNew: boolean,
  nowMs: number,
): Pick<Answer, 'limit' | 'why'> {
  if (said.isLeaving) return { limit: 0, why: 'leaving' };
  const has = reserved(said);
  const asItIs = Math.min(said.limit, Math.max(said.open, 1));
  if (isNew) return { limit: asItIs, why: 'ledger is new' };
  // One connection may be needed to find out.
  if (budget === undefined) return { limit: Math.max(asItIs, 1), why: 'budget unknown' };
  let ofOthers = 0;
  let ofLate = 0;
  for (const member of members.values()) {
    if (member.id !== said.id) ofOthers += reserved(member);
    if (isLate(member, nowMs)) ofLate += reserved(member);
  }
  const target = targetOf(said.id, members, Math.max(0, budget - ofLate), nowMs);
  const why: ShareReason = target < Math.max(1, said.want) ? 'fair share' : 'need met';
  if (target <= has) return { limit: target, why };
  const limit = Math.max(has, Math.min(target, budget - ofOthers));
  return { limit, why: limit < target ? 'others close first' : why };
}

/** Everybody gets one connection, then what its clients need, then what it has open, then what it would like to have. */
function targetOf(id: string, members: Members, cap: number, nowMs: number): number {
  const living = [...members.values()].filter((member) => !isLate(member, nowMs));
  const inOrder = inTurn(living, cap, nowMs);
  const claims = inOrder.map(({ need, want, open }, index) => ({
    floor: index < cap ? 1 : 0,
    need,
    want: Math.max(need, want, open),
    limit: open,
    busy: 0,
  }));
  return shareOut(claims, cap)[inOrder.findIndex((member) => member.id === id)] ?? 0;
}

/** Those that have clients come first. With fewer connections than these, they take turns. */
function inTurn(living: readonly Member[], cap: number, nowMs: number): readonly Member[] {
  const byId = [...living].sort((a, b) => (a.id < b.id ? -1 : 1));
  const busy = byId.filter(({ need }) => need > 0);
  const first = busy.length > cap ? (Math.floor(nowMs / turnMs) * cap) % busy.length : 0;
  return [...busy.slice(first), ...busy.slice(0, first), ...byId.filter(({ need }) => need <= 0)];
}

function answerOf(
  asker: string,
  members: Members,
  share: Pick<Answer, 'limit' | 'why' | 'budget'>,
  nowMs: number,
): Answer {
  const late: Late[] = [];
  const claimed: number[] = [];
  let weirs = 0;
  for (const member of members.values()) {
    const { id, seq, pids, lastMs, absentMs: since } = member;
    if (isLate(member, nowMs)) {
      const absentForMs = since === undefined ? undefined : nowMs - since;
      if (id !== asker) late.push({ id, seq, pids, silentMs: nowMs - lastMs, absentForMs });
    } else {
      weirs++;
      if (id !== asker) claimed.push(...pids);
    }
  }
  return { ...share, weirs, atMs: nowMs, late, claimed };
}
