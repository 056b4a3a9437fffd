/**
 * How many connections one PostgreSQL server can spare for all pools of this process together, as the server itself says
 * (topology); and, inside of that, how many one database may have there (max_db_connections). A pool with waiters may
 * take an idle connection's place from another.
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
  private readonly whole: NodeBudget | undefined;

  /** @param whole what this one is a part of: a place here is a place there */
  constructor(whole?: NodeBudget) {
    this.whole = whole;
  }

  get used(): number {
    return this.taken;
  }

  /** What there is no place in any more: this part, or the whole. */
  get shortage(): 'part' | 'whole' | undefined {
    if (this.taken >= this.limit) return this.whole === undefined ? 'whole' : 'part';
    return this.whole?.shortage;
  }

  join(member: BudgetMember): void {
    this.members.add(member);
    this.whole?.join(member);
  }

  leave(member: BudgetMember): void {
    this.members.delete(member);
    this.whole?.leave(member);
  }

  /** A place for one connection, if need be one that another pool leaves idle. */
  tryTake(forWhom: BudgetMember): boolean {
    if (!this.hasRoom(forWhom) || this.whole?.tryTake(forWhom) === false) return false;
    this.taken++;
    return true;
  }

  private hasRoom(forWhom: BudgetMember): boolean {
    if (this.taken < this.limit) return true;
    for (const member of this.members) {
      if (member !== forWhom && member.yieldIdle() && this.taken < this.limit) return true;
    }
    return false;
  }

  give(): void {
    this.taken--;
    this.whole?.give();
  }
}
