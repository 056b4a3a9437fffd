/**
 * Which sockets are read while SUSPEND holds, and which new clients wait for its end. One for each process, at its TurnWriter.
 * wire.ts asks it; app/suspending.ts sets it.
 */
export type Side = 'client' | 'server';

export class Suspension {
  private readonly unread = new Set<Side>();
  private readonly waiting = new Set<() => void>();
  /** From the beginning of SUSPEND until RESUME. */
  isOn = false;

  mayRead(side: Side): boolean {
    return !this.isOn || !this.unread.has(side);
  }

  begin(): void {
    this.isOn = true;
  }

  stopReading(side: Side): void {
    this.unread.add(side);
  }

  end(): void {
    this.isOn = false;
    this.unread.clear();
    for (const goOn of [...this.waiting]) goOn();
    this.waiting.clear();
  }

  /** Calls `goOn` at the end of SUSPEND. @returns call it to wait no longer */
  wait(goOn: () => void): () => void {
    this.waiting.add(goOn);
    return () => void this.waiting.delete(goOn);
  }
}
