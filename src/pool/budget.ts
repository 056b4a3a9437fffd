/**
 * How many connections one PostgreSQL server can spare for all pools of this process together: max_db_connections,
 * or what the server itself says (topology). A pool with waiters may take an idle connection's place from another.
 */
export interface BudgetMember {
  /** Closes an idle connection that nobody waits for; false if there is none. The place is given back at once. */
  yieldIdle(): boolean;
}

export class NodeBudget {
  /** Infinity until the server was asked. */
  limit = Infinity;
  private taken = 0;
  private readonly members = new Set<BudgetMember>();

  get used(): number {
    return this.taken;
  }

  join(member: BudgetMember): void {
    this.members.add(member);
  }

  leave(member: BudgetMember): void {
    this.members.delete(member);
  }

  /** A place for one connection, if need be one that another pool leaves idle. */
  tryTake(forWhom: BudgetMember): boolean {
    if (this.taken < this.limit) {
      this.taken++;
      return true;
    }
    for (const member of this.members) {
      if (member !== forWhom && member.yieldIdle() && this.taken < this.limit) {
        this.taken++;
        return true;
      }
    }
    return false;
  }

  give(): void {
    this.taken--;
  }
}
