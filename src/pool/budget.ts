/**
 * How many connections all pools of this process may have to one node: as many as the node can spare, which topology/ asks it;
 * and for one database no more of them than max_db_connections. A pool that needs a connection makes another pool close an
 * idle one. Used by logins.ts; made by app/.
 */
import type { Budget, BudgetMember, Budgets, Reserved, ServerAddress } from './budget-types.ts';

/** What the budget of a node calls of its members. */
type Yielding = Pick<BudgetMember, 'yieldIdle'>;

export class NodeBudget implements Budget {
  /** Infinity until the node was asked. */
  limit = Infinity;
  private taken = 0;
  private readonly members = new Set<Yielding>();
  private readonly ofNode: NodeBudget | undefined;

  /** @param ofNode of the budget of one database: that of the whole node, in which each of its connections counts, too */
  constructor(ofNode?: NodeBudget) {
    this.ofNode = ofNode;
  }

  get used(): number {
    return this.taken;
  }

  /** Which limit is reached: that of the database, or that of the node. */
  shortage(): 'database' | 'node' | undefined {
    if (this.taken >= this.limit) return this.ofNode === undefined ? 'node' : 'database';
    return this.ofNode?.shortage();
  }

  join(member: Yielding): void {
    this.members.add(member);
    this.ofNode?.join(member);
  }

  leave(member: Yielding): void {
    this.members.delete(member);
    this.ofNode?.leave(member);
  }

  /** Takes a place for one connection, if need be that of an idle connection of another pool. False: there is none. */
  tryTake(forWhom: Yielding): boolean {
    if (!this.makeRoom(forWhom) || this.ofNode?.tryTake(forWhom) === false) return false;
    this.taken++;
    return true;
  }

  private makeRoom(forWhom: Yielding): boolean {
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

  reserve(): Promise<Reserved | undefined> {
    const isTaken = this.tryTake({ yieldIdle: () => false });
    return Promise.resolve(isTaken ? { opened: () => undefined, release: () => this.give() } : undefined);
  }

  /* Members look at their limits themselves, and a place is free as soon as its connection is being closed. */

  resized(): void {
    return undefined;
  }

  opened(): void {
    return undefined;
  }

  vacated(): undefined {
    return undefined;
  }
}

/** The budgets of a Weir that is one process. */
export class NodeBudgets implements Budgets {
  private readonly servers = new Map<string, NodeBudget>();

  ofServer({ host, port }: ServerAddress): NodeBudget {
    const key = `${host}:${port}`;
    let budget = this.servers.get(key);
    if (budget === undefined) this.servers.set(key, (budget = new NodeBudget()));
    return budget;
  }

  ofDatabase(address: ServerAddress): NodeBudget {
    return new NodeBudget(this.ofServer(address));
  }
}
