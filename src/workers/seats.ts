/**
 * How many clients the whole Weir has let in: max_client_conn and the limits of clients of users and databases count for all
 * workers together. Made by the supervisor.
 */
import { ClientCounts, type ClientLimits, type Entry, type Guest } from '../util/client-counts.ts';

/** A worker, as far as it matters here. */
export interface Seated {
  /** All that it has let in, and how many of them of each user and database (guestKey). */
  entered: number;
  readonly guests: Map<string, number>;
}

const guestKey = ({ user, database }: Guest): string => JSON.stringify([user, database]);

function guestOfKey(key: string): Guest {
  const [user = '', database = ''] = JSON.parse(key) as readonly string[];
  return { user, database };
}

export class Seats {
  private readonly limits: () => ClientLimits;
  private readonly counts = new ClientCounts();

  constructor(limits: () => ClientLimits) {
    this.limits = limits;
  }

  tryEnter(worker: Seated, guest?: Guest): Entry {
    const entry = this.counts.tryEnter(guest, this.limits());
    if (entry === true) this.note(worker, guest, 1);
    return entry;
  }

  /** The client was let in by another worker, which tells that it has left there. */
  arrived(worker: Seated, guest?: Guest): void {
    this.counts.add(guest, 1);
    this.note(worker, guest, 1);
  }

  /** Its clients were let in by the supervisor before. */
  goOn(worker: Seated): void {
    this.countAll(worker, 1);
  }

  /** @param who a client, or how many of whom no more is known */
  leave(worker: Seated, who: Guest | number): void {
    const guest = typeof who === 'number' ? undefined : who;
    const known = guest === undefined ? worker.entered : (worker.guests.get(guestKey(guest)) ?? 0);
    const left = Math.min(typeof who === 'number' ? who : 1, known);
    this.counts.add(guest, -left);
    this.note(worker, guest, -left);
  }

  /** The worker has ended, and its clients with it. */
  leaveAll(worker: Seated): void {
    this.countAll(worker, -1);
    worker.entered = 0;
    worker.guests.clear();
  }

  private countAll({ entered, guests }: Seated, by: 1 | -1): void {
    let others = entered;
    for (const [key, count] of guests) {
      this.counts.add(guestOfKey(key), by * count);
      others -= count;
    }
    this.counts.add(undefined, by * others);
  }

  private note(worker: Seated, guest: Guest | undefined, by: number): void {
    worker.entered += by;
    if (guest === undefined) return;
    const key = guestKey(guest);
    const count = (worker.guests.get(key) ?? 0) + by;
    if (count > 0) worker.guests.set(key, count);
    else worker.guests.delete(key);
  }
}
