/**
 * Chooses which workers close connections for others that have clients waiting: first idle ones beyond the need of their
 * worker, then, within a pool, those of workers that have more than their fair share. Bounded in time, so that connections are
 * not closed and opened all the time. Called by leases.ts; closes nothing itself.
 */
import type { Account, Level, PoolRecord, ServerRecord } from './lease-records.ts';
import { shareOut } from './share-out.ts';

/** A worker that has some connections waits as long before others close one for it: most waits end by themselves. */
const settleMs = 20;
/** A worker that has got none for as long takes turns with those that have, if there are fewer places than workers. */
const turnMs = 100;
/** The same for a pool that has none in any worker, and those of other pools. */
const poolTurnMs = 500;
/** Connections per second and pool that are closed for others: as many as this, or the limit of the pool. */
const leastMovesPerSecond = 20;

/** Max-min fair: what each worker may have of the places that the pool has and those that are free. */
export function findTargets(pool: PoolRecord, nowMs: number): void {
  const { database, server, own } = pool;
  const accounts = [...pool.accounts.values()];
  const held = accounts.reduce((sum, account) => sum + account.held, 0);
  const cap = held + Math.min(own.room, Math.max(0, Math.min(database.room, server.level.room)));
  const isStarved = ({ kept, askedAtMs = nowMs, sinceMs }: Account): boolean =>
    kept <= 0 && nowMs - Math.max(askedAtMs, sinceMs) >= turnMs;
  // What remains after an equal division goes to the first ones.
  accounts.sort((a, b) => {
    const starved = Number(isStarved(b)) - Number(isStarved(a));
    return starved || b.kept - a.kept || b.sinceMs - a.sinceMs || a.worker - b.worker;
  });
  const claims = accounts.map(({ need }) => ({ floor: 0, need, want: need, limit: need, busy: 0 }));
  shareOut(claims, Math.max(0, cap)).forEach((target, index) => ((accounts[index] as Account).target = target));
}

/** Sets `recalled` of every account of the server. */
export class Recalls {
  private readonly server: ServerRecord;
  private readonly nowMs: number;
  /** Connections that the account was asked to close before. */
  private readonly before = new Map<Account, number>();
  /** What workers that wait have been promised in this decision. */
  private readonly coming = new Map<Account, number>();

  constructor(server: ServerRecord, nowMs: number) {
    this.server = server;
    this.nowMs = nowMs;
  }

  decide(): void {
    this.begin();
    for (const pool of this.server.pools.values()) this.enforce(pool.own);
    const pools = [...this.server.pools.values()];
    for (const level of new Set(pools.flatMap(({ database, user }) => [database, user]))) this.enforce(level);
    this.enforce(this.server.level);
    const asking = [...this.server.accounts()].filter(({ wanted }) => wanted > 0);
    asking.sort((a, b) => a.kept - b.kept || (a.askedAtMs ?? 0) - (b.askedAtMs ?? 0) || a.worker - b.worker);
    for (const account of asking) this.serve(account);
  }

  private begin(): void {
    for (const pool of this.server.pools.values()) {
      for (const level of pool.levels) level.incoming = 0;
      earnMoves(pool, this.nowMs);
    }
    for (const account of this.server.accounts()) {
      this.before.set(account, account.recalled);
      account.recalled = 0;
      for (const level of account.pool.levels) level.incoming += account.closing;
    }
  }

  /** A limit was lowered: whoever has most closes connections, although its clients wait. */
  private enforce(level: Level): void {
    if (level.room >= 0) return;
    const members = [...this.server.accounts()].filter(({ pool }) => pool.levels.includes(level));
    let over = -level.room - level.incoming;
    for (const { recalled } of members) over -= recalled;
    for (; over > 0; over--) {
      const most = best(members, (account) => (left(account) > 0 ? [surplus(account), left(account)] : undefined));
      if (most === undefined) return;
      most.recalled++;
    }
  }

