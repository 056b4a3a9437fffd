/**
 * Whether anybody uses a database: how many clients are logged in to it, and when the last one was. Decides whether its catalog
 * is read, and when a database of "*" is forgotten. Kept by database.ts.
 */

/** How long after the last use the catalog is still read. */
const catalogKeptMs = 10_000;

export class Usage {
  /** Clients that are logged in. */
  clients = 0;
  /** When the last client left, or the database was made. */
  idleSinceMs: number;
  /** When a client was last logged in or about to be. */
  private usedAtMs = -Infinity;

  constructor(nowMs: number) {
    this.idleSinceMs = nowMs;
  }

  /** Called when a client is about to log in. */
  begin(nowMs: number): void {
    this.usedAtMs = nowMs;
  }

  /** To be called about ten times a second. */
  sweep(nowMs: number): void {
    if (this.clients > 0) this.idleSinceMs = this.usedAtMs = nowMs;
  }

  isRecent(nowMs: number): boolean {
    return this.clients > 0 || nowMs - this.usedAtMs < catalogKeptMs;
  }
}
