/**
 * What a server has said while Weir logged in: how to cancel on it, what it reports, its notices. Made by server.ts.
 */
import type { ServerLink } from './login.ts';

export class LoginResult {
  readonly processId: number;
  readonly secretKey: Buffer;
  readonly hasTls: boolean;
  readonly connectedAtMs: number;
  /** What the server reports (ParameterStatus), at the log-in and since. */
  readonly parameters: Map<string, string>;
  private notices: readonly Buffer[];

  constructor(link: ServerLink, connectedAtMs: number) {
    this.processId = link.processId;
    this.secretKey = link.secretKey;
    this.hasTls = link.hasTls;
    this.connectedAtMs = connectedAtMs;
    this.parameters = link.parameters;
    this.notices = link.notices;
  }

  get hasNotices(): boolean {
    return this.notices.length > 0;
  }

  /** The NoticeResponse messages of the log-in: for the client that the server was opened for, and for no other one. */
  takeNotices(): readonly Buffer[] {
    const { notices } = this;
    this.notices = [];
    return notices;
  }
}
