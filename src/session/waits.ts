/**
 * Everything that the next message of a client can wait for, what ends the wait, and what limits it. The watchdog
 * (request/stuck.ts) checks all of them.
 */

interface WaitFacts {
  /** What ends it, as text. */
  readonly until: string;
  /** What ends it otherwise, as text. */
  readonly atMost: string;
}

/** These end at once when a CancelRequest comes, or when the client is gone. */
export const cancellableWaits = {
  cache: {
    until: 'another client that has asked the same gets its answer',
    atMost: "the end of that client's request, in whatever way it ends",
  },
  node: { until: 'the topology changes so that a node can take the request', atMost: 'query_wait_timeout' },
  replica: { until: 'a probe finds a replica that has replayed enough', atMost: '25 ms' },
  server: { until: 'the pool hands out a server connection', atMost: 'query_wait_timeout' },
  'new server': {
    until: 'the pool has replaced a server connection by a new one',
    atMost: "the log-in's own time limit",
  },
} as const satisfies Record<string, WaitFacts>;

/** These always end soon; a CancelRequest that comes meanwhile is remembered, and the request is not sent. */
export const shortWaits = {
  answers: {
    until: 'the requests before it are answered',
    atMost: "PostgreSQL's own limits (statement_timeout) or a CancelRequest, which is passed on",
  },
  'server set-up': {
    until: 'the server connection has the settings of the session',
    atMost: 'the end of that connection; the watchdog',
  },
  'server reset': { until: 'the server connection that has its sequences is reset', atMost: 'the end of that reset' },
  announcement: { until: 'Redis has the word that tables are closed', atMost: 'the time limit of a Redis command' },
  visibility: { until: 'a commit that a replica has shown is visible on the primary', atMost: '250 ms' },
  'statement check': {
    until: 'the server has said what a statement is that it had to prepare anew',
    atMost: 'the end of that connection; the watchdog',
  },
  copy: { until: 'the server has said whether a COPY goes on', atMost: 'the end of that connection; the watchdog' },
  'hand-over': {
    until: 'the client is given to another process, or it is clear that it cannot be yet',
    atMost: 'the next turn of the event loop',
  },
  'rest of pipeline': {
    until: 'all that came with a refused BEGIN was read',
    atMost: 'the next turn of the event loop',
  },
} as const satisfies Record<string, WaitFacts>;

export type CancellableWait = keyof typeof cancellableWaits;
export type WaitKind = CancellableWait | keyof typeof shortWaits;
