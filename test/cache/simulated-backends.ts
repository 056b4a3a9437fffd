/**
 * The PostgreSQL backends of a simulated world that run writes: who waits for the end of one, and those whose Weir was
 * killed, which come to their end by themselves.
 */
import type { Write } from './simulation-types.ts';

export class Backends {
  /** Writes of killed Weirs that have no outcome yet. */
  readonly left: Write[] = [];
  private readonly waiting = new Map<number, (() => void)[]>();
  private last = 0;

  begin(): number {
    this.waiting.set(++this.last, []);
    return this.last;
  }

  ended(processId: number): void {
    const waiting = this.waiting.get(processId) ?? [];
    this.waiting.delete(processId);
    const index = this.left.findIndex((write) => write.processId === processId);
    if (index !== -1) this.left.splice(index, 1);
    for (const resolve of waiting) resolve();
  }

  whenGone(processId: number): Promise<void> {
    const waiting = this.waiting.get(processId);
    return waiting === undefined ? Promise.resolve() : new Promise((resolve) => void waiting.push(resolve));
  }

  leave(write: Write): void {
    this.left.push(write);
  }

  afterAll(writes: readonly Write[], then: () => void): void {
    void Promise.all(writes.map(({ processId }) => this.whenGone(processId))).then(then);
  }
}
