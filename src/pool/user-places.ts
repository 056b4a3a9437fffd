/**
 * The connections of one user to one server, over the pools of all databases: no more of them than max_user_connections. A pool
 * of the user that needs one makes another pool of the user close an idle one, or takes turns with it. Used by budget.ts.
 */
import type { BudgetMember } from './budget-types.ts';
import { starvedOf, takeTurn, turnMs } from './turns.ts';

export class UserPlaces {
  /** Infinity: no limit. */
  limit = Infinity;
  taken = 0;
  readonly members = new Set<BudgetMember>();

  get isFull(): boolean {
    return this.taken >= this.limit;
  }

  /** False: no place is free, and none can be made free. */
  makeRoom(forWhom: Pick<BudgetMember, 'starvedMs'>): boolean {
    if (!this.isFull) return true;
    for (const member of this.members) if (member !== forWhom && member.yieldIdle() && !this.isFull) return true;
    if (forWhom.starvedMs >= turnMs) takeTurn(this.members);
    return false;
  }

  /** The limit was lowered: closes idle connections above it. */
  enforce(): void {
    for (const member of this.members) while (this.taken > this.limit && member.closeIdle());
  }
}

/** Those of all users of one server. */
export class PlacesOfUsers {
  private readonly users = new Map<string, UserPlaces>();

  /** Undefined: the user has no pool. */
  find(user: string | undefined): UserPlaces | undefined {
    return user === undefined ? undefined : this.users.get(user);
  }

  join(member: BudgetMember): void {
    let places = this.users.get(member.user);
    if (places === undefined) this.users.set(member.user, (places = new UserPlaces()));
    places.members.add(member);
  }

  leave(member: BudgetMember): void {
    this.users.get(member.user)?.members.delete(member);
    this.tidy(member.user);
  }

  give(user: string): void {
    const places = this.users.get(user);
    if (places === undefined) return;
    places.taken--;
    this.tidy(user);
  }

  setLimit(user: string, limit: number): void {
    const places = this.users.get(user);
    if (places === undefined) return;
    places.limit = limit;
    places.enforce();
  }

  /** Whoever waits for a place of the user may look again. */
  retry(user: string): void {
    const places = this.users.get(user);
    if (places === undefined || places.limit === Infinity) return;
    for (const member of starvedOf(places.members)) if (!places.isFull) member.retry();
    for (const member of places.members) if (!places.isFull && member.waiting > 0) member.retry();
  }

  /** A connection outside of the pools is about to take a place; call tidy() if it gets none. */
  enter(user: string, limit: number): void {
    let places = this.users.get(user);
    if (places === undefined) this.users.set(user, (places = new UserPlaces()));
    places.limit = limit;
  }

  /** Forgets a user who has nothing. */
  tidy(user: string): void {
    const places = this.users.get(user);
    if (places?.members.size === 0 && places.taken === 0) this.users.delete(user);
  }
}
