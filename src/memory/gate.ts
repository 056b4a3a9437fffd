/**
 * Where new clients wait while memory is short, in the order in which they came. When there is memory again they are let in a few at
 * a time, so that all of them together do not use it up at once. Opened and closed by monitor.ts; asked by frontend/login.ts.
 */
import type { MemoryGate } from './types.ts';

/** At each look at memory, which is several times a second. */
const admittedAtOnce = 20;

export class Gate implements MemoryGate {
  private readonly waiting = new Set<{ readonly admit: () => void }>();
  private mayEnter = true;
  refusedClients = 0;

  /** Nobody overtakes those that wait. */
  get isOpen(): boolean {
    return this.mayEnter && this.waiting.size === 0;
  }

  get waitingClients(): number {
    return this.waiting.size;
  }

  wait(admit: () => void): () => void {
    const waiter = { admit };
    this.waiting.add(waiter);
    return () => void this.waiting.delete(waiter);
  }

  refused(): void {
    this.refusedClients++;
  }

  /** At each look. */
  set(mayEnter: boolean): void {
    this.mayEnter = mayEnter;
    if (!mayEnter) return;
    let left = admittedAtOnce;
    for (const waiter of this.waiting) {
      if (left-- === 0) return;
      this.waiting.delete(waiter);
      waiter.admit();
    }
  }
}
