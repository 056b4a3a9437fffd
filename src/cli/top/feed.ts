/**
 * Asks the admin console for what `weir top` shows, on one connection that is opened again when it is lost. Used by top.ts.
 */
import type pg from 'pg';
import { asObjects, commandProblem, connectToConsole, runOne } from '../admin.ts';
import { CommandError, type CliIo } from '../io.ts';
import { frameOf, type Frame, type Row } from './frame.ts';
import { pages, type PageName } from './pages.ts';

/** What the summary and the rates need. */
const always = ['SHOW POOLS', 'SHOW STATS', 'SHOW DATABASES', 'SHOW WORKERS'];
const answerTimeoutMs = 10_000;

export class Feed {
  private readonly url: URL;
  private readonly io: CliIo;
  private client: pg.Client | undefined;
  private before: Frame | undefined;
  /** The console answers one command after the other. */
  private queue: Promise<unknown> = Promise.resolve();

  constructor(url: URL, io: CliIo) {
    this.url = url;
    // A notice would be written across the screen.
    this.io = { ...io, err: () => undefined };
  }

  /** @throws CommandError; the next call connects again */
  look(page: PageName): Promise<Frame> {
    return this.inTurn(async () => {
      const commands = [...new Set([...always, pages[page].command])];
      const tables: Record<string, readonly Row[]> = {};
      for (const command of commands) tables[command] = await this.ask(command);
      this.before = frameOf(tables, Date.now(), this.before);
      return this.before;
    });
  }

  /** @throws CommandError */
  kill(id: string): Promise<unknown> {
    return this.inTurn(() => this.ask(`KILL ${id}`));
  }

  close(): void {
    const { client } = this;
    this.client = undefined;
    // Counters of another Weir, or of the same one after a start, are no difference to these.
    this.before = undefined;
    void client?.end().catch(() => undefined);
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.queue.then(work);
    this.queue = done.catch(() => undefined);
    return done;
  }

  private async ask(command: string): Promise<Row[]> {
    this.client ??= await connectToConsole(this.url, this.io);
    try {
      return asObjects(await withinTime(runOne(this.client, command)));
    } catch (error) {
      // An answer of the console with an SQLSTATE is an answer; else, and when it shuts down, the connection is of no use.
      if (!isAnswer(error)) this.close();
      throw new CommandError(commandProblem(error));
    }
  }
}

function isAnswer(error: unknown): boolean {
  const { severity, code } = error as { severity?: unknown; code?: unknown };
  return severity === 'ERROR' && code !== '57P01';
}

async function withinTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer for ${answerTimeoutMs / 1_000} s`)), answerTimeoutMs);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
