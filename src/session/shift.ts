/**
 * How long one client is worked for at a stretch. A chunk of 64 kB may hold thousands of messages, and libuv reads many chunks
 * before it looks at the next socket: after some milliseconds all others have their turn, and the client goes on behind them.
 * Called by client.ts.
 */

/** Two clients that do this at the same time must not make a third one wait for long. */
const shiftMs = 5;
/** A chunk that has taken so long is the last one of its turn: thirty may come in one. */
const chunkMs = 1;
/** The clock is looked at once in so many messages. */
const messagesPerLook = 16;

export class Shift {
  /** It waits for its next turn. */
  isOver = false;
  private beganAtMs = 0;
  private messages = 0;
  private readonly nowMs: () => number;
  private readonly next: () => void;

  /** @param next called in a later turn of the event loop, each time the shift is over */
  constructor(nowMs: () => number, goOn: () => void) {
    this.nowMs = nowMs;
    this.next = (): void => {
      this.isOver = false;
      goOn();
    };
  }

  /** Bytes of the client are about to be looked at. */
  begin(): void {
    this.messages = 0;
  }

  /** A message was dealt with. */
  worked(): void {
    if (++this.messages % messagesPerLook !== 0 || this.isOver) return;
    const nowMs = this.nowMs();
    if (this.messages === messagesPerLook) this.beganAtMs = nowMs;
    else if (nowMs - this.beganAtMs > shiftMs) this.rest();
  }

  /** All of these bytes were looked at. The next ones may be here already, and there may be many. */
  end(): void {
    if (this.messages >= 2 * messagesPerLook && !this.isOver && this.nowMs() - this.beganAtMs > chunkMs) this.rest();
  }

  private rest(): void {
    this.isOver = true;
    setImmediate(this.next);
  }
}
