/**
 * A Wire over Node's IPC between a process and its child, which also carries sockets. Made by the supervisor for each
 * worker, and by the worker for its supervisor.
 */
import type { ChildProcess } from 'node:child_process';
import { Socket, type SocketConstructorOpts } from 'node:net';
import type { Envelope, Wire } from './channel.ts';

/** Where a connection came in: TCP, the Unix socket, or the port of HTTP. */
export type Entry = 'plain' | 'local' | 'http';

export interface SocketWire extends Wire {
  /**
   * Gives a connection away: this process closes its own copy once the other has it. False: the other is gone. If it goes before the
   * connection is on its way, that comes back (onReturned).
   * @param ahead bytes that were read from it on the way
   */
  sendSocket(entry: Entry, socket: Socket, ahead?: Uint8Array): boolean;
  /** Sockets arrive paused. */
  onSocket(listener: (entry: Entry, socket: Socket, ahead: Uint8Array) => void): void;
  /** Gives a connection back as it came in. False: the other is gone. */
  sendBack(socket: Socket, returned: Returned): boolean;
  /** Nothing more is read from the socket before the listener returns. */
  onReturned(listener: (socket: Socket, returned: Returned) => void): void;
  /**
   * Gives a client with its session away (app/hand-overs.ts). False: the other is gone. If it goes before it has confirmed the
   * client, that comes back (onMoved): whoever takes a client waits for whenWritten() first.
   */
  sendMoved(socket: Socket, moved: Moved): boolean;
  /** Nothing more is read from the socket before the listener returns. */
  onMoved(listener: (socket: Socket, moved: Moved) => void): void;
  /**
   * Calls when all that was said until now has left this process, Node's confirmations of sockets included: the other reads it also if
   * this process dies. At once if the other is gone.
   */
  whenWritten(listener: () => void): void;
}

/** What travels with the socket of a client that changes its worker. */
export interface Moved {
  /** Its session: a PackedClient, which the receiver checks. */
  readonly packed: unknown;
  /** Bytes that Node had read on the way, before those that are read next. */
  readonly ahead: Uint8Array;
}

/** What travels with the socket of a connection that a worker gives back. */
export interface Returned {
  readonly entry: Entry;
  /** Bytes that Node had read, before those that are read next. */
  readonly ahead: Uint8Array;
}

/** What travels: an envelope, or one of the others with a socket. */
interface Message {
  readonly envelope?: Envelope;
  readonly entry?: Entry;
  /** Only beside `entry`. */
  readonly ahead?: Uint8Array;
  readonly returned?: Returned;
  readonly moved?: Moved;
}

/** A child, or this process if it is one. */
export type IpcEnd = ChildProcess | NodeJS.Process;

/** What Node keeps of a socket. */
interface Handle {
  /** Less than 0: it is closed. */
  readonly fd?: number;
  reading?: boolean;
  readStop?(): number;
  close(): void;
}

function handleOf(socket: Socket): Handle | undefined {
  return (socket as unknown as { _handle: Handle | null })._handle ?? undefined;
}

const pollMs = 100;

/**
 * Calls the listener once when the other process is gone, at once if it has ended while this one was starting. Node emits no
 * 'disconnect' while it waits for the other to confirm a socket: who dies then would not be missed.
 */
export function whenGone(end: IpcEnd, listener: () => void): void {
  if (!end.connected) return listener();
  const gone = (): void => {
    clearInterval(timer);
    end.off('disconnect', gone);
    listener();
  };
  const timer = setInterval(() => {
    if (!end.connected) gone();
  }, pollMs).unref();
  end.on('disconnect', gone);
}

/** Calls when all that was said until now has left this process, Node's confirmations of sockets included; at once if the other is gone. */
export function whenWritten(end: IpcEnd, listener: () => void): void {
  if (!end.connected) listener();
  // Neither an envelope nor a frame: nobody listens to it.
  else end.send?.({}, undefined, {}, () => listener());
}

/**
 * Node begins to read a socket that comes over IPC before 'message' is emitted. Takes what it has read, and stops it: whoever
 * passes the socket on would lose what comes later.
 */
export function readAhead(socket: Socket): Buffer {
  const handle = handleOf(socket);
  const ahead = (socket.read() as Buffer | null) ?? Buffer.alloc(0);
  handle?.readStop?.();
  if (handle !== undefined) handle.reading = false;
  return ahead;
}

