/**
 * Finds out whether a client whose socket is paused is still connected: without reading, its end would go unnoticed.
 * Called by the session about once a second. Wire.probe explains how, isToBeProbed how often.
 */
import { isToBeProbed } from '../net/flow.ts';
import type { Wire } from '../net/wire.ts';
import { parameterStatus } from '../protocol/write.ts';
import type { Session } from './session.ts';

/** A session that counts the seconds in which its socket was not read. */
interface Unread extends Session {
  unreadSeconds: number;
}

/** Every client accepts a ParameterStatus at any time, and this value is the same on every server. */
const knownToAll = parameterStatus('integer_datetimes', 'on');

export function probeUnread(session: Unread): void {
  session.unreadSeconds = session.wire.isReading ? 0 : session.unreadSeconds + 1;
  probeClient(session.wire, session.unreadSeconds, session.server?.streamFor !== session.receiver);
}

/** @param mayWrite no message to the client is half sent */
export function probeClient(wire: Wire, unreadSeconds: number, mayWrite: boolean): void {
  if (isToBeProbed(unreadSeconds) && mayWrite) wire.probe(knownToAll);
}
