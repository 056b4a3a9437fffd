/**
 * What a worker writes to its standard error, passed on, and the end of it kept until it serves: why a worker could not start is
 * said there, also when it crashed before the code of Weir ran. Made by worker-process.ts.
 */
import type { Readable } from 'node:stream';

const mostKept = 4_000;
const mostLines = 8;
/** After its exit, what is still in the pipe arrives; a grandchild may hold the pipe open. */
const drainMs = 500;

export class LastWords {
  private kept = '';
  private isKeeping = true;
  private readonly ended: Promise<void>;

  /** @param stream null: the worker shares the standard error of the supervisor */
  constructor(stream: Readable | null, passOn: (chunk: Buffer) => void) {
    if (stream === null) {
      this.ended = Promise.resolve();
      return;
    }
    this.ended = new Promise((resolve) => stream.once('close', resolve));
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => {
      passOn(chunk);
      if (this.isKeeping) this.kept = (this.kept + chunk.toString()).slice(-mostKept);
    });
  }

  /** It serves: what it says from now on is not why it could not start. */
  forget(): void {
    this.isKeeping = false;
    this.kept = '';
  }

  /** Call it when the worker has exited. Resolves to one line; empty: it has said nothing. */
  async afterExit(): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, drainMs)));
    await Promise.race([this.ended, late]);
    clearTimeout(timer);
    return telling(this.kept);
  }
}

/** Of an error that nobody caught, its message without the stack; else the last lines. */
export function telling(text: string): string {
  const lines = text.split('\n').map((line) => line.trim());
  const thrown = lines.find((line) => /^(?:Uncaught )?\w*(?:Error|Exception)\b(?: \[\w+\])?: /.test(line));
  return thrown ?? lines.filter(Boolean).slice(-mostLines).join('; ');
}
