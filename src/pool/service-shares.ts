/**
 * How much of the servers' time each user of a pool has had, so that users who wait at the same time get equal shares of it,
 * not equal numbers of statements. Start-time fair queueing (Goyal, Vin and Cheng, 1996): a user who comes begins where the
 * others are, so nobody saves up time by being away. Used by wait-queue.ts and returns.ts.
 */
import type { ServerConnection } from '../backend/server.ts';

/** So many users are remembered who do not wait. */
const mostUsers = 1_000;

interface Charge {
  readonly user: string;
  /** What was charged when the server was handed out; ms. */
  readonly estimateMs: number;
}

export class ServiceShares {
  private readonly byUser = new Map<string, number>();
  private readonly charges = new WeakMap<ServerConnection, Charge>();
  /** What the user who was served last had had until then; ms. */
  private virtualMs = 0;

  /** Users that are remembered. */
  get users(): number {
    return this.byUser.size;
  }

  /** A user begins to wait who did not before. */
  joined(user: string): void {
    this.byUser.set(user, Math.max(this.hadMs(user), this.virtualMs));
    if (this.byUser.size > mostUsers) this.forget();
  }

  hadMs(user: string): number {
    return this.byUser.get(user) ?? this.virtualMs;
  }

  /** @param estimateMs how long a client has a server on average: what it takes is known when it comes back */
  granted(user: string, estimateMs: number, server?: ServerConnection): void {
    const hadMs = this.hadMs(user);
    this.virtualMs = Math.max(this.virtualMs, hadMs);
    this.byUser.set(user, hadMs + estimateMs);
    if (server !== undefined) this.charges.set(server, { user, estimateMs });
  }

  /** The server has come back. */
  returned(server: ServerConnection, heldMs: number): void {
    const charge = this.charges.get(server);
    if (charge === undefined) return;
    this.charges.delete(server);
    const { user, estimateMs } = charge;
    this.byUser.set(user, Math.max(0, this.hadMs(user) + heldMs - estimateMs));
  }

  /** Who has had no more than the one served last would begin there anyway. */
  private forget(): void {
    for (const [user, hadMs] of this.byUser) if (hadMs <= this.virtualMs) this.byUser.delete(user);
    for (const user of this.byUser.keys()) {
      if (this.byUser.size <= mostUsers) break;
      this.byUser.delete(user);
    }
  }
}
