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
  private connection = 0;
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
      const client = await this.connected();
      const tables: Record<string, readonly Row[]> = {};
      const refusals: Record<string, string> = {};
      for (const command of new Set([...always, pages[page].command])) {
        const answer = await this.ask(client, command);
        if (typeof answer === 'string') refusals[command] = answer;
        else tables[command] = answer;
      }
      const look = { tables, refusals, atMs: Date.now(), connection: this.connection };
      this.before = frameOf(look, this.before);
      return this.before;
    });
  }

  /**
   * @param connection of the frame that had the client: another Weir may have given its id to somebody else
   * @returns what the console refused with
   * @throws CommandError
   */
  kill(id: string, connection: number): Promise<string | undefined> {
    return this.inTurn(async () => {
      if (this.client === undefined || this.connection !== connection)
        return 'the connection to Weir was lost meanwhile: nobody was disconnected';
      const answer = await this.ask(this.client, `KILL ${id}`);
      return typeof answer === 'string' ? answer : undefined;
    });
  }

  close(): void {
    const { client } = this;
    this.client = undefined;
    void client?.end().catch(() => undefined);
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.queue.then(work);
    this.queue = done.catch(() => undefined);
    return done;
  }

  private async connected(): Promise<pg.Client> {
    if (this.client !== undefined) return this.client;
    const client = await connectToConsole(this.url, this.io);
    client.once('end', () => {
      if (this.client === client) this.client = undefined;
    });
    this.connection++;
    this.client = client;
    return client;
  }

  /** The rows, or what the console refuses with. */
  private async ask(client: pg.Client, command: string): Promise<Row[] | string> {
    try {
      return asObjects(await withinTime(runOne(client, command)));
    } catch (error) {
      const problem = commandProblem(error);
      // An answer of the console with an SQLSTATE is an answer; else, and when it shuts down, the connection is of no use.
      if (isAnswer(error)) return problem.join(' ');
      this.close();
      throw new CommandError(problem);
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
