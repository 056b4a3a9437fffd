/**
 * The next supervisor, as the one that works now has it: its process, the workers that it has started for this one, and how far
 * it is. Made by succession.ts; the other end is successor.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Socket } from 'node:net';
import type { Entry, Moved } from './ipc.ts';
import { isProcessGone } from './process-gone.ts';
import { RemoteWorker } from './remote-worker.ts';
import { successionFormat, type FromSuccessor, type SupervisorState, type ToSuccessor } from './succession-messages.ts';
import type { SuccessorPort } from './supervisor-ports.ts';
import type { EndMode } from './messages.ts';
import type { WorkerBody } from './worker-body.ts';
import type { WorkerPost } from './worker-link.ts';

/** One that has not said by then that it could serve hangs. */
const startLimitMs = 60_000;
/** How long it may take to answer, and to take over. */
const answerLimitMs = 10_000;
/** Workers whose supervisor is gone end within a second. */
const orphanedMs = 2_000;
const pollMs = 20;
const noWorker = 0;

type Answer = 'freeze' | 'take over';

export class NextSupervisor {
  private readonly port: SuccessorPort;
  /** Also those that have exited: connections that were on their way to one come back after that. */
  private readonly workers = new Map<number, RemoteWorker>();
  private state: 'starting' | 'started' | 'not needed' | 'gone' = 'starting';
  private lastId = 0;
  private started: (problem: string | undefined) => void = () => undefined;
  private answered: (answer: Answer | Error) => void = () => undefined;
  private ended: () => void = () => undefined;
  /** Resolves to why it cannot be used; undefined: it can. */
  readonly whenStarted: Promise<string | undefined>;
  readonly whenEnded: Promise<void>;
  /** Changed settings that stay as they are until Weir is started anew. Known when it has started. */
  kept: readonly string[] = [];

  constructor(port: SuccessorPort) {
    this.port = port;
    this.whenStarted = new Promise((resolve) => (this.started = resolve));
    this.whenEnded = new Promise((resolve) => (this.ended = resolve));
    port.onMessage((body, socket, ahead) => this.heard(body as FromSuccessor, socket, ahead));
    port.onEnded((how) => this.gone(how));
    const timer = setTimeout(() => {
      this.started(`did not start within ${startLimitMs / 1000} s`);
      this.kill();
    }, startLimitMs);
    void this.whenStarted.then(() => clearTimeout(timer));
  }

  get isUsable(): boolean {
    return this.state === 'started';
  }

  fork(post: WorkerPost): WorkerBody {
    const id = ++this.lastId;
    const worker = new RemoteWorker(id, (message, socket, ahead) => this.send(message, socket, ahead));
    this.workers.set(id, worker);
    this.send({ do: 'fork', worker: id, post });
    return worker;
  }

  /** The number of a worker that it has started; undefined: it has not, or the worker has exited. */
  numberOf(body: WorkerBody): number | undefined {
    for (const [id, worker] of this.workers) if (worker === body && !worker.isGone) return id;
    return undefined;
  }

  /** Resolves when nothing more comes from its workers but answers. Rejects with words. */
  async freeze(): Promise<void> {
    try {
      await this.ask({ do: 'freeze' });
    } catch (error) {
      this.thaw();
      throw error;
    }
  }

  thaw(): void {
    this.send({ do: 'thaw' });
  }

  /** Resolves when it works in place of this one. Rejects with words: nothing has changed then, unless it is gone. */
  takeOver(state: SupervisorState): Promise<void> {
    return this.ask({ do: 'take over', state });
  }

  /** It has taken over: it decides which worker gets the connection. */
  accepted(entry: Entry, socket: Socket, ahead: Uint8Array | undefined): void {
    if (!this.send({ do: 'socket', worker: noWorker, entry }, socket, ahead)) socket.destroy();
  }

  /** The same for a client. */
  moved(socket: Socket, { packed, ahead }: Moved): void {
    if (!this.send({ do: 'moved', worker: noWorker, packed }, socket, ahead)) socket.destroy();
  }

  shutDown(mode: EndMode): void {
    this.send({ do: 'shut down', mode });
  }

  /** It ends when its last worker has. */
  dismiss(): void {
    if (this.state === 'gone') return;
    this.state = 'not needed';
    this.endIfEmpty();
  }

  kill(): void {
    this.port.kill();
  }

  private async ask(question: ToSuccessor): Promise<void> {
    const answer = await new Promise<Answer | Error>((resolve) => {
      const timer = setTimeout(() => {
        // It must not take over later, when this one goes on.
        if (question.do === 'take over') this.kill();
        resolve(new Error('it does not answer'));
      }, answerLimitMs);
      this.answered = (what) => {
        clearTimeout(timer);
        resolve(what);
      };
      if (!this.send(question)) this.answered(new Error('it is gone'));
    });
    this.answered = () => undefined;
    if (answer instanceof Error) throw answer;
  }

  private send(message: ToSuccessor, socket?: Socket, ahead?: Uint8Array): boolean {
    return this.state !== 'gone' && this.port.send(message, socket, ahead);
  }

  private heard(message: FromSuccessor, socket: Socket | undefined, ahead: Uint8Array): void {
    switch (message.did) {
      case 'start': {
        const isKnown = message.format === successionFormat;
        if (isKnown && this.state === 'starting') this.state = 'started';
        this.kept = message.kept;
        return this.started(isKnown ? undefined : otherFormat(message.format));
      }
      case 'freeze':
      case 'take over':
        return this.answered(message.did);
      case 'refuse':
        return this.answered(new Error(message.why));
      default:
        this.workers.get(message.worker)?.hear(message, socket, ahead);
        if (message.did === 'exit' && this.state === 'not needed') this.endIfEmpty();
    }
  }

  private endIfEmpty(): void {
    if ([...this.workers.values()].every(({ isGone }) => isGone)) this.send({ do: 'end' });
  }

  private gone(how: string): void {
    this.state = 'gone';
    this.started(how);
    this.answered(new Error(how));
    // Whoever has exited already may have given its process ID to another process.
    const ends = [...this.workers.values()].filter(({ isGone }) => !isGone).map((worker) => exitOf(worker));
    this.workers.clear();
    void Promise.all(ends).then(() => this.ended());
  }
}

const otherFormat = (format: number): string =>
  `cannot take over from this version (format ${format}, not ${successionFormat}): Weir must be started anew`;

/** Its supervisor is gone. What it had is free only when its process has ended, too. */
async function exitOf(worker: RemoteWorker): Promise<void> {
  worker.close();
  const untilMs = performance.now() + orphanedMs;
  while (!isProcessGone(worker.pid)) {
    if (performance.now() > untilMs) process.kill(worker.pid, 'SIGKILL');
    await sleep(pollMs);
  }
  worker.exit({ code: null, signal: 'SIGKILL' });
}
