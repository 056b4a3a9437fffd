/**
 * Shared lanes: when every server is busy, short reads of several clients are sent to one server one after the other, without
 * waiting for the answers in between. That saves system calls. All of them are reads that can run again elsewhere, so no client
 * misses an answer when the server of a lane is lost or slow. Used by pool.ts.
 */
import type { ServerConnection } from '../backend/server.ts';

/** Clients on one server at once. */
const maxDepth = 16;
/** Reads sent in one write. With more, reads would wait for each other that PostgreSQL could run at the same time on other servers. */
const maxPerWrite = 4;
/** A lane whose first read has taken this long takes no more clients: that read is not short. */
const slowAfterMs = 20;
/** When the first read takes this long, or its client does not read the answer, the reads behind it run elsewhere. */
const heldUpAfterMs = 500;

/** The servers of a pool in the state "shared". */
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
    return server.state === 'shared' && server.sharers < maxDepth && isQuick(server, nowMs);
  }

  /** The newest lane, if it has bytes that are sent at the end of this turn: one more read then costs no further system call. */
  joinable(nowMs: number, isFit: (server: ServerConnection) => boolean): ServerConnection | undefined {
    const server = this.newest;
    if (server === undefined || !server.wire.hasPending || server.sharers >= maxPerWrite) return undefined;
    return isQuick(server, nowMs) && isFit(server) ? server : undefined;
  }

  /** Of the lanes that take one more client, the one with the fewest. */
  choose(nowMs: number, isFit: (server: ServerConnection) => boolean): ServerConnection | undefined {
    let best: ServerConnection | undefined;
    for (const server of this.servers) {
      if (server.sharers >= (best?.sharers ?? maxDepth)) continue;
      if (isQuick(server, nowMs) && isFit(server)) best = server;
    }
    return best;
  }

  /** Closes the lanes in which clients wait behind a read that takes too long. Returns their servers. */
  closeHeldUp(nowMs: number): ServerConnection[] {
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
