/**
 * Two ends of a connection without a kernel between them: as much of a net.Socket as Weir uses once somebody is logged
 * in, with its back-pressure. A hundred thousand of them cost seconds.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** Bytes that may be under way to the other end. */
const kernelBytes = 512 * 1024;

class MemorySocket extends Duplex {
  private onTheWay = 0;
  private isRefused = false;
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 1;
  peer: MemorySocket | undefined;
  /** Called when this end wants more: the other end's write is done then. */
  private takenBy: (() => void) | undefined;

  override _read(): void {
    const taken = this.takenBy;
    this.takenBy = undefined;
    taken?.();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    if (this.isRefused) return done(new Error('write EPIPE'));
    // As a kernel does: what it has room for is taken at once, and then there is no 'drain'.
    const isTaken = this.onTheWay < kernelBytes;
    this.onTheWay += chunk.length;
    // Nobody hears anything while it is being said.
    process.nextTick(() => this.deliver(chunk, isTaken ? undefined : done));
    if (isTaken) done();
  }

  private deliver(chunk: Buffer, done: (() => void) | undefined): void {
    const { peer } = this;
    this.onTheWay -= chunk.length;
    if (peer === undefined || peer.destroyed || peer.readableEnded) {
      done?.();
      // Nobody is there: its machine says so, and what is written next meets that.
      if (peer?.destroyed === true) this.isRefused = true;
      return;
    }
    if (peer.push(chunk) || done === undefined) return done?.();
    const { takenBy } = peer;
    peer.takenBy = () => {
      takenBy?.();
      done();
    };
  }

  override _final(done: () => void): void {
    this.deliverEnd();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { peer } = this;
    if (peer !== undefined && !peer.destroyed && !this.writableFinished) this.deliverEnd();
    this._read();
    done(error);
  }

  /** Behind the bytes that are still on the way. */
  private deliverEnd(): void {
    process.nextTick(() => {
      if (this.peer?.destroyed === false) this.peer.push(null);
    });
  }
}

export function socketPair(): [Socket, Socket] {
  const [one, other] = [new MemorySocket({ allowHalfOpen: false }), new MemorySocket({ allowHalfOpen: false })];
  one.peer = other;
  other.peer = one;
  for (const end of [one, other]) end.on('error', () => undefined);
  return [one as unknown as Socket, other as unknown as Socket];
}
