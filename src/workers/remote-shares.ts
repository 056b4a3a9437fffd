/**
 * The shares of this Weir in the connections of each server, as the lead reaches them: the supervisor keeps them, because it
 * hands out the places. Made by app/create-shared-budget.ts.
 */
import type { SayOptions, Saying, ShareKeeper, Showing } from '../shares/share-book.ts';
import type { Answer, Others } from '../shares/types.ts';
import type { SupervisorChannel } from './messages.ts';

export class RemoteShares implements ShareKeeper {
  private readonly channel: Pick<SupervisorChannel, 'ask'>;

  constructor(channel: Pick<SupervisorChannel, 'ask'>) {
    this.channel = channel;
  }

  say(server: string, options: SayOptions): Promise<Saying> {
    return this.channel.ask('shareSay', { server, options });
  }

  hear(server: string, seq: number, answer: Answer): Promise<void> {
    return this.channel.ask('shareHear', { server, seq, answer });
  }

  show(server: string): Promise<Showing> {
    return this.channel.ask('shareShow', server);
  }

  shown(server: string, atMs: number, others: Others): Promise<void> {
    return this.channel.ask('shareShown', { server, atMs, others });
  }

  drop(server: string): Promise<void> {
    return this.channel.ask('shareDrop', server);
  }
}
