/**
 * Options of every socket on which Weir listens for clients, whoever has opened it.
 */

/** Connections that wait to be accepted; the kernel uses the smaller of this and net.core.somaxconn. */
export const backlog = 4096;

/** For net.createServer. Keepalive, so that a client that disappears without closing its connection is noticed. */
export const clientSocketOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 } as const;
