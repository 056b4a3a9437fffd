/**
 * Sessions of one database that found no node for what they want: each asks again when the topology is another, when there
 * is room on the primary, or gives up at its deadline. Made by database.ts.
 */
import type { Parked } from '../session/context.ts';
import type { NodeLoad } from '../topology/types.ts';

export class WaitingForNode {
  private readonly parked = new Set<Parked>();

  park(parked: Parked): () => void {
    this.parked.add(parked);
    return () => void this.parked.delete(parked);
  }

  /** Whoever is woken may not need the room, or be waiting for something else: then it is the next one's. Each once. */
  roomLeft(load: NodeLoad | undefined): void {
    let left = this.parked.size;
    for (const each of this.parked) {
      if (left-- === 0 || load === undefined || load.fallbackReads >= load.fallbackRoom) return;
      this.parked.delete(each);
      each.retry();
    }
  }

  retryAll(): void {
    const parked = [...this.parked];
    this.parked.clear();
    for (const each of parked) each.retry();
  }

  sweep(nowMs: number): void {
    for (const parked of [...this.parked]) {
      if (nowMs < parked.deadlineMs) continue;
      this.parked.delete(parked);
      parked.expired();
    }
  }
}
