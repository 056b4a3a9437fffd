/**
 * Shared lanes: when every server is busy, short reads of different clients are written to one server back to back,
 * without waiting for each other's answers. Fewer system calls for the same work: this is what makes Weir as fast as no
 * proxy. Only reads that may run again elsewhere come here, so a lane that dies or stands still costs nobody an answer.
 */
import type { ServerConnection } from '../backend/server.ts';

/** Clients on one server at once. */
const maxDepth = 16;
/** A lane whose head has taken this long takes no more: it was not that short a read. */
const slowAfterMs = 20;
/** A client of a lane that does not take its answer for so long holds up the others. */
const stuckAfterMs = 1_000;

export class Lanes {
  private readonly servers = new Set<ServerConnection>();
  private readonly fullSinceMs = new WeakMap<ServerConnection, number>();

  open(server: ServerConnection, nowMs: number): void {
    server.lastReadyAtMs = nowMs;
    this.servers.add(server);
  }

  close(server: ServerConnection): void {
    this.servers.delete(server);
  }

  /** The lane with the fewest clients that takes one more. */
  choose(nowMs: number, isFit: (server: ServerConnection) => boolean): ServerConnection | undefined {
    let best: ServerConnection | undefined;
    for (const server of this.servers) {
      if (server.sharers >= (best?.sharers ?? maxDepth)) continue;
      if (nowMs - server.lastReadyAtMs > slowAfterMs || server.isCloseNeeded || server.cancelling !== undefined)
        continue;
      if (isFit(server)) best = server;
    }
    return best;
  }

  /** Servers that have been stopped by a client's full socket for too long while others wait behind it. */
  stuck(nowMs: number): ServerConnection[] {
    const found: ServerConnection[] = [];
    for (const server of this.servers) {
      if (server.sharers < 2 || !server.wire.isPaused) {
        this.fullSinceMs.delete(server);
        continue;
      }
      const sinceMs = this.fullSinceMs.get(server);
      if (sinceMs === undefined) this.fullSinceMs.set(server, nowMs);
      else if (nowMs - sinceMs > stuckAfterMs) found.push(server);
    }
    return found;
  }
}
