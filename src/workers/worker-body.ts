/**
 * The process of a worker, as worker-process.ts needs it: a child of this process, or of the next supervisor
 * (remote-worker.ts), or one that this supervisor had started for the one before (relayed-worker.ts).
 */
import type { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { ipcWire, type SocketWire } from './ipc.ts';

export interface WorkerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface WorkerBody {
  /** 0: not known yet. */
  readonly pid: number;
  readonly wire: SocketWire;
  /** What it writes to its standard error; null: nobody reads that. */
  readonly stderr: Readable | null;
  kill(): void;
  /** Called once, at once if the process ID is known already; not if it could not be started. */
  onStarted(listener: () => void): void;
  /** Called once, maybe before the end of its standard error is read. */
  onExit(listener: (exit: WorkerExit) => void): void;
}

export function bodyOfChild(child: ChildProcess): WorkerBody {
  return {
    pid: child.pid ?? 0,
    wire: ipcWire(child),
    stderr: child.stderr,
    kill: () => void child.kill('SIGKILL'),
    onStarted(listener) {
      if (child.pid !== undefined) listener();
    },
    onExit(listener) {
      let isOver = false;
      const exited = (exit: WorkerExit): void => {
        if (!isOver) listener(exit);
        isOver = true;
      };
      child.once('error', () => exited({ code: null, signal: null }));
      // Not 'close': a grandchild may hold its output open.
      child.once('exit', (code, signal) => exited({ code, signal }));
    },
  };
}
