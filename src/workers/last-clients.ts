/**
 * A worker whose clients have left stays until the last client of all workers has: until then its consoles, CancelRequests and
 * refusals of new clients belong to a Weir that drains. Made by fleet.ts.
 */
export class LastClients<Worker> {
  /** All workers that may have clients. */
  private readonly waitedFor = new Set<Worker>();
  private readonly drained = new Map<Worker, () => void>();

  /** Weir ends. Call it for each worker that serves. */
  waitFor(worker: Worker): void {
    this.waitedFor.add(worker);
  }

  /** This worker has no clients left. Resolves when no worker has; at once for one that is not waited for. */
  whenNoneIsLeft(worker: Worker): Promise<void> {
    if (!this.waitedFor.has(worker)) return Promise.resolve();
    return new Promise((resolve) => {
      this.drained.set(worker, resolve);
      this.look();
    });
  }

  gone(worker: Worker): void {
    this.waitedFor.delete(worker);
    this.look();
  }

  private look(): void {
    for (const worker of this.waitedFor) if (!this.drained.has(worker)) return;
    for (const resolve of this.drained.values()) resolve();
    this.drained.clear();
  }
}
