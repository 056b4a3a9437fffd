/**
 * Whether the other end of one connection still answers: asked once a second, it counts how often in a row nothing had come
 * although something was owed. One per connection to Redis; used by in-step.ts.
 */
export class Silence {
  private owed = 0;
  private answers = 0;
  private answersBefore = 0;
  private silentPulses = 0;

  sent(): void {
    this.owed++;
  }

  answered(): void {
    this.owed--;
    this.answers++;
  }

  /** To be called at each pulse. @returns for how many of them in a row nothing has been heard */
  pulse(): number {
    this.silentPulses = this.owed > 0 && this.answers === this.answersBefore ? this.silentPulses + 1 : 0;
    this.answersBefore = this.answers;
    return this.silentPulses;
  }
}
