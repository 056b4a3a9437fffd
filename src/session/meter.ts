/**
 * What a client has used of its limits: the limits that concern it, and how many of its bytes were counted. A session has one
 * if there were limits at its beginning, or when it sent its next statement. Used by request/limited.ts.
 */
import type { Account, StatementLimiter, Who } from '../limits/types.ts';

export class Meter {
  private readonly who: Who;
  private account: Account | undefined;
  private countedBytes: number;
  /** The first Execute that comes for the batch that was sent last is counted already. */
  isPrepaid = false;

  /** @param bytes received and sent so far: they are not counted */
  constructor(who: Who, bytes: number) {
    this.who = who;
    this.countedBytes = bytes;
  }

  accountIn(limiter: StatementLimiter): Account {
    return (this.account = limiter.accountOf(this.who, this.account));
  }

  /** @param bytes received and sent so far */
  countBytes(limiter: StatementLimiter, bytes: number): void {
    const more = bytes - this.countedBytes;
    this.countedBytes = bytes;
    if (more > 0) limiter.spendBytes(this.accountIn(limiter), more);
  }
}
