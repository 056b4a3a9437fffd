/**
 * Numbers the commands to Redis in the order of sending. After a loss of Redis, or when what was learned from it no
 * longer holds, answers to earlier commands are not used. Used by redis-sync.ts and peers.ts.
 */
export class CommandNumbers {
  private last = 0;
  /** Answers to commands below this number are not used. */
  private validFrom = 0;

  /** The number of a command that is about to be sent. */
  next(): number {
    return ++this.last;
  }

  /** No answer is used until `acceptFromNow`. */
  refuseAll(): void {
    this.validFrom = Infinity;
  }

  acceptFromNow(): void {
    this.validFrom = this.last + 1;
  }

  isAccepted(command: number): boolean {
    return command >= this.validFrom;
  }
}
