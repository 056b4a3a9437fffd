/**
 * How a supervisor and the next one reach each other: through the process that has started both (parent.ts), which passes
 * on what they say, with sockets, and reads nothing of it. Types only.
 */
import type { Socket } from 'node:net';
import type { FixedSettings } from '../config/change.ts';
import type { OpenListener, PassedListener } from './listening.ts';

/** What one supervisor says to the other. Must survive a structured clone. */
export type Heard = (body: unknown, socket: Socket | undefined, ahead: Uint8Array) => void;

/** The next supervisor, as the one that works now has it. */
export interface SuccessorPort {
  /** False: it is gone, and the socket is still the caller's. @param ahead what was read from the socket on the way */
  send(body: unknown, socket?: Socket, ahead?: Uint8Array): boolean;
  onMessage(listener: Heard): void;
  /** Its process has ended; called once, with how, in words. */
  onEnded(listener: (how: string) => void): void;
  kill(): void;
}

/** The supervisor that works now, as the next one has it. When it is gone, so is this process. */
export interface PredecessorPort {
  send(body: unknown, socket?: Socket, ahead?: Uint8Array): boolean;
  /** Says something for the last time: from the moment in which that is heard, this process works. */
  tookOver(body: unknown): void;
  onMessage(listener: Heard): void;
}

/** Starts the next supervisor. */
export interface StartsSuccessor {
  start(listeners: readonly OpenListener[], fixed: FixedSettings): SuccessorPort;
}

/** What the next supervisor is told on its command line, as JSON. */
export interface SuccessorPost {
  readonly fixed: FixedSettings;
  readonly listeners: readonly (PassedListener & { readonly fd: number })[];
}

/** What a child says to the parent. Parents are of older versions than their children: this must not change. */
export type ToParent =
  /** The next listener of the next supervisor; its handle travels beside. */
  | { readonly do: 'listener' }
  | {
      readonly do: 'start';
      readonly id: string;
      readonly fixed: FixedSettings;
      readonly listeners: readonly PassedListener[];
    }
  | { readonly do: 'kill'; readonly id: string };

/** What the parent says to a child. */
export type FromParent =
  | { readonly do: 'signal'; readonly signal: NodeJS.Signals }
  | { readonly do: 'ended'; readonly id: string; readonly how: string };

/** What travels between parent and child. */
export interface Frame {
  /** To or from: the parent, the supervisor that works now, or a next one. */
  readonly at: 'parent' | 'current' | { readonly id: string };
  readonly body: unknown;
  readonly ahead?: Uint8Array | undefined;
  /**
   * The child that sends it works from now on: signals are for it, and its end is the end. It comes with the `body` that makes the
   * supervisor before stop, so that at every moment one of the two gets the signals.
   */
  readonly tookOver?: boolean;
}
