/**
 * The pins of a session: reasons to keep its server. After a DROP, CLOSE, UNLISTEN or pg_advisory_unlock() the server
 * is asked whether anything of the reason is left, since the statement alone does not tell. No client waits for the
 * answer: requests sent meanwhile follow it on the connection. state.ts stores the pins with the settings, because a
 * rollback restores both.
 */
import type { ServerConnection } from '../../backend/server.ts';
import type { PinReason, Plan } from '../../binding/plan.ts';
import { pins } from '../../binding/session-state.ts';
import { TxStatus } from '../../protocol/codes.ts';
import type { Request } from '../request.ts';
import type { Concern, ConcernOwner } from './concern.ts';

export class Pins implements Concern {
  private readonly session: ConcernOwner;
  /** Pins that may have ended: the server is asked as soon as it is idle. */
  private ends: Set<PinReason> | undefined;

  constructor(session: ConcernOwner) {
    this.session = session;
  }

  /* ---- moments ---- */

  effectsDone({ effects }: Plan): void {
    this.session.state.applyEffects(effects);
  }

  /** Pins that a rollback does not undo remain even though the text failed. */
  effectsInPart({ effects, mayCommit }: Plan): void {
    this.session.state.pinForGood(effects, mayCommit);
  }

  readyForQuery(request: Request, status: number): void {
    const { state } = this.session;
    if (!state.isPinned) return;
    for (const { effects } of request.plans) {
      for (const reason of effects.mayEnd) if (state.pins.has(reason)) (this.ends ??= new Set()).add(reason);
    }
    if (this.ends !== undefined && status === TxStatus.Idle) this.askForEnds();
  }

  private askForEnds(): void {
    const { ends, session } = this;
    const { server } = session;
    if (ends === undefined || server === undefined) return;
    if (session.inFlight.length > 0 || !server.isQuiet || session.poolMode === 'session') return;
    this.ends = undefined;
    for (const reason of ends) {
      const { isGone } = pins[reason];
      if (isGone !== undefined) this.askForEnd(server, reason, isGone);
    }
  }

  private askForEnd(server: ServerConnection, reason: PinReason, isGone: string): void {
    const { session } = this;
    const { timesPinned } = session.state;
    const answered = (isGoneByNow: boolean): void => {
      // Requests sent meanwhile are answered after this, perhaps in the same chunk: if one of them pins,
      // `timesPinned` has changed.
      if (session.server !== server || !isGoneByNow || session.state.timesPinned !== timesPinned) return;
      session.state.unpin(reason);
      session.release();
    };
    server.run(`SELECT ${isGone}`).then(
      (value) => answered(value === 't'),
      () => undefined,
    );
  }
}
