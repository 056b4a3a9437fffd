/**
 * Finds out whether a server of a replication connection is gone that is not read, or does not take what it is sent: its end
 * would not be seen, and there is nothing that a walsender takes at any time. So somebody else is asked; twice, for it may
 * only be slow. Called by replication.ts.
 */

/** It is asked about so often (seconds). */
const askEverySeconds = 3;

export class StuckServer {
  private readonly whyGone: () => Promise<string | undefined>;
  private readonly isGone: (why: string) => void;
  /** For so long has it been stuck. */
  private seconds = 0;
  private isAsking = false;
  /** In a row was it said to be gone. */
  private timesGone = 0;

  /**
   * @param whyGone why it is gone; undefined: it is there, or nobody knows. Never rejects.
   * @param isGone called when it is certain
   */
  constructor(whyGone: () => Promise<string | undefined>, isGone: (why: string) => void) {
    this.whyGone = whyGone;
    this.isGone = isGone;
  }

  /** About once a second. */
  sweep(isStuck: boolean): void {
    this.seconds = isStuck ? this.seconds + 1 : 0;
    if (this.seconds > 1 && this.seconds % askEverySeconds === 0) void this.ask();
  }

  private async ask(): Promise<void> {
    if (this.isAsking) return;
    this.isAsking = true;
    const why = await this.whyGone();
    this.isAsking = false;
    this.timesGone = why === undefined || this.seconds === 0 ? 0 : this.timesGone + 1;
    if (why !== undefined && this.timesGone >= 2) this.isGone(why);
  }
}
