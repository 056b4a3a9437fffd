/**
 * What the clients of a server connection have left in its session, as far as the next client needs to know. Written by
 * session/ and request/, compared there with what a client needs; pool/reset.ts clears it after DISCARD ALL.
 */
import { PreparedSet } from './prepared-set.ts';

export class ServerSessionState {
  readonly prepared: PreparedSet;
  /** Identity of the settings that the session has; compared by session/settings.ts. */
  settings: unknown = undefined;
  /** Custom settings that were ever set: not even DISCARD ALL removes them. */
  customSettings: Set<string> | undefined;
  /** The client whose sequence values currval() and lastval() return (session/concerns/sequences.ts). */
  sequencesOf: object | 'several' | undefined;
  /** There may be more than what is noted here: DISCARD ALL must run before another client gets the server. */
  isSuspect = false;

  constructor(maxPreparedStatements: number) {
    this.prepared = new PreparedSet(maxPreparedStatements);
  }

  /** @param keepsSequences the server was reset without DISCARD SEQUENCES */
  wasReset(keepsSequences: boolean): void {
    if (!keepsSequences) this.sequencesOf = undefined;
    this.prepared.clear();
    this.prepared.unnamed = undefined;
    this.settings = undefined;
    this.isSuspect = false;
  }
}
