/**
 * A Wire over Node's IPC between a process and its child, which also carries sockets. Made by the supervisor for each
 * worker, and by the worker for its supervisor.
 */
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Envelope, Wire } from './channel.ts';

/** Where a connection came in: TCP, the Unix socket, or the port of HTTP. */
export type Entry = 'plain' | 'local' | 'http';

export interface SocketWire extends Wire {
  /** Gives a connection away: this process closes its own copy once the other has it. False: the other is gone. */
  sendSocket(entry: Entry, socket: Socket): boolean;
  /** Sockets arrive paused. */
  onSocket(listener: (entry: Entry, socket: Socket) => void): void;
}

/** What travels: one of the two. */
interface Message {
  readonly envelope?: Envelope;
  readonly entry?: Entry;
}

/** A child, or this process if it is one. */
export type IpcEnd = ChildProcess | NodeJS.Process;

export function ipcWire(end: IpcEnd): SocketWire {
  const envelopes: ((envelope: Envelope) => void)[] = [];
  const sockets: ((entry: Entry, socket: Socket) => void)[] = [];
  end.on('message', (message, handle) => {
    const { envelope, entry } = message as Message;
    if (envelope !== undefined) for (const listener of envelopes) listener(envelope);
    // Undefined: the connection was closed on the way.
    if (entry === undefined || handle === undefined) return;
    for (const listener of sockets) listener(entry, handle as Socket);
  });
  // An error means that the other process is gone; 'disconnect' follows.
  const send = (message: Message, socket?: Socket): void =>
    void end.send?.(message, socket, { keepOpen: false }, (error) => {
      if (error !== null) socket?.destroy();
    });
  return {
    send: (envelope) => {
      if (end.connected) send({ envelope });
    },
    onEnvelope: (listener) => void envelopes.push(listener),
    onClosed: (listener) => void end.on('disconnect', listener),
    sendSocket(entry, socket) {
      if (!end.connected) return false;
      send({ entry }, socket);
      return true;
    },
    onSocket: (listener) => void sockets.push(listener),
  };
}
