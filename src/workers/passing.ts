/**
 * How many connections are on their way to one worker. Node passes one at a time and waits for the other process each time, and what
 * is said to the worker comes after those that wait: so only a few may be on their way, the others wait in spread.ts. Made by
 * worker-process.ts.
 */

const mostUnderWay = 8;
const askAfter = 4;
/** A worker whose event loop runs takes a connection within a few ms. */
const stuckAfterMs = 100;

/** 'soon': what is on its way will have arrived in a moment; 'stuck': that takes long. */
export type Room = 'free' | 'soon' | 'stuck';

export interface PassingParts {
  /** Resolves when the worker has all that was passed before. */
  ask(): Promise<unknown>;
  /** There is room again. */
  hasRoom(): void;
  nowMs(): number;
}

export class Passing {
  private readonly parts: PassingParts;
  private underWay = 0;
  private sinceAsked = 0;
  private sentAtMs = 0;

  constructor(parts: PassingParts) {
    this.parts = parts;
  }

  get room(): Room {
    if (this.underWay < mostUnderWay) return 'free';
    return this.parts.nowMs() - this.sentAtMs < stuckAfterMs ? 'soon' : 'stuck';
  }

  /** One more is on its way. */
  sent(): void {
    this.underWay++;
    this.sentAtMs = this.parts.nowMs();
    this.sinceAsked++;
    if (this.sinceAsked === askAfter) void this.confirm();
  }

  private async confirm(): Promise<void> {
    const count = this.sinceAsked;
    this.sinceAsked = 0;
    // Rejected: the worker is gone, and nobody gives it anything any more.
    await this.parts.ask().catch(() => undefined);
    this.underWay -= count;
    this.parts.hasRoom();
  }
}
