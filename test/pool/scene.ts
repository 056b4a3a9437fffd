/**
 * A pool with everything around it in the test's hands: log-ins that succeed or fail when the test says so, a clock that
 * it moves, and a PostgreSQL behind each connection that can do nothing but DISCARD ALL.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { expect } from 'vitest';
import { ServerConnection, type AnswerReceiver } from '../../src/backend/server.ts';
import { shownState } from '../../src/backend/server-state.ts';
import type { NodeConfig, PoolSettings } from '../../src/config/config.ts';
import type { WeirError } from '../../src/errors/errors.ts';
import { TurnWriter } from '../../src/net/turn.ts';
import { NodeBudget } from '../../src/pool/budget.ts';
import type { Budget } from '../../src/pool/budget-types.ts';
import { Pool, type ConnectProblem } from '../../src/pool/pool.ts';
import type { QueueEntry } from '../../src/pool/wait-line.ts';
import type { Waiter } from '../../src/pool/waiter.ts';
import { commandComplete, errorResponse, readyForQuery } from '../../src/protocol/write.ts';
import { createManualClock, type ManualClock } from '../../src/util/clock.ts';
import { defaults } from '../config/defaults.ts';

export const poolSettings: PoolSettings = {
  ...defaults.pool,
  poolMode: 'transaction',
  defaultPoolSize: 2,
  minPoolSize: 0,
  maxPoolSize: 10,
  maxDbConnections: 0,
  queryWaitTimeoutMs: 10_000,
  serverLifetimeMs: 3_600_000,
  serverIdleTimeoutMs: 600_000,
  serverRoundRobin: false,
  serverConnectTimeoutMs: 5_000,
  serverLoginRetryMs: 2_000,
  clientIdleTimeoutMs: 0,
  idleTransactionTimeoutMs: 0,
  maxPreparedStatements: 100,
};

const node: NodeConfig = {
  name: 'db1',
  host: '127.0.0.1',
  port: 5432,
  database: 'shop',
  user: 'app',
  password: undefined,
  weight: 1,
};

/** The other end of a connection: notes what is sent and answers DISCARD ALL as `onReset` says. */
class FakeSocket extends Duplex {
  onReset: 'done' | 'error' | 'silence' = 'done';
  /** The same for server_check_query, which must be `<empty>`. */
  onCheck: 'done' | 'error' | 'silence' | 'transaction' = 'done';
  said = '';

  override _read(): void {
    return undefined;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const text = chunk.toString('latin1');
    this.said += text;
    if (text.includes('DISCARD ALL')) this.answerReset();
    if (text.endsWith('Q\0\0\0\x05\0')) this.answerCheck();
    done();
  }

  /** As PostgreSQL does: the backend ends, and then its end of the connection is closed. */
  override _final(done: () => void): void {
    done();
    setImmediate(() => this.push(null));
  }

  answerCheck(): void {
    const emptyQueryResponse = Buffer.from('I\0\0\0\x04', 'latin1');
    const failure = { severity: 'ERROR', sqlstate: '57P02', message: 'it is broken' };
    if (this.onCheck === 'done') this.push(Buffer.concat([emptyQueryResponse, readyForQuery('I')]));
    if (this.onCheck === 'transaction') this.push(Buffer.concat([emptyQueryResponse, readyForQuery('T')]));
    if (this.onCheck === 'error') this.push(Buffer.concat([errorResponse(failure), readyForQuery('I')]));
  }

  answerReset(): void {
    if (this.onReset === 'done') this.push(Buffer.concat([commandComplete('DISCARD ALL'), readyForQuery('I')]));
    const failure = { severity: 'ERROR', sqlstate: '25001', message: 'DISCARD ALL cannot run' };
    if (this.onReset === 'error') this.push(Buffer.concat([errorResponse(failure), readyForQuery('I')]));
  }
}

/** A log-in that the pool has begun and that waits for the test to say how it ends. */
export interface Login {
  succeed(): ServerConnection;
  fail(problem?: Partial<ConnectProblem>): void;
}

/** A client that waits in the queue or has a server. */
export interface Client {
  readonly name: string;
  readonly ticket: QueueEntry | undefined;
  server: ServerConnection | undefined;
  refusal: { readonly error: WeirError; readonly isElsewhere: boolean } | undefined;
}

const nothing = (): void => undefined;
/** A client of whom nothing matters but that it has a server. */
const somebody: AnswerReceiver = {
  ...{ relay: nothing, completed: nothing, errored: nothing, noticed: nothing, parameterChanged: nothing },
  ...{ ready: nothing, lost: nothing, heldUp: nothing, drained: nothing },
};

export function hold(server: ServerConnection): void {
  server.holders.add(somebody);
}

export function leave(server: ServerConnection, times = 1): void {
  for (let i = 0; i < times; i++) server.holders.remove(somebody);
}

export class Scene {
  readonly clock: ManualClock;
  readonly settings: PoolSettings;
  readonly pool: Pool;
  /** Log-ins under way, oldest first. */
  readonly logins: Login[] = [];
  /** Names in the order in which they got a server. */
  readonly served: string[] = [];
  /** What the pool said when it closed a server. */
  readonly closed: string[] = [];
  /** Bugs that a server has met. */
  readonly unexpected: string[] = [];
  /** The beginnings and ends of overloads. */
  readonly overloads: boolean[] = [];
  /** Why clients of low priority do not wait. */
  lowDoesNotWait: string | undefined;
  /** What `random` gives. */
  draw = 0;
  /** What server_check_query has found. */
  readonly failedChecks: string[] = [];
  readonly onReset: { mode: FakeSocket['onReset'] } = { mode: 'done' };
  private readonly turn = new TurnWriter();
  private readonly sockets = new Map<ServerConnection, FakeSocket>();
  private ids = 0;

