/**
 * Finds out whether the server of a replication connection is gone while its socket is not read, or does not take
 * data: its end would go unnoticed, and a walsender cannot be probed with a message. So `whyGone` asks elsewhere;
 * twice in a row, because the server may only be slow. Called by replication.ts.
 */

/** Seconds between two questions. */
const askEverySeconds = 3;

export class StuckServer {
  private readonly whyGone: () => Promise<string | undefined>;
  private readonly isGone: (why: string) => void;
  /** How long the connection has been stuck, in seconds. */
  private seconds = 0;
  private isAsking = false;
  /** How often in a row `whyGone` gave a reason. */
  private timesGone = 0;

  /**
   * @param whyGone resolves to why the server is gone; undefined: it is there, or that is not known. Never rejects.
   * @param isGone called when it is certain
   */
  constructor(whyGone: () => Promise<string | undefined>, isGone: (why: string) => void) {
    this.whyGone = whyGone;
    this.isGone = isGone;
  }

  /** Called about once a second. @param isStuck the socket is not read, or does not take data */
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
