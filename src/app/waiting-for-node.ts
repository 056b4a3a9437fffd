/**
 * Sessions of one database that found no node for their statement: each is routed again when the topology changes or when
 * the primary has room, and gives up at its deadline. Made by database.ts.
 */
import type { Parked } from '../session/context.ts';
import type { NodeLoad } from '../topology/types.ts';

export class WaitingForNode {
  private readonly parked = new Set<Parked>();

  park(parked: Parked): () => void {
    this.parked.add(parked);
    return () => void this.parked.delete(parked);
  }

  /** Wakes each waiting session at most once. A session that does not use the room leaves it to the next one. */
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
