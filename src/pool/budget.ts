/**
 * How many connections all pools of this process may have to one node: as many as the node can spare, which topology/ asks it;
 * and for one database no more of them than max_db_connections. A pool that needs a connection makes another pool close an
 * idle one. Used by logins.ts; made by app/.
 */
/** A pool, as the other pools of the node see it. */
export interface BudgetMember {
  /** Closes an idle connection, which gives its place back at once. False: there is none that the pool can do without. */
  yieldIdle(): boolean;
}

export class NodeBudget {
  /** Infinity until the node was asked. */
  limit = Infinity;
  private taken = 0;
  private readonly members = new Set<BudgetMember>();
  private readonly ofNode: NodeBudget | undefined;

  /** @param ofNode of the budget of one database: that of the whole node, in which each of its connections counts, too */
  constructor(ofNode?: NodeBudget) {
    this.ofNode = ofNode;
  }

  get used(): number {
    return this.taken;
  }

  /** Which limit is reached: that of the database, or that of the node. */
  get shortage(): 'database' | 'node' | undefined {
    if (this.taken >= this.limit) return this.ofNode === undefined ? 'node' : 'database';
    return this.ofNode?.shortage;
  }

  join(member: BudgetMember): void {
    this.members.add(member);
    this.ofNode?.join(member);
  }

  leave(member: BudgetMember): void {
    this.members.delete(member);
    this.ofNode?.leave(member);
  }

  /** Takes a place for one connection, if need be that of an idle connection of another pool. False: there is none. */
  tryTake(forWhom: BudgetMember): boolean {
    if (!this.makeRoom(forWhom) || this.ofNode?.tryTake(forWhom) === false) return false;
    this.taken++;
    return true;
  }

  private makeRoom(forWhom: BudgetMember): boolean {
    if (this.taken < this.limit) return true;
    for (const member of this.members) {
      if (member !== forWhom && member.yieldIdle() && this.taken < this.limit) return true;
    }
    return false;
  }

  /** A connection is closed, or its log-in has failed. */
  give(): void {
    this.taken--;
    this.ofNode?.give();
  }
}
