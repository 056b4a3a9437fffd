/**
 * The pool and the resize controller of Weir, as they are, in front of a simulated node: only the connections and the clock are
 * not real.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { ServerConnection, type AnswerReceiver } from '../../src/backend/server.ts';
import type { NodeConfig, PoolSettings } from '../../src/config/config.ts';
import { TurnWriter } from '../../src/net/turn.ts';
import { NodeBudget } from '../../src/pool/budget.ts';
import { Pool } from '../../src/pool/pool.ts';
import { createResizeLoop, resizeEveryMs, type ResizeLoop } from '../../src/sizing/resize-loop.ts';
import { AtOnceLoop, type ResizeMode } from '../../src/sizing/at-once-loop.ts';
import type { ResizeSettings } from '../../src/sizing/types.ts';
import type { NodeState } from '../../src/topology/types.ts';
import type { Events } from './events.ts';
import type { SimulatedNode } from './node.ts';

const sweepEveryMs = 100;
/** fork(), SCRAM and the first statements on a machine of today. */
const loginMs = 8;

const node: NodeConfig = {
  name: 'db1',
  host: 'db1',
  port: 5432,
  database: 'shop',
  user: 'app',
  password: undefined,
  weight: 1,
};

const nothing = (): void => undefined;
const client: AnswerReceiver = {
  ...{ relay: nothing, completed: nothing, errored: nothing, noticed: nothing, parameterChanged: nothing },
  ...{ ready: nothing, lost: nothing, heldUp: nothing, drained: nothing },
};

/** The other end of a connection that says nothing. */
class Silence extends Duplex {
  override _read(): void {
    return undefined;
  }

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
  }
}

export interface PooledOptions {
  readonly settings: PoolSettings;
  readonly resize: ResizeSettings;
  readonly mode: ResizeMode;
  /** max_connections of the server. */
  readonly connectionLimit: number;
  /** Log-ins at the same time; undefined: as many as the pool begins. PgBouncer: 1. */
  readonly loginsAtOnce: number | undefined;
}

export class Pooled {
  readonly pool: Pool;
  resizes = 0;
  readonly said: string[] = [];
  private readonly events: Events;
  private readonly turn = new TurnWriter();
  private readonly loop: ResizeLoop;
  private ids = 0;
  private readonly loginQueue: (() => void)[] = [];
  private logins = 0;
  private readonly loginsAtOnce: number;
  private readonly server: SimulatedNode;

  constructor(events: Events, random: () => number, server: SimulatedNode, options: PooledOptions) {
    const { settings, resize, mode, connectionLimit } = options;
    this.events = events;
    this.server = server;
    this.loginsAtOnce = options.loginsAtOnce ?? Infinity;
    const budget = new NodeBudget();
    budget.limit = connectionLimit;
    this.pool = new Pool({
      ...{ database: 'shop', user: 'app', node: 'db1', settings, budget, random },
      nowMs: () => events.nowMs(),
      connect: (onClosed) => this.connect(onClosed),
      onResize: () => void this.resizes++,
      onOverload: nothing,
    });
    const state = { name: 'db1', config: node, connectionLimit } as NodeState;
    this.loop = createResizeLoop({
      clock: events,
      sources: {
        pools: () => [this.pool],
        topologies: () => [
          {
            database: 'shop',
            snapshot: () => ({ database: 'shop', primary: state, replicas: [], nodes: [state], epoch: 1 }),
          },
        ],
        settings: () => resize,
        poolSettings: () => settings,
      },
      onError: (error) => {
        throw error;
      },
    });
    const atOnce = new AtOnceLoop({
      pools: () => [this.pool],
      mode: () => mode,
      isBusy: () => false,
      nowMs: () => events.nowMs(),
      onError: (error) => {
        throw error;
      },
      say: (_pool, message) => void this.said.push(`${Math.round(events.nowMs())} ms: ${message}`),
    });
    this.every(sweepEveryMs, () => this.pool.sweep());
    this.every(resizeEveryMs, () => {
      this.loop.tick();
      atOnce.tick();
    });
  }

  private every(ms: number, happens: () => void): void {
    this.events.after(ms, () => {
      happens();
      this.every(ms, happens);
    });
  }

  private connect(onClosed: (server: ServerConnection) => void): Promise<ServerConnection> {
    return new Promise((resolve, reject) => {
      const over = (): void => {
        this.logins--;
        this.loginQueue.shift()?.();
        // A ConnectProblem, which Pool takes from the connector.
        if (this.server.isDown) reject({ message: 'connection refused', isServerFull: false });
        else resolve(this.connected(onClosed));
      };
      const begin = (): void => {
        this.logins++;
        this.events.after(this.server.isDown ? 1 : loginMs, over);
      };
      if (this.logins < this.loginsAtOnce) begin();
      else this.loginQueue.push(begin);
    });
  }

  private connected(onClosed: (server: ServerConnection) => void): ServerConnection {
    const id = ++this.ids;
    const link = {
      ...{ socket: new Silence() as unknown as Socket, leftover: Buffer.alloc(0), notices: [], parameters: new Map() },
      ...{ processId: id, secretKey: Buffer.alloc(4), hasTls: false },
    };
    return new ServerConnection({
      ...{ id, node, link, turn: this.turn, maxPreparedStatements: 100, nowMs: this.events.nowMs() },
      owner: {
        closed: (gone) => onClosed(gone),
        unexpected: (error) => {
          throw error;
        },
      },
    });
  }

  /** The client has the server from now on. */
  take(server: ServerConnection): void {
    server.holders.add(client);
  }

  /** Its client has left in mid-statement, or the node is gone. */
  end(server: ServerConnection, why: string): void {
    server.holders.remove(client);
    server.destroy(why);
    this.events.needsTurn();
  }

  giveBack(server: ServerConnection): void {
    server.holders.remove(client);
    this.pool.checkin(server, false);
  }
}
