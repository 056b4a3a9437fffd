/**
 * A worker whose process is a child of the next supervisor: what is said to it and what it says goes through that one.
 * Made by succession.ts; the other end is relayed-worker.ts.
 */
import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import type { Envelope } from './channel.ts';
import type { Moved, Returned, SocketWire } from './ipc.ts';
import type { FromSuccessor, ToSuccessor } from './succession-messages.ts';
import type { WorkerBody, WorkerExit } from './worker-body.ts';

type FromWorker = Extract<FromSuccessor, { readonly worker: number }>;

/** False: the next supervisor is gone. */
export type SendToSuccessor = (message: ToSuccessor, socket?: Socket, ahead?: Uint8Array) => boolean;

export class RemoteWorker implements WorkerBody {
  readonly wire: SocketWire;
  readonly stderr = new PassThrough();
  private readonly worker: number;
  private readonly send: SendToSuccessor;
  private processId = 0;
  private state: 'open' | 'closed' | 'exited' = 'open';
  private readonly envelopes: ((envelope: Envelope) => void)[] = [];
  private readonly movers: ((socket: Socket, moved: Moved) => void)[] = [];
  private readonly returners: ((socket: Socket, returned: Returned) => void)[] = [];
  private readonly closers: (() => void)[] = [];
  private started: () => void = () => undefined;
  private exited: (exit: WorkerExit) => void = () => undefined;

  constructor(worker: number, send: SendToSuccessor) {
    this.worker = worker;
    this.send = send;
    this.wire = this.makeWire();
  }

  get pid(): number {
    return this.processId;
  }

  get isGone(): boolean {
    return this.state === 'exited';
  }

  private makeWire(): SocketWire {
    const { worker } = this;
    const isOpen = (): boolean => this.state === 'open';
    return {
      send: (envelope) => {
        if (isOpen()) this.send({ do: 'envelope', worker, envelope });
      },
      onEnvelope: (listener) => void this.envelopes.push(listener),
      onClosed: (listener) => {
        if (isOpen()) this.closers.push(listener);
        else listener();
      },
      sendSocket: (entry, socket, ahead) => isOpen() && this.send({ do: 'socket', worker, entry }, socket, ahead),
      // Only supervisors give new connections away; a worker gives them back.
      onSocket: () => undefined,
      sendBack: () => false,
      onReturned: (listener) => void this.returners.push(listener),
      sendMoved: (socket, { packed, ahead }) => isOpen() && this.send({ do: 'moved', worker, packed }, socket, ahead),
      onMoved: (listener) => void this.movers.push(listener),
      // Only workers take clients.
      whenWritten: (listener) => listener(),
    };
  }

  kill(): void {
    this.send({ do: 'kill', worker: this.worker });
  }

  onStarted(listener: () => void): void {
    this.started = listener;
  }

  onExit(listener: (exit: WorkerExit) => void): void {
    this.exited = listener;
  }

  hear(message: FromWorker, socket: Socket | undefined, ahead: Uint8Array): void {
    switch (message.did) {
      case 'fork':
        this.processId = message.pid;
        return this.started();
      case 'envelope':
        return this.envelopes.forEach((listener) => listener(message.envelope));
      case 'moved':
        if (socket === undefined) return;
        return this.movers.forEach((listener) => listener(socket, { packed: message.packed, ahead }));
      case 'return':
        if (socket === undefined) return;
        return this.returners.forEach((listener) => listener(socket, { entry: message.entry, ahead }));
      case 'write':
        return void this.stderr.write(message.chunk);
      case 'close':
        return this.close();
      case 'exit':
        return this.exit(message.exit);
    }
  }

  /** The channel is closed; its process may go on for a moment. */
  close(): void {
    if (this.state !== 'open') return;
    this.state = 'closed';
    for (const listener of this.closers.splice(0)) listener();
  }

  exit(exit: WorkerExit): void {
    if (this.state === 'exited') return;
    this.close();
    this.state = 'exited';
    this.stderr.end();
    this.exited(exit);
  }
}
