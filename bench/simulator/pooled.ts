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
}

export class Pooled {
  readonly pool: Pool;
  resizes = 0;
  readonly said: string[] = [];
  private readonly events: Events;
  private readonly turn = new TurnWriter();
  private readonly loop: ResizeLoop;
  private ids = 0;

  constructor(events: Events, random: () => number, { settings, resize, mode, connectionLimit }: PooledOptions) {
    this.events = events;
    const budget = new NodeBudget();
    budget.limit = connectionLimit;
    this.pool = new Pool({
      ...{ database: 'shop', user: 'app', node: 'db1', settings, budget, random },
      nowMs: () => events.nowMs(),
      connect: (onClosed) => new Promise((resolve) => events.after(loginMs, () => resolve(this.connected(onClosed)))),
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

  giveBack(server: ServerConnection): void {
    server.holders.remove(client);
    this.pool.checkin(server, false);
  }
}
