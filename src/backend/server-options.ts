/** What a ServerConnection is made of. Types only. */
import type { NodeConfig } from '../config/config.ts';
import type { TurnWriter } from '../net/turn.ts';
import type { ServerLink } from './login.ts';

/** Told of what happens to a connection: app/server-logins.ts, which tells the pool. `Server`: the type of the connection. */
export interface ServerOwner<Server> {
  closed(server: Server, why: string): void;
  /** A bug of Weir's: counted and logged. */
  unexpected(error: Error): void;
}

/** `Server`: the connection that is made of them. */
export interface ServerOptions<Server> {
  readonly id: number;
  readonly node: NodeConfig;
  readonly link: ServerLink;
  readonly turn: TurnWriter;
  readonly maxPreparedStatements: number;
  readonly nowMs: number;
  readonly owner: ServerOwner<Server>;
}
