/**
 * What this room gives to those who listen. Types only.
 */
import type { Server } from 'node:net';
import type { HostPort } from '../config/config.ts';

/** A listening socket that another process has opened, and will open again for the next Weir: systemd's. */
export interface OpenSocket {
  /** FileDescriptorName= of the socket unit; by default the name of the unit. */
  readonly name: string;
  /** Of a Unix socket, its path. */
  readonly address: HostPort | string;
  /** Makes `server` accept on it from now on: first those who have connected already. */
  moveTo(server: Server): void;
}
