/**
 * Back-pressure, in one place. Nobody pauses or resumes a socket: each wire asks its handler after every event whether
 * its peer may be read (`mayRead`), and the answer follows from what is the case at that moment, never from what
 * happened before. Pure.
 */

/*
 * | the client's output | the server's output | kept of the client's input | client is read | server is read |
 * |---|---|---|---|---|
 * | has room | has room | little | yes | yes |
 * | has room | full | any | no, until the server has taken what it was sent | yes |
 * | full | any | any | no, until the client has taken what it was told | no, likewise |
 * | has room | has room | much | no, until the session takes its next request | yes |
 *
 * Each "no" ends with an event that asks again: a wire has drained, the session goes on, the server leaves the client.
 */

/** What takes bytes for somebody: a wire, or whoever writes to one. */
export interface Outlet {
  /** The peer is slower than what it is sent. Absent: never. */
  readonly isFull?: boolean;
}

/** Input that is kept while the session waits for something; beyond it the client is not read. */
export const maxKeptBytes = 64 * 1024;

/** @param server what the client's requests are sent to, as long as it has one */
export function mayReadClient(client: Outlet, server: Outlet | undefined, keptBytes: number): boolean {
  return !client.isFull && server?.isFull !== true && keptBytes <= maxKeptBytes;
}

/**
 * The end of a client that is not read is not seen either, so it is written to (Wire.probe): each time twice, because the
 * first only brings the answer that nobody is there, which the second one meets. Rarely, because a client that is still
 * there gets these bytes, too.
 * @param unreadSeconds for so long has it not been read
 */
export function isToBeProbed(unreadSeconds: number): boolean {
  return unreadSeconds > 1 && unreadSeconds % 5 < 2;
}

/**
 * Whether a server may be read, or either end of what is only relayed.
 * @param receiver whoever gets what is read next; nobody: a server is idle, and its end is to be noticed
 */
export function mayReadFor(receiver: Outlet | undefined): boolean {
  return receiver?.isFull !== true;
}