  private serve(asking: Account): void {
    if (asking.kept > 0 && this.nowMs - (asking.askedAtMs ?? this.nowMs) < settleMs) return;
    const level = asking.pool.fullLevel;
    if (level === undefined) return;
    for (let count = 0; count < asking.wanted; count++) {
      if (level.incoming > 0) {
        level.incoming--;
        continue;
      }
      const donor = this.donorFor(asking, level);
      if (donor === undefined) return;
      donor.recalled++;
      if (donor.recalled > this.recalledBefore(donor)) donor.pool.moves--;
      this.coming.set(asking, this.comingTo(asking) + 1);
    }
  }

  private donorFor(asking: Account, level: Level): Account | undefined {
    const candidates = level === asking.pool.own ? asking.pool.accounts.values() : this.server.accounts();
    return best(candidates, (donor) => {
      if (donor === asking || left(donor) <= 0 || !donor.pool.levels.includes(level)) return undefined;
      const isAskedBefore = this.recalledBefore(donor) > donor.recalled;
      if (!isAskedBefore && donor.pool.moves < 1) return undefined;
      if (surplus(donor) > 0 && this.maySpare(donor, asking)) return [1, Number(isAskedBefore), surplus(donor)];
      if (this.takesTurn(donor, asking)) return [-1, Number(isAskedBefore), left(donor)];
      if (!this.hasMoreThanItsShare(donor, asking)) return undefined;
      return [0, Number(isAskedBefore), left(donor) - donor.target];
    });
  }

  /** An idle connection: another pool of the server gives none of its minimum. */
  private maySpare({ pool }: Account, asking: Account): boolean {
    if (pool === asking.pool) return true;
    let open = 0;
    for (const account of pool.accounts.values()) open += left(account);
    return open > pool.min;
  }

  /** Differences of one connection stay, unless the other worker has none. */
  private hasMoreThanItsShare(donor: Account, asking: Account): boolean {
    const has = Math.max(0, asking.kept) + this.comingTo(asking);
    if (donor.pool !== asking.pool || left(donor) <= donor.target || has >= asking.target) return false;
    return has === 0 || left(donor) - has >= 2;
  }

  /** The pool gets one connection of another one, although that has clients. A replication connection keeps it for long: it takes no turns. */
  private takesTurn(donor: Account, { pool, waitingSinceMs }: Account): boolean {
    if (donor.pool === pool || pool.name.user === undefined || this.nowMs - waitingSinceMs < poolTurnMs) return false;
    return [...pool.accounts.values()].every((account) => account.kept <= 0 && this.comingTo(account) === 0);
  }

  private comingTo(account: Account): number {
    return this.coming.get(account) ?? 0;
  }

  private recalledBefore(account: Account): number {
    return this.before.get(account) ?? 0;
  }
}

/** Connections that stay when those recalled are closed. */
function left({ kept, recalled }: Account): number {
  return kept - recalled;
}

function surplus(account: Account): number {
  return Math.max(0, left(account) - account.need);
}

function earnMoves(pool: PoolRecord, nowMs: number): void {
  const perSecond = Math.max(leastMovesPerSecond, Number.isFinite(pool.own.limit) ? pool.own.limit : 0);
  const earned = pool.movesAtMs === undefined ? perSecond : ((nowMs - pool.movesAtMs) * perSecond) / 1_000;
  pool.moves = Math.min(perSecond / 2, pool.moves + earned);
  pool.movesAtMs = nowMs;
}

/** The one with the highest rank; ranks are compared number by number. Undefined as a rank: not this one. */
function best(accounts: Iterable<Account>, rank: (account: Account) => number[] | undefined): Account | undefined {
  let found: Account | undefined;
  let highest: number[] = [];
  for (const account of accounts) {
    const ranks = rank(account);
    if (ranks === undefined) continue;
    const at = ranks.findIndex((value, index) => value !== highest[index]);
    if (found !== undefined && (at === -1 || (ranks[at] ?? 0) < (highest[at] ?? 0))) continue;
    found = account;
    highest = ranks;
  }
  return found;
}
