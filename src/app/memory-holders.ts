/**
 * The clients that hold much memory, each for the reason for which it holds most; and how one is ended. Called by memory.ts.
 */
import { WeirError } from '../errors/errors.ts';
import { shedReasons, type Holder, type ShedReason } from '../memory/types.ts';
import type { ClientSession } from '../request/client.ts';
import { heldBytes, isInTransaction } from '../request/held.ts';

const words: Readonly<Record<ShedReason, string>> = {
  unread: 'answers that it does not read',
  statement: 'texts and values of its statements',
  prepared: 'prepared statements',
};

export interface ClientHolder extends Holder {
  readonly session: ClientSession;
}

export function* holdersOf(sessions: Iterable<ClientSession>): Generator<ClientHolder> {
  for (const session of sessions) {
    const held = heldBytes(session);
    const bytes = shedReasons.reduce((sum, each) => sum + held[each], 0);
    const reason = shedReasons.reduce((most, each) => (held[each] > held[most] ? each : most));
    const shed = (): void => session.shed(new WeirError('memory_shed', { bytes, what: words[reason] }));
    yield { session, reason, bytes, isInTransaction: isInTransaction(session), shed };
  }
}

/** For the log: what the client held. */
export function wordsOf(reason: ShedReason): string {
  return words[reason];
}
