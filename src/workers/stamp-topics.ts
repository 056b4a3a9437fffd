/**
 * What a worker and the supervisor say about shared stamps: commands one way, answers and messages the other way, in lists,
 * because many fall due in one turn of the event loop and a message between processes has its price. Types only.
 */
import type { Tag } from '../binding/plan.ts';
import type { EntryWrite, HelloReply, HelloRequest, OpenReply, ReadReply } from '../cache/transport.ts';

/** By kind: what a command says, and its answer (transport.ts). */
export interface StampCalls {
  /** From now on all messages are wanted. The first command on each connection. */
  readonly subscribe: { readonly body: undefined; readonly reply: undefined };
  readonly hello: { readonly body: HelloRequest; readonly reply: HelloReply };
  readonly read: {
    readonly body: { readonly tags: readonly Tag[]; readonly entryName: string };
    readonly reply: ReadReply;
  };
  readonly close: { readonly body: Closing; readonly reply: string };
  readonly open: { readonly body: Opening; readonly reply: OpenReply };
  readonly store: { readonly body: EntryWrite; readonly reply: boolean };
  readonly tagsLike: {
    readonly body: { readonly patterns: readonly string[]; readonly most: number };
    readonly reply: readonly Tag[] | undefined;
  };
  readonly remove: { readonly body: string; readonly reply: undefined };
  readonly leave: { readonly body: undefined; readonly reply: undefined };
}

interface Closing {
  readonly tags: readonly Tag[];
  readonly token: string;
  readonly note: string;
}

interface Opening {
  readonly tags: readonly Tag[];
  readonly token: string;
  readonly bump: boolean;
}

export type StampKind = keyof StampCalls;

export type StampCommand = {
  readonly [Kind in StampKind]: { readonly id: number; readonly kind: Kind; readonly body: StampCalls[Kind]['body'] };
}[StampKind];

export type StampWord =
  | { readonly kind: 'answer'; readonly id: number; readonly body: StampCalls[StampKind]['reply'] }
  /** The command was not carried out, because of a bug. */
  | { readonly kind: 'failure'; readonly id: number; readonly why: string }
  /** As messages.ts reads it. */
  | { readonly kind: 'message'; readonly text: string };

export interface StampTopicsOfWorker {
  /** To be carried out in this order. `member`: the instance ID of the worker's cache. */
  readonly stamps: {
    readonly body: { readonly member: string; readonly commands: readonly StampCommand[] };
    readonly reply: undefined;
  };
}

export interface StampTopicsOfSupervisor {
  /** In the order in which commands were carried out and messages published. */
  readonly stamps: { readonly body: readonly StampWord[]; readonly reply: undefined };
}
