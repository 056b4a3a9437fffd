/**
 * `weir restart`: has the workers of a Weir replaced one by one, waits until that is over and says what became of it. The
 * console it talks to ends with its worker; then it asks another. Called by run.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { formatDuration } from '../config/values.ts';
import { adminUrl, asObjects, commandProblem, connectToConsole, runOne } from './admin.ts';
import { parseTimeout } from './drain.ts';
import type { CliIo, ExitCode } from './io.ts';
import { CommandError, UsageError, exitCodes } from './io.ts';
import { type Arguments, type OptionSpec, type Verb, textOf } from './arguments.ts';

const pollMs = 200;
/** So long no console may answer: then Weir itself has ended. */
const mostSilentMs = 10_000;

type Row = Record<string, string | number | boolean | null>;

/** @param consoleOptions --url and --json */
export function restartVerb(consoleOptions: Readonly<Record<string, OptionSpec>>): Verb {
  return {
    synopsis: '[--timeout TIME]',
    about:
      'Replaces the workers one by one, with the new configuration and code; needs workers above 1. Clients go on, but for those on TLS, of session pools, and pinned ones, which have to connect again. Waits until that is over, and says what became of it (RESTART).',
    options: {
      timeout: {
        type: 'string',
        value: 'TIME',
        about: 'Wait no longer than this (30s, 5m); exit code 1 if it is not over then. The restart goes on.',
      },
      ...consoleOptions,
    },
    run: restart,
  };
}

async function restart(args: Arguments, io: CliIo): Promise<ExitCode> {
  const [extra] = args.positionals;
  if (extra !== undefined) throw new UsageError(`too many arguments: ${extra}`);
  const timeout = textOf(args, 'timeout');
  const timeoutMs = timeout === undefined ? Infinity : parseTimeout(timeout);
  const untilMs = performance.now() + timeoutMs;
  const follower = new Follower(adminUrl(textOf(args, 'url'), io.env), io);
  let row: Row;
  try {
    row = await follower.begin();
    while (row['state'] === 'running') {
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0) throw new CommandError(tooLate(row, timeoutMs));
      await sleep(Math.min(pollMs, leftMs));
      row = await follower.look(row);
    }
  } finally {
    await follower.end();
  }
  if (row['state'] === 'failed') throw new CommandError([`ERROR: ${String(row['problem'])}`]);
  io.out(args.values['json'] === true ? `${JSON.stringify([row], null, 2)}\n` : `${outcome(row)}\n`);
  return exitCodes.done;
}

function outcome(row: Row): string {
  const ended = Number(row['ended_clients'] ?? 0);
  const clients = ended === 0 ? '' : `; ${ended} clients could not change their worker and had to connect again`;
  const kept = row['needs_new_start'] ?? null;
  const settings = kept === null ? '' : `\nnot changed, needs a new start of Weir: ${String(kept)}`;
  return `the supervisor and all ${String(row['replaced'])} workers are replaced${clients}${settings}`;
}

function tooLate({ replaced, workers }: Row, timeoutMs: number): string[] {
  return [
    `${String(replaced)} of ${String(workers)} workers are replaced after ${formatDuration(timeoutMs)}`,
    'HINT: The restart goes on. weir restart joins it; SHOW RESTARTS says how far it is.',
  ];
}

/** Looks at a restart through a console, and through another one when that has ended. */
class Follower {
  private readonly url: URL;
  private readonly io: CliIo;
  private client: pg.Client | undefined;
  private answeredAtMs = performance.now();

  constructor(url: URL, io: CliIo) {
    this.url = url;
    this.io = io;
  }

  /** @returns the row of the restart. @throws CommandError */
  async begin(): Promise<Row> {
    this.client = await connectToConsole(this.url, this.io);
    try {
      const [row] = asObjects(await runOne(this.client, 'RESTART'));
      if (row === undefined) throw new Error('RESTART has no answer');
      this.answeredAtMs = performance.now();
      return row;
    } catch (error) {
      throw new CommandError(commandProblem(error));
    }
  }

  /** @returns the row as it is now; as it was, if no console answers at the moment. @throws CommandError */
  async look(row: Row): Promise<Row> {
    let rows: Row[];
    try {
      this.client ??= await connectToConsole(this.url, this.io);
      rows = asObjects(await runOne(this.client, 'SHOW RESTARTS'));
    } catch (error) {
      await this.end();
      if (performance.now() - this.answeredAtMs < mostSilentMs) return row;
      const why = error instanceof CommandError ? error.lines : commandProblem(error);
      throw new CommandError(['what became of the restart is not known, Weir does not answer:', ...why]);
    }
    this.answeredAtMs = performance.now();
    const now = rows.find((each) => each['restart'] === row['restart'] && each['started_at'] === row['started_at']);
    if (now === undefined) throw new CommandError(['Weir was stopped and started while its workers were replaced']);
    return now;
  }

  async end(): Promise<void> {
    const { client } = this;
    this.client = undefined;
    await client?.end().catch(() => undefined);
  }
}
