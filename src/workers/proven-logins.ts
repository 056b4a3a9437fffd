/**
 * In the supervisor: the log-ins that clients have proven to any worker, for workers that start later. Holds secrets, which
 * must not be logged. Made by lead.ts.
 */
import type { Proven } from '../auth/types.ts';

/** The oldest are dropped: a worker without them learns them when the user logs in. */
const most = 10_000;

export class ProvenLogins {
  private readonly byUser = new Map<string, Proven>();

  add(proven: Proven): void {
    const key = JSON.stringify([proven.isFromQuery ? proven.database : undefined, proven.user]);
    this.byUser.delete(key);
    this.byUser.set(key, proven);
    if (this.byUser.size <= most) return;
    for (const oldest of this.byUser.keys()) return void this.byUser.delete(oldest);
  }

  all(): Iterable<Proven> {
    return this.byUser.values();
  }
}
