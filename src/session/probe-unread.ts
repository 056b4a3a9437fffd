/**
 * Finds out whether a client that is not read is still there: its end would not be seen. Called about once a second by the
 * session. How it works is at Wire.probe, how often it is done at isToBeProbed.
 */
import { isToBeProbed } from '../net/flow.ts';
import type { Wire } from '../net/wire.ts';
import { parameterStatus } from '../protocol/write.ts';
import type { Session } from './session.ts';

/** A session that counts for how many seconds its socket has not been read. */
interface Unread extends Session {
  unreadSeconds: number;
}

/** Every client takes a ParameterStatus at any time, and this one is the same in every server. */
const knownToAll = parameterStatus('integer_datetimes', 'on');

export function probeUnread(session: Unread): void {
  session.unreadSeconds = session.wire.isReading ? 0 : session.unreadSeconds + 1;
  probeClient(session.wire, session.unreadSeconds, session.server?.streamFor !== session.receiver);
}

/** @param mayWrite it is not in the middle of a message to it */
export function probeClient(wire: Wire, unreadSeconds: number, mayWrite: boolean): void {
  if (isToBeProbed(unreadSeconds) && mayWrite) wire.probe(knownToAll);
}
