/**
 * Waits for a place for a connection outside of the pools (replication), as a pool does for its own. Made by leased-budget.ts.
 */
import type { BudgetMember, PoolName } from '../pool/budget-types.ts';

export interface ReservationOptions {
  readonly name: PoolName;
  tryTake(): boolean;
  /** It has its place. */
  reserved(): void;
}

export class Reservation implements BudgetMember {
  readonly database: string;
  readonly user: string;
  readonly node: string;
  readonly limit = Infinity;
  readonly min = 0;
  readonly lastResize = undefined;
  readonly wantedForMin = 0;
  readonly starvedMs = 0;
  private readonly options: ReservationOptions;
  private state: 'waiting' | 'reserved' | 'over' = 'waiting';

  constructor(options: ReservationOptions) {
    this.options = options;
    const { database, user, node } = options.name;
    this.database = database;
    this.user = user;
    this.node = node;
  }

  get inUse(): number {
    return Number(this.state === 'reserved');
  }

  takePeakInUse(): number {
    return this.inUse;
  }

  get waiting(): number {
    return Number(this.state === 'waiting');
  }

  get wanted(): number {
    return this.waiting;
  }

  retry(): void {
    if (this.state !== 'waiting' || !this.options.tryTake()) return;
    this.state = 'reserved';
    this.options.reserved();
  }

  /** False: it has its place, or is over. */
  giveUp(): boolean {
    if (this.state !== 'waiting') return false;
    this.state = 'over';
    return true;
  }

  /** False: it has none any more. */
  release(): boolean {
    if (this.state !== 'reserved') return false;
    this.state = 'over';
    return true;
  }

  yieldIdle(): boolean {
    return false;
  }

  yieldNext(): boolean {
    return false;
  }

  keepNext(): void {
    return undefined;
  }

  closeIdle(): boolean {
    return false;
  }

  keepAtLeast(): void {
    return undefined;
  }

  keepAtMost(): void {
    return undefined;
  }
}
