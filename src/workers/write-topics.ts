/**
 * What workers and the supervisor say about writes whose clients wait until all workers know of them. Types only.
 */

export interface Writes {
  /** Of the writes, or of their ends, as their messages have them (cache/guard.ts). */
  readonly tokens: readonly string[];
  /** A worker that has not heard of an earlier one for so long has no lease any more: it is not waited for. */
  readonly patienceMs: number;
}

export interface WriteTopicsOfWorker {
  /** Answered when the other workers know of these writes. */
  readonly writes: { readonly body: Writes; readonly reply: undefined };
}

export interface WriteTopicsOfSupervisor {
  /** Answered when this worker knows of these writes. */
  readonly writes: { readonly body: readonly string[]; readonly reply: undefined };
}
