/**
 * Gives a client away with its socket and its whole session (session/packed.ts), as soon as the session is at rest: between
 * two requests, outside of a transaction, without a server connection. The client may go on sending: what was not read waits
 * in the kernel. A client that sends requests without waiting for answers is not read for a moment, until all are answered.
 * Made by app/hand-overs.ts.
 */
import type { Socket } from 'node:net';
import { canGiveAway } from '../net/give-away.ts';
import { TxStatus } from '../protocol/codes.ts';
import { packSession, type PackedSession } from '../session/packed.ts';
import type { ClientSession } from './client.ts';

export interface HandedOver {
  readonly socket: Socket;
  readonly packed: PackedSession;
}

/** After this time, state is given up whose loss a client can hardly notice (Concern.holdsUp). */
const lateAfterMs = 2_000;
const pollMs = 5;

export class HandOver {
  /** Resolves to undefined if the client has left, or cancel() was called. */
  readonly done: Promise<HandedOver | undefined>;
  private readonly session: ClientSession;
  private readonly sinceMs: number;
  private readonly timer: NodeJS.Timeout;
  private finish: (handedOver: HandedOver | undefined) => void = () => undefined;
  private why: string | undefined;
  private isScheduled = false;
  private isOver = false;

  constructor(session: ClientSession) {
    this.session = session;
    this.sinceMs = session.services.nowMs();
    this.done = new Promise((resolve) => (this.finish = resolve));
    this.timer = setInterval(() => this.poll(), pollMs);
    this.schedule();
  }

  /** What it waits for, as text; undefined: nothing any more. */
  get waitsFor(): string | undefined {
    return this.why;
  }

  /** The session goes on here. */
  cancel(): void {
    this.end(undefined);
  }

  /** A request was answered, or the session has ended. */
  schedule(): void {
    if (this.isScheduled || this.isOver) return;
    this.isScheduled = true;
    // Not at once: the answer may not have been passed on yet.
    setImmediate(() => this.attempt());
  }

  private poll(): void {
    if (canBecomeQuiet(this.session)) this.session.whenQuiet(() => this.quiet());
    else this.schedule();
  }

  /** All requests are answered: reads no other one until attempt(). */
  private quiet(): void {
    if (this.isOver) return;
    this.session.waiting('hand-over');
    this.schedule();
  }

  private attempt(): void {
    this.isScheduled = false;
    const { session } = this;
    const isLate = session.services.nowMs() - this.sinceMs > lateAfterMs;
    if (session.isClosed) return this.end(undefined);
    session.wire.writeNow();
    this.why = this.isOver ? 'nothing' : reasonToStay(session, isLate);
    if (this.why !== undefined) return goOn(session);
    // Packs first: the end of the wire ends the session.
    const unread = session.scanner.takeUnread();
    const packed = packSession(session, unread);
    // The other process counts them.
    session.wire.receivedBytes -= unread.length;
    const { socket, unread: ahead } = session.wire.giveAway();
    this.end({ socket, packed: ahead.length === 0 ? packed : { ...packed, unread: Buffer.concat([unread, ahead]) } });
  }

  private end(handedOver: HandedOver | undefined): void {
    if (this.isOver) return;
    this.isOver = true;
    clearInterval(this.timer);
    this.session.handOver = undefined;
    this.finish(handedOver);
  }
}

/** Ends the wait of quiet(). */
function goOn(session: ClientSession): void {
  if (session.phase === 'hand-over') session.goOn(() => undefined);
}

/** If no further request is read, all will be answered: nothing that was sent needs more from the client. */
function canBecomeQuiet({ isReady, inFlight, intake, scanner, state }: ClientSession): boolean {
  if (!isReady || inFlight.length === 0 || state.isPinned) return false;
  if (!intake.isBetweenRequests || !scanner.isBetweenMessages) return false;
  for (let i = 0; i < inFlight.length; i++) {
    const request = inFlight.at(i);
    if (request?.planned.mayCopyIn !== false || request.form.isStreamed) return false;
  }
  return true;
}

/** @returns why the session cannot be handed over now; undefined: it is at rest */
export function reasonToStay(session: ClientSession, isLate: boolean): string | undefined {
  const { state, wire, phase, intake, scanner } = session;
  if (!wire.isOpen || !canGiveAway(wire.socket)) return 'its end';
  if ((phase !== 'reading' && phase !== 'hand-over') || session.inFlight.length > 0 || session.again.length > 0)
    return 'the answer to a request';
  if (session.status !== TxStatus.Idle) return 'the end of its transaction';
  if (state.isPinned) return `the end of a reason to keep its server: ${[...state.pins].join(', ')}`;
  if (session.keepsServer) return 'the end of the client: pool_mode is session';
  if (session.server !== undefined) return 'the return of its server connection';
  if (!state.isAtRest) return 'what its server reports';
  const isBetween = intake.isBetweenRequests && intake.first === undefined && !intake.isSkipping;
  if (!isBetween || !scanner.isBetweenMessages) return 'the rest of a request';
  if (session.timeSlice.isOver) return 'its turn';
  if (!wire.isDrained) return 'the client to read its answers';
  return session.moments.holdsUp(isLate);
}
