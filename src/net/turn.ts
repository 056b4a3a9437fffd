/**
 * One write per socket per turn of the event loop: whoever has something to say registers here once, and everything
 * goes out when the turn's reads are done (setImmediate runs right behind the poll phase). This is most of Weir's
 * speed: one system call carries the work of many messages.
 */
export interface Flushable {
  flush(): void;
}

export class TurnWriter {
  /** What all wires read into; each copies out of it at once. */
  readonly input = Buffer.allocUnsafeSlow(64 * 1024);
  private dirty: Flushable[] = [];
  private spare: Flushable[] = [];
  private isScheduled = false;
  private readonly run = (): void => this.flushAll();

  schedule(flushable: Flushable): void {
    this.dirty.push(flushable);
    if (this.isScheduled) return;
    this.isScheduled = true;
    setImmediate(this.run);
  }

  private flushAll(): void {
    this.isScheduled = false;
    const dirty = this.dirty;
    this.dirty = this.spare;
    for (const flushable of dirty) flushable.flush();
    dirty.length = 0;
    this.spare = dirty;
  }
}
