/**
 * What this room gives to those who listen. Types only.
 */
import type { Server, Socket } from 'node:net';
import type { HostPort } from '../config/config.ts';

/** A listening socket that another process has opened, and will open again for the next Weir: systemd's. */
export interface OpenSocket {
  /** FileDescriptorName= of the socket unit; by default the name of the unit. */
  readonly name: string;
  /** Undefined: a Unix socket, whose path Node does not know. */
  readonly address: HostPort | undefined;
  /** Passes on those who connect, first those who have connected already. */
  onConnection(listener: (socket: Socket) => void): void;
  onError(listener: (error: Error) => void): void;
  /** Makes an HTTP server listen on it; only for TCP. */
  moveTo(server: Server): void;
  /** Those who connect later wait for the next Weir. */
  close(): void;
  /** For a process that shall listen there, too. */
  handle(): ListenHandle;
}

/** The handle of a listening server in Node, which has no public name. */
export interface ListenHandle {
  readonly fd: number;
  close(): void;
}
