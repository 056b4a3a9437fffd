/**
 * `weir top`: looks at a running Weir again and again and shows it in the terminal; in a pipe, or with --once, one table. Called by run.ts.
 */
import { adminUrl } from '../admin.ts';
import { CommandError, UsageError, exitCodes, type CliIo, type ExitCode } from '../io.ts';
import type { ProcessEvents } from '../served-app.ts';
import { positionals, textOf, urlOption, type Arguments, type Verb } from '../verbs.ts';
import { defaultDelayMs, parseDelay } from './delay.ts';
import { Feed } from './feed.ts';
import type { Frame } from './frame.ts';
import { keysOf, press, type Action } from './keys.ts';
import { layout, rowsShown, wholeTable } from './layout.ts';
import { pageNames, pages, type PageName } from './pages.ts';
import { Screen, type Terminal } from './screen.ts';
import { initialState, type TopState } from './state.ts';

export function topVerb(events: ProcessEvents): Verb {
  return {
    synopsis: '[--page PAGE] [--delay SECONDS] [--once]',
    about: 'Pools, nodes, clients, servers and rates, live in the terminal; h shows the keys.',
    options: {
      page: { type: 'string', value: 'PAGE', about: `The page to begin with: ${pageNames.join(', ')}.` },
      delay: { type: 'string', short: 'd', value: 'SECONDS', about: 'Time between two looks (default 2).' },
      once: { type: 'boolean', about: 'Print one page and end, as without a terminal.' },
      url: urlOption,
    },
    async run(args, io) {
      positionals(args, 0, 0, '');
      const state = initialState(pageOf(args), delayOf(args));
      const where = adminUrl(textOf(args, 'url'), io.env);
      const feed = new Feed(where, io);
      const connection = { where: where.host, problem: undefined };
      try {
        // The first look is made before the screen is taken: a wrong password is said where it can be read.
        const frame = await feed.look(state.page);
        const { terminal } = io;
        if (terminal === undefined || args.values['once'] === true || io.env['TERM'] === 'dumb') {
          io.out(wholeTable(state, frame, connection, io.columns));
          return exitCodes.done;
        }
        return await new Top({ state, frame, feed, where: where.host }, terminal, io, events).run();
      } finally {
        feed.close();
      }
    },
  };
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

interface Beginning {
  readonly state: TopState;
  readonly frame: Frame;
  readonly feed: Feed;
  readonly where: string;
}

const ends = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** One run in a terminal. */
class Top {
  private readonly feed: Feed;
  private readonly where: string;
  private readonly terminal: Terminal;
  private readonly screen: Screen;
  private readonly events: ProcessEvents;
  private state: TopState;
  private frame: Frame;
  /** Why the last look failed. */
  private problem: string | undefined;
  private timer: NodeJS.Timeout | undefined;
  private finish: () => void = () => undefined;
  private fail: (error: unknown) => void = () => undefined;

  constructor({ state, frame, feed, where }: Beginning, terminal: Terminal, io: CliIo, events: ProcessEvents) {
    this.state = state;
    this.frame = frame;
    this.feed = feed;
    this.where = where;
    this.terminal = terminal;
    this.events = events;
    this.screen = new Screen(terminal, (io.env['NO_COLOR'] ?? '') === '');
  }

  async run(): Promise<ExitCode> {
    const { input, output } = this.terminal;
    const finished = new Promise<void>((resolve, reject) => ([this.finish, this.fail] = [resolve, reject]));
    const end = (): void => this.finish();
    const fail = (error: unknown): void => this.fail(error);
    const onKeys = (text: string): void => this.onKeys(text);
    const onResize = (): void => this.redraw();
    for (const signal of ends) this.events.on(signal, end);
    this.events.on('uncaughtException', fail);
    this.events.on('unhandledRejection', fail);
    try {
      this.screen.open();
      input.on('data', onKeys).on('end', end).on('error', end);
      output.on('resize', onResize).on('drain', onResize);
      this.draw();
      this.lookLater();
      await finished;
    } finally {
      clearTimeout(this.timer);
      input.off('data', onKeys).off('end', end).off('error', end);
      output.off('resize', onResize).off('drain', onResize);
      this.screen.close();
      for (const signal of ends) this.events.off(signal, end);
      this.events.off('uncaughtException', fail);
      this.events.off('unhandledRejection', fail);
    }
    return exitCodes.done;
  }

  private onKeys(text: string): void {
    for (const key of keysOf(text)) {
      const { state, action } = press(this.state, key, this.frame, rowsShown(this.screen.size));
      this.state = state;
      if (action !== undefined) this.act(action);
    }
    this.draw();
  }

  private act(action: Action): void {
    if (action.kind === 'quit') this.finish();
    else if (action.kind === 'kill') void this.kill(action.id).catch(this.fail);
    else this.lookSoon();
  }

  private async kill(id: string): Promise<void> {
    try {
      await this.feed.kill(id);
      this.say(`client ${id} was disconnected`);
    } catch (error) {
      this.say(wordsOf(error));
    }
    this.lookSoon();
  }

  private say(message: string): void {
    this.state = { ...this.state, message };
    this.draw();
  }

  private lookLater(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.lookSoon(), this.state.delayMs);
  }

  private lookSoon(): void {
    clearTimeout(this.timer);
    void this.look().catch(this.fail);
  }

  /** A pause keeps what is shown, but another page has to be read once. */
  private async look(): Promise<void> {
    const { page, isPaused } = this.state;
    if (!isPaused || this.frame.tables[pages[page].command] === undefined) {
      try {
        const frame = await this.feed.look(page);
        if (this.problem !== undefined) this.state = { ...this.state, message: 'Weir answers again' };
        this.problem = undefined;
        this.frame = frame;
      } catch (error) {
        this.problem = wordsOf(error);
      }
    }
    this.draw();
    this.lookLater();
  }

  private redraw(): void {
    this.screen.forget();
    this.draw();
  }

  private draw(): void {
    const connection = { where: this.where, problem: this.problem };
    this.screen.draw(layout(this.state, this.frame, connection, this.screen.size));
  }
}

function wordsOf(error: unknown): string {
  if (!(error instanceof CommandError)) throw error;
  return error.lines.join(' ');
}
