/**
 * `weir top`: looks at a running Weir again and again and shows it in the terminal (live.ts); without one, or with --once or --batch,
 * prints tables below each other. Called by run.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { adminUrl } from '../admin.ts';
import { CommandError, UsageError, exitCodes, type CliIo, type ExitCode } from '../io.ts';
import type { ProcessEvents } from '../served-app.ts';
import { positionals, textOf, urlOption, type Arguments, type Verb } from '../arguments.ts';
import { defaultDelayMs, parseDelay } from './delay.ts';
import { Feed } from './feed.ts';
import { wholeTable } from './layout.ts';
import { Live, type Beginning } from './live.ts';
import { pageNames, type PageName } from './pages.ts';
import { initialState } from './state.ts';

export function topVerb(events: ProcessEvents): Verb {
  return {
    synopsis: '[--page PAGE] [--delay SECONDS] [--count N] [--batch | --once]',
    about: 'Pools, nodes, statements, clients, servers and rates, live in the terminal; h shows the keys.',
    options: {
      page: { type: 'string', value: 'PAGE', about: `The page to begin with: ${pageNames.join(', ')}.` },
      delay: { type: 'string', short: 'd', value: 'SECONDS', about: 'Time between two looks (default 2).' },
      count: { type: 'string', short: 'n', value: 'N', about: 'End after so many looks.' },
      batch: { type: 'boolean', short: 'b', about: 'Print one table after the other, for a file or a pipe.' },
      once: { type: 'boolean', about: 'Print one table and end: as --batch --count 1.' },
      url: urlOption,
    },
    async run(args, io) {
      positionals(args, 0, 0, '');
      const state = initialState(pageOf(args), delayOf(args));
      const looks = countOf(args);
      const where = adminUrl(textOf(args, 'url'), io.env);
      const feed = new Feed(where, io);
      try {
        // The first look is made before the screen is taken: a wrong password is said where it can be read.
        const startMs = performance.now();
        const frame = await feed.look(state.page);
        const lookMs = performance.now() - startMs;
        const beginning = { state, frame, lookMs, feed, where: where.host, looks };
        if (args.values['once'] === true) return await batch({ ...beginning, looks: 1 }, io);
        if (args.values['batch'] === true) return await batch(beginning, io);
        const { terminal } = io;
        const problem = noTerminal(io);
        if (terminal !== undefined && problem === undefined)
          return await new Live(beginning, terminal, io, events).run();
        io.err(`weir top: ${problem}: this is one table; --batch prints one after the other\n`);
        return await batch({ ...beginning, looks: 1 }, io);
      } finally {
        feed.close();
      }
    },
  };
}

/** Why nothing can be drawn; undefined: it can. */
function noTerminal({ terminal, env }: CliIo): string | undefined {
  if (terminal === undefined) return 'standard input or output is no terminal';
  const type = env['TERM'] ?? '';
  if (type === 'dumb' || type === 'unknown') return `TERM=${type} is a terminal without a cursor`;
  return type === '' && process.platform !== 'win32' ? 'TERM is not set' : undefined;
}

/** Tables below each other, as `top -b`. A Weir that does not answer is said on standard error, and asked again. */
async function batch(beginning: Beginning, io: CliIo): Promise<ExitCode> {
  const { state, feed, where, looks } = beginning;
  const connection = { where, problem: undefined };
  io.out(wholeTable(state, beginning.frame, connection, io.columns));
  let exitCode: ExitCode = exitCodes.done;
  for (let look = 1; look < looks; look++) {
    await sleep(state.delayMs);
    try {
      const frame = await feed.look(state.page);
      io.out(`\n${wholeTable(state, frame, connection, io.columns)}`);
      exitCode = exitCodes.done;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      io.err(`weir top: ${error.lines[0] ?? ''}\n`);
      exitCode = exitCodes.refused;
    }
  }
  return exitCode;
}

function pageOf(args: Arguments): PageName {
  const text = textOf(args, 'page') ?? 'pools';
  const page = pageNames.find((name) => name === text);
  if (page === undefined) throw new UsageError(`--page ${text}: write one of ${pageNames.join(', ')}`);
  return page;
}

function delayOf(args: Arguments): number {
  const text = textOf(args, 'delay');
  const delayMs = text === undefined ? defaultDelayMs : parseDelay(text);
  if (delayMs === undefined) throw new UsageError(`--delay ${text}: write seconds from 0.1 to 3600`);
  return delayMs;
}

function countOf(args: Arguments): number {
  const text = textOf(args, 'count');
  if (text === undefined) return Infinity;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`--count ${text}: not a number of looks`);
  return Number(text);
}
