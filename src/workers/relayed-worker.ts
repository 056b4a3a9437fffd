/**
 * A worker that this process has started for the supervisor before: until this one takes over, what the worker says goes there
 * unread. While it takes over, words of the worker are held, and heard here afterwards. Made by successor.ts; the other end
 * is remote-worker.ts.
 */
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { Envelope } from './channel.ts';
import type { Moved, Returned, SocketWire } from './ipc.ts';
import type { FromSuccessor } from './succession-messages.ts';
import { bodyOfChild, type WorkerBody, type WorkerExit } from './worker-body.ts';

export type SendToPredecessor = (message: FromSuccessor, socket?: Socket, ahead?: Uint8Array) => void;

export class RelayedWorker implements WorkerBody {
  /** For the supervisor here. */
  readonly wire: SocketWire;
  readonly stderr: Readable | null;
  readonly pid: number;
  private readonly worker: number;
  private readonly inner: WorkerBody;
  private readonly outer: SocketWire;
  private readonly send: SendToPredecessor;
  private state: 'relayed' | 'held' | 'taken' = 'relayed';
  /** What happened while it was held. */
  private readonly held: (() => void)[] = [];
  private readonly envelopes: ((envelope: Envelope) => void)[] = [];
  private readonly movers: ((socket: Socket, moved: Moved) => void)[] = [];
  private readonly returners: ((socket: Socket, returned: Returned) => void)[] = [];
  private readonly closers: (() => void)[] = [];
  private exited: (exit: WorkerExit) => void = () => undefined;

  constructor(worker: number, child: ChildProcess, send: SendToPredecessor) {
    this.worker = worker;
    this.send = send;
    this.inner = bodyOfChild(child);
    this.outer = this.inner.wire;
    this.pid = this.inner.pid;
    this.stderr = this.inner.stderr;
    this.wire = {
      ...this.outer,
      onEnvelope: (listener) => void this.envelopes.push(listener),
      onMoved: (listener) => void this.movers.push(listener),
      onReturned: (listener) => void this.returners.push(listener),
      onClosed: (listener) => void this.closers.push(listener),
    };
    this.relay();
  }

  private relay(): void {
    const { worker, send, outer, inner } = this;
    if (this.pid !== 0) send({ did: 'fork', worker, pid: this.pid });
    outer.onEnvelope((envelope) => {
      const isAnswer = envelope.kind === 'answer' || envelope.kind === 'failure';
      const relayed = (): void => send({ did: 'envelope', worker, envelope });
      if (isAnswer && this.state === 'held') return relayed();
      this.pass(relayed, () => this.envelopes.forEach((listener) => listener(envelope)));
    });
    outer.onMoved((socket, moved) => {
      const { packed, ahead } = moved;
      const relayed = (): void => send({ did: 'moved', worker, packed }, socket, ahead);
      this.pass(relayed, () => this.movers.forEach((listener) => listener(socket, moved)));
    });
    outer.onReturned((socket, returned) => {
      const { entry, ahead } = returned;
      const relayed = (): void => send({ did: 'return', worker, entry }, socket, ahead);
      this.pass(relayed, () => this.returners.forEach((listener) => listener(socket, returned)));
    });
    outer.onClosed(() => {
      const own = (): void => this.closers.splice(0).forEach((listener) => listener());
      this.pass(() => send({ did: 'close', worker }), own);
    });
    inner.onExit((exit) =>
      this.pass(
        () => send({ did: 'exit', worker, exit }),
        () => this.exited(exit),
      ),
    );
    this.stderr?.on('error', () => undefined);
    this.stderr?.on('data', this.written);
  }

  private readonly written = (chunk: Buffer): void => this.send({ did: 'write', worker: this.worker, chunk });

  /** @param relayed tells the supervisor before; @param own tells the one here */
  private pass(relayed: () => void, own: () => void): void {
    switch (this.state) {
      case 'relayed':
        return relayed();
      case 'held':
        this.held.push(() => (this.state === 'relayed' ? relayed() : own()));
        return;
      case 'taken':
        return own();
    }
  }

  freeze(): void {
    this.state = 'held';
  }

  thaw(): void {
    this.state = 'relayed';
    for (const happened of this.held.splice(0)) happened();
  }

  /** The supervisor here has it now, and listens. */
  take(): void {
    this.state = 'taken';
    for (const happened of this.held.splice(0)) happened();
  }

  /** Call it before the supervisor here reads its standard error. */
  leaveStderr(): void {
    this.stderr?.off('data', this.written);
  }

  kill(): void {
    this.inner.kill();
  }

  onStarted(listener: () => void): void {
    if (this.pid !== 0) listener();
  }

  onExit(listener: (exit: WorkerExit) => void): void {
    this.exited = listener;
  }
}
