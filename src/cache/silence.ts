/**
 * Counts for how many seconds in a row one connection to Redis has brought no answer although commands were waiting for one.
 * Made by redis-connection.ts, one per connection.
 */
export class Silence {
  private unanswered = 0;
  private answers = 0;
  private answersBefore = 0;
  private silentSeconds = 0;

  sent(): void {
    this.unanswered++;
  }

  answered(): void {
    this.unanswered--;
    this.answers++;
  }

  /** To be called once a second. @returns for how many of these calls in a row there was no answer */
  pulse(): number {
    this.silentSeconds = this.unanswered > 0 && this.answers === this.answersBefore ? this.silentSeconds + 1 : 0;
    this.answersBefore = this.answers;
    return this.silentSeconds;
  }
}
