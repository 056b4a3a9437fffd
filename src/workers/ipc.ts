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
  /**
   * Gives a connection away: this process closes its own copy once the other has it. False: the other is gone.
   * @param ahead bytes that were read from it on the way
   */
  sendSocket(entry: Entry, socket: Socket, ahead?: Uint8Array): boolean;
  /** Sockets arrive paused. */
  onSocket(listener: (entry: Entry, socket: Socket) => void): void;
  /** Gives a client with its session away (app/hand-overs.ts). False: the other is gone. */
  sendMoved(socket: Socket, moved: Moved): boolean;
  /** Nothing more is read from the socket before the listener returns. */
  onMoved(listener: (socket: Socket, moved: Moved) => void): void;
}

/** What travels with the socket of a client that changes its worker. */
export interface Moved {
  /** Its session: a PackedClient, which the receiver checks. */
  readonly packed: unknown;
  /** Bytes that Node had read on the way, before those that are read next. */
  readonly ahead: Uint8Array;
}

/** What travels: one of the first three. */
interface Message {
  readonly envelope?: Envelope;
  readonly entry?: Entry;
  readonly moved?: Moved;
  /** Of a connection with an `entry`. */
  readonly ahead?: Uint8Array | undefined;
}

/** A child, or this process if it is one. */
export type IpcEnd = ChildProcess | NodeJS.Process;

/**
 * Node begins to read a socket that comes over IPC before 'message' is emitted. Takes what it has read, and stops it: whoever
 * passes the socket on would lose what comes later.
 */
export function readAhead(socket: Socket): Buffer {
  const { _handle: handle } = socket as unknown as { _handle: { reading?: boolean; readStop?(): number } | null };
  const ahead = (socket.read() as Buffer | null) ?? Buffer.alloc(0);
  handle?.readStop?.();
  if (handle !== null) handle.reading = false;
  return ahead;
}

export function ipcWire(end: IpcEnd): SocketWire {
  const envelopes: ((envelope: Envelope) => void)[] = [];
  const sockets: ((entry: Entry, socket: Socket) => void)[] = [];
  const movers: ((socket: Socket, moved: Moved) => void)[] = [];
  end.on('message', (message, handle) => {
    const { envelope, entry, moved, ahead: before } = message as Message;
    if (moved !== undefined && handle !== undefined) {
      const ahead = Buffer.concat([moved.ahead, readAhead(handle as Socket)]);
      for (const listener of movers) listener(handle as Socket, { packed: moved.packed, ahead });
    }
    if (envelope !== undefined) for (const listener of envelopes) listener(envelope);
    // Undefined: the connection was closed on the way.
    if (entry === undefined || handle === undefined) return;
    if (before !== undefined && before.length > 0) (handle as Socket).unshift(before);
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
    onClosed(listener) {
      // The other process may have ended while this one was starting: then 'disconnect' is over.
      if (end.connected) end.on('disconnect', listener);
      else listener();
    },
    sendSocket(entry, socket, ahead) {
      if (!end.connected) return false;
      send(ahead === undefined ? { entry } : { entry, ahead }, socket);
      return true;
    },
    onSocket: (listener) => void sockets.push(listener),
    sendMoved(socket, moved) {
      if (!end.connected) return false;
      send({ moved }, socket);
      return true;
    },
    onMoved: (listener) => void movers.push(listener),
  };
}
