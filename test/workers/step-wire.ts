/**
 * Two ends of a Wire whose messages wait until the test lets the next one through. As between processes: in order, cloned, and
 * what a worker has sent before its end may still arrive.
 */
import type { Envelope, Wire } from '../../src/workers/channel.ts';

type Direction = 'up' | 'down';

class End implements Wire {
  readonly waiting: Envelope[] = [];
  /** Of the other end. */
  listener: (envelope: Envelope) => void = () => undefined;
  private readonly wire: StepWire;
  private readonly other: () => End;

  constructor(wire: StepWire, other: () => End) {
    this.wire = wire;
    this.other = other;
  }

  send(envelope: Envelope): void {
    if (!this.wire.isClosed) this.waiting.push(structuredClone(envelope));
  }

  onEnvelope(listener: (envelope: Envelope) => void): void {
    this.other().listener = listener;
  }

  onClosed(listener: () => void): void {
    this.wire.onClosed(listener);
  }
}

export class StepWire {
  readonly worker: Wire;
  readonly supervisor: Wire;
  isClosed = false;
  /** Until then nothing is let through in either direction. */
  stalledUntilMs = -Infinity;
  private readonly ends: Readonly<Record<Direction, End>>;
  private readonly listeners: (() => void)[] = [];
  private readonly now: () => number;

  constructor(now: () => number) {
    this.now = now;
    const up: End = new End(this, () => down);
    const down: End = new End(this, () => up);
    this.ends = { up, down };
    this.worker = up;
    this.supervisor = down;
  }

  onClosed(listener: () => void): void {
    this.listeners.push(listener);
  }

  has(direction: Direction): boolean {
    return this.ends[direction].waiting.length > 0 && this.now() >= this.stalledUntilMs;
  }

  deliver(direction: Direction): void {
    const end = this.ends[direction];
    const envelope = end.waiting.shift();
    if (envelope !== undefined) end.listener(envelope);
  }

  /** The worker's process ends. @param arriving so many of its messages still arrive */
  close(arriving: number): void {
    for (let i = 0; i < arriving; i++) this.deliver('up');
    this.isClosed = true;
    this.ends.up.waiting.length = this.ends.down.waiting.length = 0;
    for (const listener of this.listeners) listener();
  }

  get sent(): number {
    return this.ends.up.waiting.length;
  }
}
