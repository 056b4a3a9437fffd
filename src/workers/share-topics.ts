/**
 * What the lead says to the supervisor about the shares of this Weir in the connections of servers (host:port): see
 * shares/share-book.ts. Types only.
 */
import type { SayOptions, Saying, Showing } from '../shares/share-book.ts';
import type { Answer, Others } from '../shares/types.ts';

export interface ShareTopicsOfWorker {
  readonly shareSay: {
    readonly body: { readonly server: string; readonly options: SayOptions };
    readonly reply: Saying;
  };
  readonly shareHear: {
    readonly body: { readonly server: string; readonly seq: number; readonly answer: Answer };
    readonly reply: void;
  };
  readonly shareShow: { readonly body: string; readonly reply: Showing };
  readonly shareShown: {
    readonly body: { readonly server: string; readonly atMs: number; readonly others: Others };
    readonly reply: void;
  };
  readonly shareDrop: { readonly body: string; readonly reply: void };
}
