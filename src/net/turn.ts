/**
 * Gathers output, so that each socket is written to once per turn of the event loop: setImmediate runs after the poll
 * phase, when all reads of the turn are done. One system call then sends the messages of many reads, which is most of
 * Weir's throughput. Made once per process; called by net/wire.ts.
 */
import { Suspension } from './suspension.ts';

export interface Flushable {
  flush(): void;
}

export class TurnWriter {
  /** The buffer that all wires read into. Each copies its bytes at once. */
  readonly input = Buffer.allocUnsafeSlow(64 * 1024);
  /** SUSPEND: which of the wires may be read. */
  readonly suspension = new Suspension();
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
