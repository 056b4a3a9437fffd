/**
 * The places that this worker has of one pool, and what it tells the supervisor about its load. Used by leased-places.ts.
 */
import type { BudgetMember, Shortage } from '../pool/budget-types.ts';
import type { LeaseLoad, LeasedPool, LeaseSize } from '../sizing/lease-types.ts';

/** What it needs and wants is the most of so many samples, so that a moment without clients is not taken for the end of a load. */
const samples = 3;

export class LeaseAccount {
  readonly pool: LeasedPool;
  /** Pools that may open connections: one, as a rule. */
  readonly members = new Set<BudgetMember>();
  /** Pools that were closed and still have connections. */
  readonly leaving = new Set<BudgetMember>();
  /** Places: granted and not used yet; of log-ins; of open connections; of those that are being closed. */
  spare = 0;
  loggingIn = 0;
  open = 0;
  closing = 0;
  /** What the supervisor has said (LeaseDecision). */
  readonly recall = { keep: Infinity, isNext: false };
  floor = 0;
  shortage: Shortage | undefined;
  /** The size that the supervisor knows. */
  size: LeaseSize | undefined;
  /** The supervisor knows that the worker wants places, and has not granted any since. */
  isAsking = false;
  private samples: { need: number; wanted: number }[] = [];
  private told: LeaseLoad | undefined;

  constructor(pool: LeasedPool) {
    this.pool = pool;
  }

  get places(): number {
    return this.spare + this.loggingIn + this.open + this.closing;
  }

  get isUnused(): boolean {
    return this.places === 0 && this.members.size === 0;
  }

  /** It has no places and needs none, as the supervisor knows. */
  get isQuiet(): boolean {
    return this.places === 0 && !this.isAsking && (this.told?.need ?? 0) === 0;
  }

  /** What to tell the supervisor. Undefined: it knows. @param isSampled a moment has passed since the last call with true */
  news(isSampled: boolean): LeaseLoad | undefined {
    const load = this.load(isSampled);
    this.isAsking = load.wanted + load.wantedForMin > 0;
    const { told } = this;
    const isKnown =
      told?.need === load.need &&
      told.closing === load.closing &&
      isAbout(told.wanted, load.wanted) &&
      told.wantedForMin === load.wantedForMin;
    if (isKnown) return undefined;
    return (this.told = load);
  }

  /** What was told is out of date, whatever the load is. */
  forgetTold(): void {
    this.told = undefined;
    this.isAsking = false;
    for (const sample of this.samples) sample.wanted = 0;
  }

  private load(isSampled: boolean): LeaseLoad {
    let need = 0;
    let limit = 0;
    let wanted = 0;
    let wantedForMin = 0;
    for (const member of this.members) {
      need += member.takePeakInUse() + member.waiting;
      limit = Math.max(limit, member.limit);
      wanted += member.wanted;
      wantedForMin += member.wantedForMin;
    }
    need = Math.min(need, limit);
    for (const member of this.leaving) {
      need += member.inUse;
      if (member.inUse === 0) this.leaving.delete(member);
    }
    const last = isSampled ? undefined : this.samples.at(-1);
    if (last === undefined) this.samples = [...this.samples.slice(1 - samples), { need, wanted }];
    else Object.assign(last, { need: Math.max(last.need, need), wanted: Math.max(last.wanted, wanted) });
    return {
      need: Math.max(...this.samples.map((sample) => sample.need)),
      closing: this.closing,
      wanted: Math.max(...this.samples.map((sample) => sample.wanted)),
      wantedForMin,
    };
  }

  /** Closes idle connections that others need. True: it has no more than it may keep. */
  obeyRecall(): boolean {
    const { recall } = this;
    for (const member of this.members) while (this.isAbove(recall.keep) && member.closeIdle());
    return !this.isAbove(recall.keep);
  }

  private isAbove(keep: number): boolean {
    return this.loggingIn + this.open > keep;
  }

  /** Tells the pool what the supervisor has decided. */
  instruct(member: BudgetMember): void {
    let leaving = 0;
    for (const { inUse } of this.leaving) leaving += inUse;
    member.keepAtMost(this.recall.isNext ? Math.max(0, this.recall.keep - leaving) : Infinity);
    member.keepAtLeast(this.floor);
  }
}

/** While a pool is full, the number of clients that wait changes all the time: the supervisor hears when it has doubled or halved. */
function isAbout(told: number, now: number): boolean {
  return now <= 2 * told && told <= 2 * now;
}
