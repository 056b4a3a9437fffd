/**
 * Connections of which Weir has taken no byte and to which it has sent none: they can be given away as if they had never come here.
 * A worker that is replaced does so. Made by client-acceptor.ts; login.ts adds and removes them.
 */
import type { Socket } from 'node:net';
import { canGiveAway, giveAway } from '../net/give-away.ts';
import type { MessageReader } from '../net/message-reader.ts';
import type { Layer } from './startup.ts';
import type { GiveConnection } from './types.ts';

/** The log-in of a connection ends with it when the connection was given away. */
export class GivenAwayError extends Error {
  constructor() {
    super('the connection was given away');
    this.name = 'GivenAwayError';
  }
}

interface Fresh {
  readonly socket: Socket;
  readonly layer: 'plain' | 'local';
}

export class FreshConnections {
  private readonly all = new Map<MessageReader, Fresh>();

  add(reader: MessageReader, socket: Socket, layer: Layer): void {
    if (layer === 'plain' || layer === 'local') this.all.set(reader, { socket, layer });
  }

  /** Its first packet is complete, it was sent something, or its log-in is over. */
  delete(reader: MessageReader): void {
    this.all.delete(reader);
  }

  giveAll(give: GiveConnection): void {
    for (const [reader, { socket, layer }] of this.all) {
      if (!reader.isWaiting || !canGiveAway(socket)) continue;
      this.all.delete(reader);
      reader.fail(new GivenAwayError());
      const unread = reader.detach();
      const { socket: given, unread: ahead } = giveAway(socket);
      if (!give(layer, given, Buffer.concat([unread, ahead]))) given.destroy();
    }
  }
}
