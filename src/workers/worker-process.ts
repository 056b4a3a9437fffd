/**
 * One worker, as its supervisor has it: its process, its channel, its state and how many clients it has. Made by
 * supervisor.ts; a worker that has ended is replaced by a new object.
 */
import type { Socket } from 'node:net';
import { Channel } from './channel.ts';
import type { Entry, Moved, Returned, SocketWire } from './ipc.ts';
import { LastWords } from './last-words.ts';
import type { Emptied, EndMode, PartingTimes, SupervisorTopics, WorkerTopics } from './messages.ts';
import { Passing, type Room } from './passing.ts';
import type { WorkerBody, WorkerExit } from './worker-body.ts';
import { nextWorkerState, type WorkerEvent, type WorkerState } from './worker-state.ts';

export interface WorkerPlace {
  readonly number: number;
  readonly generation: number;
}

/** What the supervisor before knew of a worker that serves; survives a structured clone. */
export interface ServingSince extends WorkerPlace {
  readonly startedAtMs: number;
  readonly servesSinceMs: number;
  readonly connections: number;
  readonly entered: number;
  /** Absent: of a supervisor that did not count them. */
  readonly guests?: ReadonlyMap<string, number>;
  /** Of the last question that it was asked. */
  readonly lastQuestion: number;
}

/** A worker that has not said by then that it could serve hangs. */
const startLimitMs = 60_000;

export interface WorkerEvents {
  /** The worker could serve. Resolves when it may: it has done what operators have set. */
  prepare(worker: WorkerProcess): Promise<void>;
  serves(worker: WorkerProcess): void;
  /** More can be given to it than before. */
  hasRoom(): void;
  /** It gives a client away. */
  moved(worker: WorkerProcess, socket: Socket, moved: Moved): void;
  /** It gives a connection away as it came in. */
  returned(worker: WorkerProcess, socket: Socket, returned: Returned): void;
  /** Called once; all that it had is gone. */
  exited(worker: WorkerProcess, exit: WorkerExit): void;
  unexpected(error: unknown): void;
  /** What it writes to its standard error, if that is a pipe. */
  says(chunk: Buffer): void;
}

export class WorkerProcess {
  /** Its place, from 1. The worker that replaces it has the same number. */
  readonly number: number;
  /** How often its place was filled before. */
  readonly generation: number;
  readonly channel: Channel<WorkerTopics, SupervisorTopics>;
  readonly startedAtMs: number;
  /** Connections that it was given and that are open, log-ins and HTTP included. */
  connections = 0;
  /** Clients of its that count under max_client_conn. */
  entered = 0;
  /** Of them, those of each user and database (seats.ts). */
  readonly guests = new Map<string, number>();
  servesSinceMs: number | undefined;
  /** Why it was killed; undefined: it was not. */
  private killedFor: string | undefined;
  private readonly startTimer: NodeJS.Timeout;
  private readonly lastWords: LastWords;
  private readonly passing: Passing;
  private current: WorkerState = 'starting';
  readonly body: WorkerBody;
  private readonly events: WorkerEvents;

  /** @param since what the supervisor before knew of it; undefined: it has just been started */
  constructor(post: WorkerPlace, body: WorkerBody, nowMs: () => number, events: WorkerEvents, since?: ServingSince) {
    this.number = post.number;
    this.generation = post.generation;
    this.body = body;
    this.events = events;
    this.startedAtMs = since?.startedAtMs ?? nowMs();
    this.lastWords = new LastWords(body.stderr, (chunk) => events.says(chunk));
    this.startTimer = setTimeout(() => this.kill(`did not start within ${startLimitMs / 1000} s`), startLimitMs);
    if (since !== undefined) this.goOn(since);
    body.wire.onMoved((socket, moved) => events.moved(this, socket, moved));
    body.wire.onReturned((socket, returned) => events.returned(this, socket, returned));
    this.channel = new Channel(body.wire, events.unexpected, since?.lastQuestion);
    this.passing = new Passing({
      ask: () => this.channel.ask('alive', undefined),
      hasRoom: () => events.hasRoom(),
      nowMs,
    });
    this.channel.on('ready', async () => {
      clearTimeout(this.startTimer);
      this.lastWords.forget();
      await events.prepare(this);
      if (this.current === 'gone') return undefined;
      this.servesSinceMs = nowMs();
      this.move('serves');
      if (this.current === 'ready') events.serves(this);
      return undefined;
    });
    this.channel.on('closed', (count) => void (this.connections -= count));
    body.onExit((exit) => this.exited(exit));
  }

