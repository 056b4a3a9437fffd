/**
 * Counts the seconds in a row in which one connection to Redis brought no answer although commands were waiting. Made
 * by redis-connection.ts, one per connection.
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

  /** Call once a second. @returns number of calls in a row without an answer */
  pulse(): number {
    this.silentSeconds = this.unanswered > 0 && this.answers === this.answersBefore ? this.silentSeconds + 1 : 0;
    this.answersBefore = this.answers;
    return this.silentSeconds;
  }
}
