/**
 * The process that was started as `weir serve`, when its own supervisor has been replaced: it starts supervisors, passes on
 * what one says to the next, passes signals on to the one that works, and ends with it. So the shell, Docker and systemd notice
 * nothing of a restart. Made by cli/supervise.ts. Knows nothing of workers; the other end is child-of-parent.ts.
 */
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import type { FixedSettings } from '../config/change.ts';
import type { ListenHandle } from '../systemd/types.ts';
import { onFrame, sendFrame } from './frames.ts';
import { LastWords } from './last-words.ts';
import type { OpenListener, PassedListener } from './listening.ts';
import type {
  Frame,
  FromParent,
  Heard,
  StartsSuccessor,
  SuccessorPort,
  SuccessorPost,
  ToParent,
} from './supervisor-ports.ts';

export interface ParentOptions {
  /** Starts the process of a supervisor, with IPC, its standard error as a pipe, and these file descriptors from 4 on. */
  fork(post: SuccessorPost, fds: readonly number[]): ChildProcess;
  /** What supervisors write to their standard error. */
  says(chunk: Buffer): void;
}

export interface ParentExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

interface Kept {
  readonly id: string;
  readonly child: ChildProcess;
  readonly words: LastWords;
  /** While this process is the supervisor itself. */
  hear: Heard;
  ended: (how: string) => void;
}

const firstFd = 4;

export class Parent implements StartsSuccessor {
  /** Resolves when the supervisor that works has ended, and none is left. */
  readonly ended: Promise<ParentExit>;
  private readonly options: ParentOptions;
  private readonly children = new Map<string, Kept>();
  /** Undefined: the supervisor in this process works. */
  private current: Kept | undefined;
  private readonly listeners: ListenHandle[] = [];
  private lastId = 0;
  private end: (exit: ParentExit) => void = () => undefined;

  constructor(options: ParentOptions) {
    this.options = options;
    this.ended = new Promise((resolve) => (this.end = resolve));
  }

  /** For the supervisor in this process. */
  start(listeners: readonly OpenListener[], fixed: FixedSettings): SuccessorPort {
    const id = `${process.pid}-${++this.lastId}`;
    const passed = listeners.map(({ listener }) => listener);
    const kept = this.fork(
      id,
      fixed,
      passed,
      listeners.map(({ handle }) => handle.fd),
    );
    return {
      send: (body, socket, ahead) => sendFrame(kept.child, { at: 'current', body, ahead }, socket),
      onMessage: (listener) => void (kept.hear = listener),
      onEnded: (listener) => void (kept.ended = listener),
      kill: () => void kept.child.kill('SIGKILL'),
    };
  }

  /** For the supervisor that works. */
  pass(signal: NodeJS.Signals): void {
    if (this.current !== undefined) tell(this.current, { do: 'signal', signal });
  }

  killAll(): void {
    for (const { child } of this.children.values()) child.kill('SIGKILL');
  }

  private fork(id: string, fixed: FixedSettings, listeners: readonly PassedListener[], fds: readonly number[]): Kept {
    const post = { fixed, listeners: listeners.map((listener, index) => ({ ...listener, fd: firstFd + index })) };
    const child = this.options.fork(post, fds);
    const words = new LastWords(child.stderr, (chunk) => this.options.says(chunk));
    const kept: Kept = { id, child, words, hear: () => undefined, ended: () => undefined };
    this.children.set(id, kept);
    onFrame(child, (frame, handle) => this.heard(kept, frame, handle));
    let isOver = false;
    const exited = (code: number | null, signal: NodeJS.Signals | null): void => {
      if (!isOver) this.exited(kept, { code, signal });
      isOver = true;
    };
    child.once('error', () => exited(null, null));
    child.once('exit', exited);
    return kept;
  }

  private heard(from: Kept, frame: Frame, handle: Socket | ListenHandle | undefined): void {
    const { at, body, ahead, tookOver = false } = frame;
    if (at === 'parent') return this.order(body as ToParent, handle as ListenHandle | undefined);
    this.passOn(from, at, { body, ahead }, handle as Socket | undefined);
    if (tookOver) this.tookOver(from);
  }

  private passOn(
    from: Kept,
    at: Exclude<Frame['at'], 'parent'>,
    { body, ahead }: Pick<Frame, 'body' | 'ahead'>,
    socket: Socket | undefined,
  ): void {
    const { current } = this;
    if (at === 'current' && current === undefined) return from.hear(body, socket, ahead ?? Buffer.alloc(0));
    const to = at === 'current' ? current : this.children.get(at.id);
    const frame: Frame = { at: at === 'current' ? { id: from.id } : 'current', body, ahead };
    if (to === undefined || !sendFrame(to.child, frame, socket)) socket?.destroy();
  }

  private tookOver(from: Kept): void {
    this.current = from;
    // From now on it is one that has served: what it says is not why it could not start.
    from.words.forget();
  }

  private order(order: ToParent, handle: ListenHandle | undefined): void {
    switch (order.do) {
      case 'listener':
        if (handle !== undefined) this.listeners.push(handle);
        return;
      case 'start': {
        const handles = this.listeners.splice(0);
        this.fork(
          order.id,
          order.fixed,
          order.listeners,
          handles.map(({ fd }) => fd),
        );
        for (const each of handles) each.close();
        return;
      }
      case 'kill':
        return void this.children.get(order.id)?.child.kill('SIGKILL');
    }
  }

  private exited(kept: Kept, exit: ParentExit): void {
    this.children.delete(kept.id);
    if (kept === this.current) {
      this.killAll();
      return this.end(exit);
    }
    void kept.words.afterExit().then((said) => {
      const how = `has ended (${exit.signal ?? (exit.code === null ? 'it could not be started' : `exit code ${exit.code}`)})`;
      const words = said === '' ? how : `${how}: ${said}`;
      kept.ended(words);
      if (this.current !== undefined) tell(this.current, { do: 'ended', id: kept.id, how: words });
    });
  }
}

function tell({ child }: Kept, body: FromParent): void {
  sendFrame(child, { at: 'parent', body });
}
