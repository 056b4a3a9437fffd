/**
 * `weir drain`: with a node, sends it no new work; with --wait, takes Weir itself out of service and waits until its last client
 * has left, as a preStop command of Kubernetes does. Called by run.ts.
 */
import type pg from 'pg';
import { duration, formatDuration, longestDurationMs } from '../config/values.ts';
import { lastClientLeft } from '../console/sources.ts';
import { adminUrl, asObjects, commandProblem, connectToConsole, runOne } from './admin.ts';
import type { CliIo, ExitCode } from './io.ts';
import { CommandError, UsageError, exitCodes } from './io.ts';
import { type Arguments, type Verb, textOf } from './arguments.ts';

/** @param ofNode the form with a node */
export function drainVerb(ofNode: Verb): Verb {
  return {
    synopsis: 'NODE | --wait [--timeout TIME]',
    about:
      'Sends no new work to a node; with --wait, ends Weir when its clients have left. For that, /readyz says 503, then no new clients come in, and the last one to leave ends it (SHUTDOWN WAIT_FOR_CLIENTS).',
    options: {
      wait: { type: 'boolean', about: 'Drain Weir itself, and wait until its last client has left.' },
      timeout: {
        type: 'string',
        value: 'TIME',
        about: 'Wait no longer than this (30s, 5m); exit code 1 if there are clients then. Weir goes on draining.',
      },
      ...ofNode.options,
    },
    async run(args, io) {
      const timeout = textOf(args, 'timeout');
      if (args.values['wait'] === true) return drainWeir(args, io, timeout);
      if (timeout !== undefined) throw new UsageError('--timeout is for --wait');
      return ofNode.run(args, io);
    },
  };
}

async function drainWeir(args: Arguments, io: CliIo, timeout: string | undefined): Promise<ExitCode> {
  const [node] = args.positionals;
  if (node !== undefined) throw new UsageError(`--wait drains Weir itself: leave out ${node}, or --wait`);
  const timeoutMs = timeout === undefined ? undefined : parseTimeout(timeout);
  const client = await connectToConsole(adminUrl(textOf(args, 'url'), io.env), io);
  // The error with which Weir ends the connection: of the connection, or of a command under way.
  let end: (error: unknown) => void = () => undefined;
  const lost = new Promise<unknown>((resolve) => (end = resolve));
  client.once('error', end);
  client.once('end', () => end(undefined));
  try {
    await run(client, 'SHUTDOWN WAIT_FOR_CLIENTS');
    const count = await clientsLeft(client, end);
    if (count > 0) io.err(`no new clients; ${clients(count)} still connected\n`);
    const left = (await isOver(lost, timeoutMs)) ? 0 : await clientsLeft(client, end);
    if (left > 0) throw new CommandError(tooLate(left, timeoutMs ?? 0));
    checkEnd(await lost);
  } finally {
    await client.end().catch(() => undefined);
  }
  io.out(args.values['json'] === true ? '[{"clients": 0}]\n' : 'the last client has left\n');
  return exitCodes.done;
}

/** @throws UsageError */
export function parseTimeout(text: string): number {
  const parsed = duration(1, longestDurationMs).parseText(text);
  if ('refused' in parsed) throw new UsageError(`--timeout ${text} ${parsed.refused}`);
  return parsed.value;
}

const clients = (count: number): string => (count === 1 ? '1 client is' : `${count} clients are`);

function tooLate(left: number, timeoutMs: number): string[] {
  return [
    `${clients(left)} still connected after ${formatDuration(timeoutMs)}`,
    'HINT: Weir lets no new ones in and ends when the last one has left. SIGTERM ends them at their transactions.',
  ];
}

async function run(client: pg.Client, command: string): ReturnType<typeof runOne> {
  try {
    return await runOne(client, command);
  } catch (error) {
    throw new CommandError(commandProblem(error));
  }
}

/** @param end told if Weir has ended the connection meanwhile; the result is 0 then */
async function clientsLeft(client: pg.Client, end: (error: unknown) => void): Promise<number> {
  try {
    const rows = asObjects(await runOne(client, 'SHOW LISTS'));
    return Number(rows.find((row) => row['list'] === 'used_clients')?.['items'] ?? 0);
  } catch (error) {
    end(error);
    return 0;
  }
}

/** @returns false if the time was over first */
async function isOver(lost: Promise<unknown>, timeoutMs: number | undefined): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    if (timeoutMs !== undefined) timer = setTimeout(() => resolve(false), timeoutMs);
  });
  const first = await Promise.race([lost.then(() => true), late]);
  clearTimeout(timer);
  return first;
}

/** @throws CommandError if Weir has ended this connection for another reason than that its last client has left */
function checkEnd(error: unknown): void {
  const { code, detail, message } = (error ?? {}) as { code?: unknown; detail?: unknown; message?: unknown };
  if (code === '57P01' && detail === lastClientLeft) return;
  const why =
    code === '57P01'
      ? 'Weir was told not to wait any longer (SIGTERM, SHUTDOWN)'
      : `the connection was lost (${String(code ?? message ?? 'closed')})`;
  throw new CommandError([`${why}; clients may have been connected then`]);
}
