/**
 * What the workers of one Weir ask each other about log-ins, so that a client need not wait for a server to hear what another
 * worker knows. Types only.
 */

/** The parameters that a server reports to a session, by name. */
export type Reported = ReadonlyMap<string, string>;

export interface WelcomeQuestion {
  readonly database: string;
  readonly user: string;
  /** Settings.key of the client. */
  readonly settings: string;
  /**
   * The defaults of new sessions that the asker knows of: under others, other parameters may be reported. Undefined: the asker only
   * wants to know whether the user could log in.
   */
  readonly defaults: string | undefined;
}

export interface WelcomePeers {
  /** Undefined: no other worker knows, or none has answered in time. Never rejects. */
  ask(question: WelcomeQuestion): Promise<Reported | undefined>;
}
