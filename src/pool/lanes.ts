/**
 * Shared lanes: when every server is busy, short reads of different clients are written to one server back to back,
 * without waiting for each other's answers. Fewer system calls for the same work: this is what makes Weir as fast as no
 * proxy. Only reads that may run again elsewhere come here, so a lane that dies or stands still costs nobody an answer.
 */
import type { ServerConnection } from '../backend/server.ts';

/** Clients on one server at once. */
const maxDepth = 16;
/** Reads that leave in one write: more would only wait for each other where PostgreSQL could run them side by side. */
const maxPerWrite = 4;
/** A lane whose head has taken this long takes no more: it was not that short a read. */
const slowAfterMs = 20;
/** Behind a head that takes this long, or whose client does not take its answer, nobody waits any longer. */
const heldUpAfterMs = 500;

export class Lanes {
  private readonly servers = new Set<ServerConnection>();
  private newest: ServerConnection | undefined;

  /** Others may send short reads to the server from now on. */
  open(server: ServerConnection, nowMs: number): void {
    if (!server.move('lane opened')) return;
    server.lastReadyAtMs = nowMs;
    this.servers.add(server);
    this.newest = server;
  }

  /** Nobody else may come to the server any more, if it is a lane. Those who have it keep it. */
  close(server: ServerConnection): void {
    if (server.state !== 'shared') return;
    this.leave(server);
    server.move('lane closed');
  }

  /** The server is on its way to another state. */
  leave(server: ServerConnection): void {
    this.servers.delete(server);
    if (this.newest === server) this.newest = undefined;
  }

  /** May one more client come to this server? */
  takes(server: ServerConnection, nowMs: number): boolean {
    return this.servers.has(server) && server.sharers < maxDepth && isQuick(server, nowMs);
  }

  /** A lane that is written to in this turn anyway: one more read there costs no system call of its own. */
  joinable(nowMs: number, isFit: (server: ServerConnection) => boolean): ServerConnection | undefined {
    const server = this.newest;
    if (server === undefined || !server.wire.hasPending || server.sharers >= maxPerWrite) return undefined;
    return isQuick(server, nowMs) && isFit(server) ? server : undefined;
  }

  /** The lane with the fewest clients that takes one more. */
  choose(nowMs: number, isFit: (server: ServerConnection) => boolean): ServerConnection | undefined {
    let best: ServerConnection | undefined;
    for (const server of this.servers) {
      if (server.sharers >= (best?.sharers ?? maxDepth)) continue;
      if (isQuick(server, nowMs) && isFit(server)) best = server;
    }
    return best;
  }

  /** Lanes in which clients wait behind one that takes too long. They take no more. */
  heldUp(nowMs: number): ServerConnection[] {
    const found: ServerConnection[] = [];
    for (const server of this.servers) {
      if (server.sharers > 1 && nowMs - server.lastReadyAtMs > heldUpAfterMs) found.push(server);
    }
    for (const server of found) this.close(server);
    return found;
  }
}

function isQuick(server: ServerConnection, nowMs: number): boolean {
  return nowMs - server.lastReadyAtMs <= slowAfterMs && !server.isCloseNeeded && server.cancelling === undefined;
}
