/**
 * The shares of a Weir that is one process: connects the book of shares with the places of this process. Made by
 * shared-budget.ts.
 */
import type { NodeBudget, NodeBudgets, ShareOfNode } from '../pool/budget.ts';
import { ShareBook, wishOf, type Places } from '../shares/share-book.ts';
import type { Usage } from '../shares/types.ts';
import { addressOfKey } from '../util/server-key.ts';

/** A moment without clients is not taken for the end of a load. */
const samples = 3;

interface Shared {
  readonly budget: NodeBudget;
  readonly needs: number[];
}

export interface LocalSharesOptions {
  readonly budgets: NodeBudgets;
  readonly nowMs: () => number;
  /** Connections are short. */
  short(server: string): void;
  whenGone(server: string, processId: number): Promise<void>;
}

export class LocalShares implements Places {
  readonly book: ShareBook;
  private readonly options: LocalSharesOptions;
  private readonly servers = new Map<string, Shared>();

  constructor(options: LocalSharesOptions) {
    this.options = options;
    this.book = new ShareBook(this, options.nowMs);
  }

  /** From now on, there are only as many connections to the server as the book allows. */
  begin(server: string): void {
    if (this.servers.has(server)) return;
    const budget = this.budgetOf(server);
    this.servers.set(server, { budget, needs: [] });
    this.book.begin(server);
    budget.share = this.shareOf(server, (open) => this.book.limit(server, open) ?? Infinity);
  }

  /** Places are exact, and the limit is that of the budget itself. */
  beginFixed(server: string, limit: number): void {
    this.end(server);
    const budget = this.budgetOf(server);
    budget.share ??= this.shareOf(server, () => Infinity);
    holdTo(budget, limit);
  }

  end(server: string): void {
    const budget = this.budgetOf(server);
    budget.share = undefined;
    budget.closeAbove(Infinity);
    if (this.servers.delete(server)) void this.book.drop(server);
  }

  private shareOf(server: string, limit: (open: number) => number): ShareOfNode {
    return {
      limit,
      short: () => this.options.short(server),
      whenGone: (processId) => this.options.whenGone(server, processId),
    };
  }

  private budgetOf(server: string): NodeBudget {
    return this.options.budgets.ofServer(addressOfKey(server));
  }

  /* ---- for the book ---- */

  usage(server: string): Usage {
    const { budget, needs } = this.servers.get(server) ?? { budget: this.budgetOf(server), needs: [] };
    const { need: now, most } = budget.demand();
    needs.push(now);
    if (needs.length > samples) needs.shift();
    return { open: budget.used, pids: budget.pids(), ...wishOf(Math.max(...needs), most) };
  }

  open(server: string): number {
    return this.budgetOf(server).used;
  }

  pids(server: string): readonly number[] {
    return this.budgetOf(server).pids();
  }

  changed(server: string): void {
    const { budget } = this.servers.get(server) ?? {};
    const limit = budget === undefined ? undefined : this.book.limit(server, budget.used);
    if (budget === undefined || limit === undefined) return;
    holdTo(budget, limit);
  }
}

function holdTo(budget: NodeBudget, limit: number): void {
  budget.limit = limit;
  budget.closeAbove(limit);
  budget.retry();
}
