/**
 * A supervisor's connection to the process that has started it (parent.ts): to the supervisor before, to the next one, and
 * for signals. Made by cli/successor.ts.
 */
import type { Socket } from 'node:net';
import type { FixedSettings } from '../config/change.ts';
import { onFrame, sendFrame, sendListener } from './frames.ts';
import { whenGone, whenWritten, type IpcEnd } from './ipc.ts';
import type { OpenListener } from './listening.ts';
import type {
  Frame,
  FromParent,
  Heard,
  PredecessorPort,
  StartsSuccessor,
  SuccessorPort,
  ToParent,
} from './supervisor-ports.ts';

interface Started {
  hear: Heard;
  ended: (how: string) => void;
}

export class ChildOfParent implements StartsSuccessor {
  readonly predecessor: PredecessorPort;
  private readonly end: IpcEnd;
  private readonly started = new Map<string, Started>();
  private lastId = 0;
  private hearPredecessor: Heard = () => undefined;
  private signaled: (signal: NodeJS.Signals) => void = () => undefined;

  constructor(end: IpcEnd) {
    this.end = end;
    this.predecessor = {
      send: (body, socket, ahead) => sendFrame(end, { at: 'current', body, ahead }, socket),
      tookOver: (body) => void sendFrame(end, { at: 'current', body, tookOver: true }),
      onMessage: (listener) => void (this.hearPredecessor = listener),
    };
    onFrame(end, (frame, handle) => this.heard(frame, handle as Socket | undefined));
  }

  onSignal(listener: (signal: NodeJS.Signals) => void): void {
    this.signaled = listener;
  }

  /** The parent is gone, whatever ended it. */
  onOrphaned(listener: () => void): void {
    whenGone(this.end, listener);
  }

  /** Resolves when all that was said, with its sockets, has left this process, or the parent is gone. */
  written(): Promise<void> {
    return new Promise((resolve) => whenWritten(this.end, resolve));
  }

  start(listeners: readonly OpenListener[], fixed: FixedSettings): SuccessorPort {
    const id = `${process.pid}-${++this.lastId}`;
    const started: Started = { hear: () => undefined, ended: () => undefined };
    this.started.set(id, started);
    for (const { handle } of listeners) sendListener(this.end, toParent({ do: 'listener' }), handle);
    this.tell({ do: 'start', id, fixed, listeners: listeners.map(({ listener }) => listener) });
    return {
      send: (body, socket, ahead) => sendFrame(this.end, { at: { id }, body, ahead }, socket),
      onMessage: (listener) => void (started.hear = listener),
      onEnded: (listener) => void (started.ended = listener),
      kill: () => this.tell({ do: 'kill', id }),
    };
  }

  private tell(order: ToParent): void {
    sendFrame(this.end, toParent(order));
  }

  private heard({ at, body, ahead = Buffer.alloc(0) }: Frame, socket: Socket | undefined): void {
    if (at === 'parent') this.obey(body as FromParent);
    else if (at === 'current') this.hearPredecessor(body, socket, ahead);
    else this.started.get(at.id)?.hear(body, socket, ahead);
  }

  private obey(order: FromParent): void {
    if (order.do === 'signal') return this.signaled(order.signal);
    this.started.get(order.id)?.ended(order.how);
    this.started.delete(order.id);
  }
}

const toParent = (body: ToParent): Frame => ({ at: 'parent', body });
