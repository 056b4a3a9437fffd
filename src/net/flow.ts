/**
 * The rules of back-pressure. Sockets are paused and resumed by Wire alone: after every event it asks its handler
 * whether the peer may be read (`mayRead`), and the handler answers by these functions. The answer depends only on the
 * state at that moment, so that no resume can be missed.
 */

/*
 * | output to the client | output to the server | unprocessed input of the client | read the client? | read the server? |
 * |---|---|---|---|---|
 * | not full | not full | up to 64 kB | yes | yes |
 * | not full | full | any | no, until the output to the server has drained | yes |
 * | full | any | any | no, until the output to the client has drained | no, likewise |
 * | not full | not full | more than 64 kB | no, until the session processes its next request | yes |
 *
 * A client is not read either while its time slice is over (request/time-slice.ts).
 *
 * Each "no" ends with an event after which the wire asks again: an output has drained, the session goes on, or the server
 * connection is released.
 */

/** Where bytes are sent: a Wire, or an object that writes to one. */
export interface Outlet {
  /** Too many bytes wait to be sent, because the peer reads slowly. Absent: never. */
  readonly isFull?: boolean;
}

/** With more unprocessed input of a client than this, the client is not read. */
export const maxKeptBytes = 64 * 1024;

/**
 * @param server the server connection of the client, if it has one
 * @param keptBytes input of the client that the session has not processed yet
 */
export function mayReadClient(client: Outlet, server: Outlet | undefined, keptBytes: number): boolean {
  return !client.isFull && server?.isFull !== true && keptBytes <= maxKeptBytes;
}

/**
 * Is it time to probe a client that is not read? Since its socket is not read, its end would go unnoticed
 * (Wire.probe). It is probed in two consecutive seconds of every five: in two, because only the second write fails after
 * the peer has refused the first; not more often, because a client that is still connected receives the bytes.
 * @param unreadSeconds how long the client has not been read
 */
export function isToBeProbed(unreadSeconds: number): boolean {
  return unreadSeconds > 1 && unreadSeconds % 5 < 2;
}

/**
 * May a server be read, or either side of a replication connection?
 * @param receiver gets what is read; undefined: the server is idle, and is read to notice its end
 */
export function mayReadFor(receiver: Outlet | undefined): boolean {
  return receiver?.isFull !== true;
}