  private goOn({ servesSinceMs, connections, entered, guests = new Map() }: ServingSince): void {
    clearTimeout(this.startTimer);
    this.lastWords.forget();
    this.servesSinceMs = servesSinceMs;
    this.connections = connections;
    this.entered = entered;
    for (const [key, count] of guests) this.guests.set(key, count);
    this.move('serves');
  }

  /** For the next supervisor. Undefined: it does not serve, or not as it should. */
  since(): ServingSince | undefined {
    const { number, generation, startedAtMs, servesSinceMs, connections, entered, guests } = this;
    if (this.current !== 'ready' || this.channel.isClosed || servesSinceMs === undefined) return undefined;
    const { lastQuestion } = this.channel;
    return { number, generation, startedAtMs, servesSinceMs, connections, entered, guests, lastQuestion };
  }

  get state(): WorkerState {
    return this.current;
  }

  get pid(): number {
    return this.body.pid;
  }

  get room(): Room {
    return this.passing.room;
  }

  /** False: it is gone, and the connection is still the caller's. */
  give(entry: Entry, socket: Socket, ahead?: Uint8Array): boolean {
    return this.pass((wire) => wire.sendSocket(entry, socket, ahead));
  }

  /** A client with its session, from another worker. False: as in give(). */
  giveMoved(socket: Socket, moved: Moved): boolean {
    return this.pass((wire) => wire.sendMoved(socket, moved));
  }

  private pass(send: (wire: SocketWire) => boolean): boolean {
    if (!send(this.body.wire)) return false;
    this.connections++;
    this.passing.sent();
    return true;
  }

  /** Its clients go to other workers, as far as they can. */
  empty(withinMs: number): Promise<Emptied> {
    this.move('replaced');
    return this.channel.ask('empty', withinMs);
  }

  /** Clients that cannot go are ended. Resolves to how many it were. */
  part(times: PartingTimes): Promise<number> {
    return this.channel.ask('part', times);
  }

  /** Resolves when it has ended what it does, or is gone. */
  async end(mode: EndMode): Promise<void> {
    this.move('told to end');
    await this.channel.ask('end', mode).catch(() => undefined);
  }

  get isKilled(): boolean {
    return this.killedFor !== undefined;
  }

  /** @param why after "worker 1 ..." */
  kill(why: string): void {
    this.killedFor = why;
    this.body.kill();
  }

  /** Call it when it has exited. Resolves to how it has ended, and what it said last, in words. */
  async epitaph({ code, signal }: WorkerExit): Promise<string> {
    const how = this.killedFor ?? `has ended (${signal ?? exitText(code)})`;
    const said = await this.lastWords.afterExit();
    return `worker ${this.number} ${how}${said === '' ? '' : `: ${said}`}`;
  }

  /** Another supervisor has it from now on. */
  letGo(): void {
    clearTimeout(this.startTimer);
    this.current = 'gone';
  }

  private exited(exit: WorkerExit): void {
    if (this.current === 'gone') return;
    clearTimeout(this.startTimer);
    this.move('exited');
    this.events.exited(this, exit);
  }

  private move(event: WorkerEvent): void {
    const next = nextWorkerState(this.current, event);
    if (next === undefined) this.events.unexpected(new Error(`worker ${this.number}: ${event} while ${this.current}`));
    else this.current = next;
  }
}

function exitText(code: number | null): string {
  return code === null ? 'it could not be started' : `exit code ${code}`;
}