const noBytes = new Uint8Array();

/** @param socket undefined: the connection was closed on the way */
function receive(
  { envelope, entry, ahead, moved, returned }: Message,
  socket: Socket | undefined,
  to: Listeners,
): void {
  if (envelope !== undefined) for (const listener of to.envelopes) listener(envelope);
  if (socket === undefined) return;
  if (entry !== undefined) for (const listener of to.sockets) listener(entry, socket, ahead ?? noBytes);
  if (moved !== undefined) {
    const all = { ...moved, ahead: Buffer.concat([moved.ahead, readAhead(socket)]) };
    for (const listener of to.movers) listener(socket, all);
  }
  if (returned !== undefined) {
    const all = { ...returned, ahead: Buffer.concat([returned.ahead, readAhead(socket)]) };
    for (const listener of to.returners) listener(socket, all);
  }
}

interface Listeners {
  readonly envelopes: ((envelope: Envelope) => void)[];
  readonly sockets: ((entry: Entry, socket: Socket, ahead: Uint8Array) => void)[];
  readonly movers: ((socket: Socket, moved: Moved) => void)[];
  readonly returners: ((socket: Socket, returned: Returned) => void)[];
}

/** Undefined: it has been confirmed, or was no client. */
function unconfirmed(handle: Handle, moved: Moved | undefined): { socket: Socket; moved: Moved } | undefined {
  if (moved === undefined || (handle.fd ?? -1) < 0) return undefined;
  // The socket that had it has given it up when it was sent.
  const options = { handle, pauseOnCreate: true, readable: true, writable: true };
  return { socket: new Socket(options as SocketConstructorOpts), moved };
}

export function ipcWire(end: IpcEnd): SocketWire {
  const listeners: Listeners = { envelopes: [], sockets: [], movers: [], returners: [] };
  end.on('message', (message, handle) => receive(message as Message, handle as Socket | undefined, listeners));
  const unsent = new Map<Socket, Message>();
  /** The one that was sent last. Node closes the handle when the other process has confirmed it. */
  let lastSent: { readonly handle: Handle; readonly moved: Moved | undefined } | undefined;
  // Node sends one socket at a time, and forgets those that still wait when the other process is gone. Nothing was read from
  // these since: they come back. So does a client on its way that nobody has confirmed; a connection that has only come in is lost.
  whenGone(end, () => {
    const client = lastSent === undefined ? undefined : unconfirmed(lastSent.handle, lastSent.moved);
    if (client !== undefined) for (const listener of listeners.movers) listener(client.socket, client.moved);
    else lastSent?.handle.close();
    for (const [socket, { entry, ahead = noBytes, moved }] of unsent) {
      if (entry !== undefined) for (const listener of listeners.returners) listener(socket, { entry, ahead });
      if (moved !== undefined) for (const listener of listeners.movers) listener(socket, moved);
    }
    unsent.clear();
  });
  const sendWith = (socket: Socket, message: Message): boolean => {
    if (!end.connected) return false;
    const handle = handleOf(socket);
    unsent.set(socket, message);
    end.send?.(message, socket, { keepOpen: false }, (error) => {
      unsent.delete(socket);
      // The other process is gone.
      if (error !== null) socket.destroy();
      else if (handle !== undefined) lastSent = { handle, moved: message.moved };
    });
    return true;
  };
  return {
    send: (envelope) => {
      // An error means that the other process is gone: onClosed() tells.
      if (end.connected) end.send?.({ envelope }, undefined, {}, () => undefined);
    },
    onEnvelope: (listener) => void listeners.envelopes.push(listener),
    onClosed: (listener) => whenGone(end, listener),
    sendSocket: (entry, socket, ahead) => sendWith(socket, ahead === undefined ? { entry } : { entry, ahead }),
    onSocket: (listener) => void listeners.sockets.push(listener),
    sendBack: (socket, returned) => sendWith(socket, { returned }),
    onReturned: (listener) => void listeners.returners.push(listener),
    sendMoved: (socket, moved) => sendWith(socket, { moved }),
    onMoved: (listener) => void listeners.movers.push(listener),
    whenWritten: (listener) => whenWritten(end, listener),
  };
}
