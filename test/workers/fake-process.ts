/**
 * The two ends of Node's IPC between a process and its child, in one process: messages arrive as structured clones, later, in
 * order. Sockets are not cloned.
 */
import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import type { IpcEnd } from '../../src/workers/ipc.ts';

class End extends EventEmitter {
  connected = true;
  pid: number | undefined;
  readonly stderr = new PassThrough();
  killed: () => void = () => undefined;
  private readonly other: () => End;

  constructor(other: () => End) {
    super();
    this.other = other;
  }

  send(message: unknown, handle?: unknown): boolean {
    const copy: unknown = structuredClone(message);
    setImmediate(() => {
      if (this.connected) this.other().emit('message', copy, handle);
    });
    return true;
  }

  kill(): boolean {
    this.killed();
    return true;
  }
}

export interface FakeProcess {
  /** As its parent has it. */
  readonly child: ChildProcess;
  /** As it has itself. */
  readonly process: IpcEnd;
  says(text: string): void;
  /** It ends, with this exit code; null: killed. */
  exit(code: number | null): void;
}

export function fakeProcess(pid: number): FakeProcess {
  const child: End = new End(() => inside);
  const inside: End = new End(() => child);
  child.pid = pid;
  const exit = (code: number | null): void => {
    if (!child.connected) return;
    child.connected = inside.connected = false;
    child.stderr.end();
    setImmediate(() => {
      child.emit('exit', code, code === null ? 'SIGKILL' : null);
      child.emit('disconnect');
      inside.emit('disconnect');
    });
  };
  child.killed = () => exit(null);
  return {
    child: child as unknown as ChildProcess,
    process: inside as unknown as IpcEnd,
    says: (text) => void child.stderr.write(text),
    exit,
  };
}
