/**
 * The next supervisor until it works: starts workers for the one before and passes on what they say; then takes over the state
 * of that one, or ends. Made by cli/successor.ts; the other end is next-supervisor.ts.
 */
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Entry, Moved } from './ipc.ts';
import type { EndMode } from './messages.ts';
import { RelayedWorker } from './relayed-worker.ts';
import { successionFormat, type FromSuccessor, type SupervisorState, type ToSuccessor } from './succession-messages.ts';
import type { PredecessorPort } from './supervisor-ports.ts';
import type { WorkerPost } from './worker-link.ts';

export interface SuccessorOptions {
  readonly predecessor: PredecessorPort;
  fork(post: WorkerPost): ChildProcess;
  /** Rejects when it cannot: the supervisor before goes on. */
  takeOver(state: SupervisorState, workers: ReadonlyMap<number, RelayedWorker>): Promise<void>;
  /** The supervisor before had accepted the connection when this one took over. */
  accepted(entry: Entry, socket: Socket, ahead: Uint8Array): void;
  moved(socket: Socket, moved: Moved): void;
  /** The supervisor before was told so when this one took over. */
  shutDown(mode: EndMode): void;
  /** This process works now: all that comes is for it. */
  tookOver(): void;
  /** It is not needed. */
  end(): void;
  unexpected(error: unknown): void;
}

type ForWorker = Extract<ToSuccessor, { readonly worker: number }>;

export class Successor {
  private readonly options: SuccessorOptions;
  private readonly workers = new Map<number, RelayedWorker>();
  private state: 'waits' | 'takes over' | 'works' = 'waits';
  /** What came while it took over. */
  private readonly late: (() => void)[] = [];

  constructor(options: SuccessorOptions) {
    this.options = options;
    options.predecessor.onMessage((body, socket, ahead) => this.heard(body as ToSuccessor, socket, ahead));
  }

  /** This process could serve. @param kept changed settings that stay as they are until Weir is started anew */
  start(kept: readonly string[]): void {
    this.tell({ did: 'start', format: successionFormat, kept });
  }

  private tell(message: FromSuccessor, socket?: Socket, ahead?: Uint8Array): void {
    if (!this.options.predecessor.send(message, socket, ahead)) socket?.destroy();
  }

  private heard(message: ToSuccessor, socket: Socket | undefined, ahead: Uint8Array): void {
    if (this.state === 'takes over') this.late.push(() => this.obey(message, socket, ahead));
    else this.obey(message, socket, ahead);
  }

  private obey(message: ToSuccessor, socket: Socket | undefined, ahead: Uint8Array): void {
    const { options } = this;
    switch (message.do) {
      case 'freeze':
        for (const worker of this.workers.values()) worker.freeze();
        return this.tell({ did: 'freeze' });
      case 'thaw':
        return this.thaw();
      case 'take over':
        return void this.takeOver(message.state).catch(options.unexpected);
      case 'shut down':
        return options.shutDown(message.mode);
      case 'end':
        // Said before it was heard that this one works.
        if (this.state === 'waits') options.end();
        return;
      default:
        return this.state === 'works' ? this.tooLate(message, socket, ahead) : this.carry(message, socket, ahead);
    }
  }

  private carry(message: ForWorker, socket: Socket | undefined, ahead: Uint8Array): void {
    const { worker: id } = message;
    if (message.do === 'fork') return this.fork(id, message.post);
    // Undefined: it has exited, and the supervisor before did not know that yet.
    const worker = this.workers.get(id);
    switch (message.do) {
      case 'kill':
        return worker?.kill();
      case 'envelope':
        return worker?.wire.send(message.envelope);
      case 'socket': {
        const { entry } = message;
        if (socket === undefined || worker?.wire.sendSocket(entry, socket, ahead) === true) return;
        return this.tell({ did: 'return', worker: id, entry }, socket, ahead);
      }
      case 'moved': {
        const { packed } = message;
        if (socket === undefined || worker?.wire.sendMoved(socket, { packed, ahead }) === true) return;
        return this.tell({ did: 'moved', worker: id, packed }, socket, ahead);
      }
    }
  }

  /** What the supervisor before decided after it had given its state away is void, but clients must not be lost. */
  private tooLate(message: ForWorker, socket: Socket | undefined, ahead: Uint8Array): void {
    if (socket === undefined) return;
    if (message.do === 'socket') this.options.accepted(message.entry, socket, ahead);
    else if (message.do === 'moved') this.options.moved(socket, { packed: message.packed, ahead });
    else socket.destroy();
  }

  private fork(id: number, post: WorkerPost): void {
    const child = this.options.fork(post);
    const worker = new RelayedWorker(id, child, (message, socket, ahead) => {
      this.tell(message, socket, ahead);
      if (message.did === 'exit') this.workers.delete(id);
    });
    this.workers.set(id, worker);
  }

  private thaw(): void {
    for (const worker of this.workers.values()) worker.thaw();
  }

  private async takeOver(state: SupervisorState): Promise<void> {
    this.state = 'takes over';
    try {
      await this.options.takeOver(state, this.workers);
      this.state = 'works';
      const last: FromSuccessor = { did: 'take over' };
      this.options.predecessor.tookOver(last);
      this.options.tookOver();
      for (const worker of this.workers.values()) worker.take();
    } catch (error) {
      this.state = 'waits';
      this.options.unexpected(error);
      this.tell({ did: 'refuse', why: error instanceof Error ? error.message : String(error) });
      this.thaw();
    }
    for (const hear of this.late.splice(0)) hear();
  }
}
