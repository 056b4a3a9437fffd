/**
 * What a server has reported after its log-in, and what is made of it for each client that logs in: computed once, because it is the
 * same for all of them. Made and kept by welcome.ts.
 */
import { parameterStatus } from '../protocol/write.ts';
import type { Reported } from './welcome-types.ts';

export class Learned {
  readonly reported: Reported;
  /** Notices of the server's log-in, if it was opened for this client. */
  readonly notices: readonly Buffer[];
  /** Another worker has asked the server. */
  readonly isHearsay: boolean;
  private lowerCase: Reported | undefined;
  private messages: Buffer | undefined;

  constructor(reported: Reported, { notices = [] as readonly Buffer[], isHearsay = false } = {}) {
    this.reported = reported;
    this.notices = notices;
    this.isHearsay = isHearsay;
  }

  /** As what is kept for later clients, who do not get the notices. */
  withoutNotices(): Learned {
    return this.notices.length === 0 ? this : new Learned(this.reported);
  }

  /** `reported` with the names in lower case. */
  get byLowerName(): Reported {
    this.lowerCase ??= new Map([...this.reported].map(([name, value]) => [name.toLowerCase(), value]));
    return this.lowerCase;
  }

  /** `reported` as ParameterStatus messages. */
  get statuses(): Buffer {
    this.messages ??= statusesOf(this.reported);
    return this.messages;
  }
}

/** @returns a ParameterStatus message for each */
export function statusesOf(reported: Reported): Buffer {
  return Buffer.concat([...reported].map(([name, value]) => parameterStatus(name, value)));
}
