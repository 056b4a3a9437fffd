/**
 * Limits how long Weir works for one client at a stretch. A chunk of 64 kB may hold thousands of messages, and libuv
 * reads many chunks of one socket before it looks at the next. After some milliseconds the other clients get their
 * turn, and this client goes on behind them. Called by client.ts.
 */

/** Short enough that two busy clients do not make a third one wait for long. */
const sliceMs = 5;
/** A chunk that takes longer than this ends the slice, because up to thirty may come in one turn. */
const chunkMs = 1;
/** The clock is read once per this number of messages. */
const messagesPerLook = 16;

export class TimeSlice {
  /** The client waits for its next turn. */
  isOver = false;
  private beganAtMs = 0;
  private messages = 0;
  private readonly nowMs: () => number;
  private readonly goOn: () => void;

  /** @param goOn called in a later turn of the event loop each time a slice has ended */
  constructor(nowMs: () => number, goOn: () => void) {
    this.nowMs = nowMs;
    this.goOn = goOn;
  }

  /** Call when a chunk of the client's bytes has come. */
  begin(): void {
    this.messages = 0;
  }

  /** Call when a message was processed. */
  worked(): void {
    if (++this.messages % messagesPerLook !== 0 || this.isOver) return;
    const nowMs = this.nowMs();
    if (this.messages === messagesPerLook) this.beganAtMs = nowMs;
    else if (nowMs - this.beganAtMs > sliceMs) this.rest();
  }

  /** Call when the whole chunk was processed. Many more may already be waiting. */
  end(): void {
    if (this.messages >= 2 * messagesPerLook && !this.isOver && this.nowMs() - this.beganAtMs > chunkMs) this.rest();
  }

  private rest(): void {
    this.isOver = true;
    setImmediate(() => {
      this.isOver = false;
      this.goOn();
    });
  }
}
