/**
 * The sizes of pools in the account of leases.ts: which worker is to be told of a change, which is its part of the minimum, and
 * whether what a worker says of a size is news or out of date. Decides on no size itself.
 */
import type { ResizeRecord } from '../pool/types.ts';
import type { Account, PoolRecord, ServerRecord } from './lease-records.ts';
import type { LeaseDecision, LeaseSize, SaidSize } from './lease-types.ts';

export class LeaseSizes {
  private readonly push: (decision: LeaseDecision) => void;
  /** Decisions about sizes that each worker was sent. */
  private readonly sent: Map<number, number>;

  constructor(push: (decision: LeaseDecision) => void, sent: ReadonlyMap<number, number> = new Map()) {
    this.push = push;
    this.sent = new Map(sent);
  }

  /** For the next supervisor. */
  state(): ReadonlyMap<number, number> {
    return this.sent;
  }

  /** For all workers. */
  set(pool: PoolRecord, size: LeaseSize, resize: ResizeRecord | undefined): void {
    this.resize(pool, size, resize);
    for (const account of pool.accounts.values()) if (account.isJoined) this.tell(account);
  }

  /** See Leases.sizeSaid(). */
  said(account: Account, { size, resize, heard }: SaidSize, isStarting: boolean): ResizeRecord | undefined {
    // It does not know yet what was decided meanwhile, and will do that.
    if (heard < account.lastSize) return undefined;
    const { pool } = account;
    if (isStarting && pool.isUsedByOthers(account)) return void this.tell(account);
    const from = pool.own.limit;
    const change = resize === undefined || from === size.limit ? undefined : { ...resize, from, to: size.limit };
    this.resize(pool, size, change);
    return change;
  }

  private resize(pool: PoolRecord, size: LeaseSize, resize: ResizeRecord | undefined): void {
    pool.resize(size);
    pool.lastResize = resize ?? pool.lastResize;
    this.shareMinimum(pool);
  }

  /** Tells the worker what the size is. */
  tell(account: Account): void {
    const { worker, pool } = account;
    account.lastSize = (this.sent.get(worker) ?? 0) + 1;
    this.sent.set(worker, account.lastSize);
    this.push({ kind: 'size', worker, pool: pool.name, size: pool.size, resize: pool.lastResize });
  }

  /** The worker has died. */
  forget(worker: number): void {
    this.sent.delete(worker);
  }

  /** @returns the servers where that is a change */
  *keepWarm(servers: Iterable<ServerRecord>, counts: ReadonlyMap<string, number>): Iterable<ServerRecord> {
    for (const server of servers) {
      for (const [key, pool] of server.pools) {
        const count = counts.get(key) ?? 0;
        if (count === 0 && pool.warm === 0) continue;
        pool.warm = count;
        this.shareMinimum(pool);
        yield server;
      }
    }
  }

  /** The workers that use the pool share its minimum, or what is to be open ahead of a load. */
  shareMinimum(pool: PoolRecord): void {
    const joined = [...pool.accounts.values()].filter(({ isJoined }) => isJoined);
    joined.sort((a, b) => a.worker - b.worker);
    joined.forEach(({ worker, told }, index) => {
      const count = Math.floor(pool.least / joined.length) + (index < pool.least % joined.length ? 1 : 0);
      if (count === told.floor) return;
      told.floor = count;
      this.push({ kind: 'floor', worker, pool: pool.name, count });
    });
  }
}
