/**
 * How many clients the whole Weir has let in: max_client_conn counts for all workers together. Made by the supervisor.
 */
/** A worker, as far as it matters here. */
export interface Seated {
  entered: number;
}

export class Seats {
  private readonly limit: () => number;
  private taken = 0;

  constructor(limit: () => number) {
    this.limit = limit;
  }

  tryEnter(worker: Seated): boolean {
    if (this.taken >= this.limit()) return false;
    this.taken++;
    worker.entered++;
    return true;
  }

  /** The client was let in by another worker, which tells that it has left there. */
  arrived(worker: Seated): void {
    this.taken++;
    worker.entered++;
  }

  /** Its clients were let in by the supervisor before. */
  goOn(worker: Seated): void {
    this.taken += worker.entered;
  }

  leave(worker: Seated, count: number): void {
    const left = Math.min(count, worker.entered);
    worker.entered -= left;
    this.taken -= left;
  }

  /** The worker has ended, and its clients with it. */
  leaveAll(worker: Seated): void {
    this.leave(worker, worker.entered);
  }
}