  constructor(
    settings: Partial<PoolSettings> = {},
    budget: Budget = new NodeBudget(),
    clock = createManualClock(1_000),
  ) {
    this.clock = clock;
    this.settings = { ...poolSettings, ...settings };
    this.pool = new Pool({
      database: 'shop',
      user: 'app',
      node: 'db1',
      settings: this.settings,
      budget,
      nowMs: () => this.clock.nowMs(),
      random: () => this.draw,
      connect: (onClosed) => this.connect(onClosed),
      onCheckFailed: (_server, why) => void this.failedChecks.push(why),
      onResize: () => undefined,
      lowDoesNotWait: () => this.lowDoesNotWait,
      onOverload: ({ isOverloaded }) => void this.overloads.push(isOverloaded),
    });
  }

  private connect(onClosed: (server: ServerConnection) => void): Promise<ServerConnection> {
    return new Promise((resolve, reject) => {
      const login: Login = {
        succeed: () => {
          this.drop(login);
          const server = this.makeServer(onClosed);
          resolve(server);
          return server;
        },
        fail: (problem = {}) => {
          this.drop(login);
          const plain = { message: 'connection refused', refusal: undefined, isServerFull: false, sqlstate: undefined };
          reject({ ...plain, ...problem });
        },
      };
      this.logins.push(login);
    });
  }

  private drop(login: Login): void {
    this.logins.splice(this.logins.indexOf(login), 1);
  }

  private makeServer(onClosed: (server: ServerConnection) => void): ServerConnection {
    const socket = new FakeSocket();
    socket.onReset = this.onReset.mode;
    const id = ++this.ids;
    const server = new ServerConnection({
      id,
      node,
      link: {
        socket: socket as unknown as Socket,
        leftover: Buffer.alloc(0),
        notices: [],
        parameters: new Map(),
        processId: 1_000 + id,
        secretKey: Buffer.alloc(4),
        hasTls: false,
      },
      turn: this.turn,
      maxPreparedStatements: 100,
      nowMs: this.clock.nowMs(),
      owner: {
        closed: (gone, why) => {
          this.closed.push(why);
          onClosed(gone);
        },
        unexpected: (error) => void this.unexpected.push(error.message),
      },
    });
    this.sockets.set(server, socket);
    return server;
  }

  /** Connections of which the server has not closed its end. */
  get connected(): number {
    return [...this.sockets.values()].filter((socket) => !socket.closed).length;
  }

  socketOf(server: ServerConnection): FakeSocket {
    return this.sockets.get(server) as FakeSocket;
  }

  /** A client that takes an idle server, or joins the queue. */
  wait(
    name: string,
    waiter: Partial<Pick<Waiter, 'user' | 'priority' | 'mayGoElsewhere' | 'mayShare'>> = {},
    sinceMs?: number,
    onGranted: () => void = () => undefined,
  ): Client {
    const client: { -readonly [K in keyof Client]: Client[K] } = {
      name,
      ticket: undefined,
      server: undefined,
      refusal: undefined,
    };
    const idle = this.pool.tryCheckout();
    if (idle !== undefined) {
      client.server = idle;
      hold(idle);
      this.served.push(name);
      this.checkPlaces();
      return client;
    }
    client.ticket = this.pool.wait(
      {
        user: 'app',
        priority: 'normal',
        mayGoElsewhere: false,
        mayShare: () => false,
        ...waiter,
        granted: (server) => {
          client.server = server;
          hold(server);
          this.served.push(name);
          onGranted();
        },
        refused: (error, isElsewhere) => (client.refusal = { error, isElsewhere }),
      },
      sinceMs ?? this.clock.nowMs(),
    );
    this.checkPlaces();
    return client;
  }

  /** Lets every log-in that is under way, and those that follow, succeed. */
  async logIn(): Promise<ServerConnection[]> {
    const servers: ServerConnection[] = [];
    while (this.logins.length > 0) {
      for (const login of [...this.logins]) servers.push(login.succeed());
      await settled();
    }
    return servers;
  }

  /** A pool with so many idle servers. */
  async fill(count: number): Promise<ServerConnection[]> {
    const clients = Array.from({ length: count }, (_, i) => this.wait(`filler ${i}`));
    const servers = await this.logIn();
    for (const client of clients) this.giveBack(client);
    this.served.length = 0;
    return servers;
  }

  giveBack(client: Client, isDirty = false): void {
    const { server } = client;
    if (server === undefined) throw new Error(`${client.name} has no server`);
    client.server = undefined;
    leave(server);
    this.pool.checkin(server, isDirty);
    this.checkPlaces();
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms);
    this.pool.sweep();
    await settled();
    this.checkPlaces();
  }

  /** Where the pool keeps its servers is what their states say. */
  private checkPlaces(): void {
    const found = { active: 0, idle: 0, resetting: 0 };
    for (const { id, state } of this.pool.servers()) {
      const shown = shownState(state);
      if (shown === 'login' || shown === 'closing') throw new Error(`server ${id} of the pool is ${state}`);
      found[shown]++;
    }
    const { active, idle, resetting } = this.pool.stats();
    expect(found).toEqual({ active, idle, resetting });
  }
}

/** Everything that has been set in motion has come to rest: promises, a turn's writes, what a fake answered. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}
