/**
 * A worker's connection to its supervisor: clients come in through it, and what counts for the whole Weir is asked there.
 * Made by cli/worker.ts; used by app/.
 */
import type { Socket } from 'node:net';
import type { HostPort } from '../config/config.ts';
import type { FixedSettings } from '../config/change.ts';
import type { Entry, Guest } from '../util/client-counts.ts';
import type { WelcomePeers } from '../session/welcome-types.ts';
import { answerOf } from './ask.ts';
import { Channel } from './channel.ts';
import { ipcWire, type IpcEnd, type SocketWire } from './ipc.ts';
import type { CancelKey, Emptied, EndMode, PartingTimes, SupervisorChannel } from './messages.ts';

/** What the supervisor tells a worker on its command line, as JSON. */
export interface WorkerPost {
  /** From 1. */
  readonly number: number;
  /** How many workers there are. */
  readonly workers: number;
  /** How often the worker at this place was replaced. */
  readonly generation: number;
  readonly fixed: FixedSettings;
  readonly listen: HostPort;
  readonly socketPath: string | undefined;
  readonly http: HostPort | undefined;
}

/** A connection for which the worker is not prepared. */
const destroy = (socket: Socket): void => void socket.destroy();

/** A log-in does not wait longer for what other workers know: there are servers to ask. */
const patienceMs = 100;

type ConnectionListener = (layer: 'plain' | 'local', socket: Socket) => void;

export class WorkerLink {
  readonly number: number;
  /** How many workers there are. */
  readonly workers: number;
  readonly channel: SupervisorChannel;
  readonly address: HostPort;
  readonly socketPath: string | undefined;
  readonly http: HostPort | undefined;
  /** Which numbers its clients get: no two workers share one. */
  readonly numbers: { readonly every: number; readonly from: number };
  readonly welcomePeers: WelcomePeers = {
    ask: async (question) => {
      const answer = await answerOf(this.channel.ask('welcome', question), patienceMs);
      return answer.kind === 'answer' ? answer.value : undefined;
    },
  };
  private readonly wire: SocketWire;
  private serveClient: ConnectionListener | undefined;
  private serveHttp: ((socket: Socket) => void) | undefined;
  /** The supervisor may end a worker that is still starting: it ends as soon as it can. */
  private readonly early: [EndMode, () => void][] = [];
  private end: (mode: EndMode) => Promise<void> = (mode) => new Promise((ended) => this.early.push([mode, ended]));

  constructor(post: WorkerPost, end: IpcEnd, unexpected: (error: unknown) => void) {
    this.number = post.number;
    this.workers = post.workers;
    this.address = post.listen;
    this.socketPath = post.socketPath;
    this.http = post.http;
    // A worker and the one that replaces it are there at the same time.
    this.numbers = { every: 2 * post.workers, from: 2 * (post.number - 1) + (post.generation % 2) };
    this.wire = ipcWire(end);
    this.channel = new Channel(this.wire, unexpected);
    this.channel.on('cancel', () => false);
    this.channel.on('welcome', () => undefined);
    this.channel.on('end', (mode) => this.end(mode));
    this.wire.onSocket((entry, socket, ahead) => {
      socket.once('close', () => this.channel.tell('closed', 1));
      if (ahead.length > 0) socket.unshift(ahead);
      if (entry === 'http') (this.serveHttp ?? destroy)(socket);
      else if (this.serveClient === undefined) destroy(socket);
      else this.serveClient(entry, socket);
    });
  }

  onConnection(listener: ConnectionListener): void {
    this.serveClient = listener;
  }

  onHttp(listener: (socket: Socket) => void): void {
    this.serveHttp = listener;
  }

  /** The worker serves. */
  ready(): void {
    this.channel.tell('ready', undefined);
  }

  /** False also when the supervisor is gone. */
  tryEnter(guest: Guest | undefined): Promise<Entry> {
    return this.channel.ask('enter', guest).catch(() => false);
  }

  readonly leave = (guest: Guest | undefined): void => this.channel.tell('left', guest ?? 1);

  stopAccepting(where: 'shared' | 'own' | 'inherited'): void {
    this.channel.tell('stopAccepting', where);
  }

  /** Weir drains, and the last client of this worker has left. Resolves when that of every worker has; at once if only this worker ends. */
  async drained(): Promise<void> {
    await this.channel.ask('drained', undefined).catch(() => undefined);
  }

  /** Resolves when the worker that has this client has cancelled; to false if there is none. */
  cancelElsewhere(key: CancelKey): Promise<boolean> {
    return this.channel.ask('cancel', key).catch(() => false);
  }

  /** Gives a client with its session away. False: the supervisor is gone. */
  give(socket: Socket, packed: unknown): boolean {
    return this.wire.sendMoved(socket, { packed, ahead: Buffer.alloc(0) });
  }

  /** Gives a connection back as it came in. False: the supervisor is gone. */
  giveBack(entry: 'plain' | 'local', socket: Socket, ahead: Buffer): boolean {
    return this.wire.sendBack(socket, { entry, ahead });
  }

  /** Resolves, never at once, when all that was given away has left this process. */
  written(): Promise<void> {
    return new Promise((resolve) => this.wire.whenWritten(() => setImmediate(resolve)));
  }

  /** Clients with their sessions, from other workers. */
  onMoved(receive: (socket: Socket, packed: unknown) => void): void {
    this.wire.onMoved((socket, { packed, ahead }) => {
      socket.once('close', () => this.channel.tell('closed', 1));
      if (ahead.length > 0) socket.unshift(ahead);
      // If this process dies before, the supervisor gives the client to another worker: nothing may have been done for it.
      this.wire.whenWritten(() => receive(socket, packed));
    });
  }

  /** The worker is being replaced. */
  onEmpty(empty: (withinMs: number) => Promise<Emptied>): void {
    this.channel.on('empty', empty);
  }

  /** @param part resolves to how many clients it has ended */
  onPart(part: (times: PartingTimes) => Promise<number>): void {
    this.channel.on('part', part);
  }

  /** A client that another worker had let in counts here now. */
  arrived(guest: Guest): void {
    this.channel.tell('arrived', guest);
  }

  /** @param cancel false: the worker has no such client */
  onCancel(cancel: (key: CancelKey) => boolean | Promise<boolean>): void {
    this.channel.on('cancel', cancel);
  }

  onEnd(end: (mode: EndMode) => Promise<void>): void {
    this.end = end;
    for (const [mode, ended] of this.early.splice(0)) void end(mode).then(ended);
  }

  /** The supervisor is gone, whatever ended it. */
  onOrphaned(listener: () => void): void {
    this.channel.onClosed(listener);
  }
}
