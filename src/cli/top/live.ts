/**
 * One run of `weir top` in a terminal: keys, looks at Weir, Ctrl-Z, and the end, after which the terminal is as it was. Made by top.ts.
 */
import type { Key } from 'node:readline';
import { CommandError, exitCodes, type CliIo, type ExitCode } from '../io.ts';
import type { ProcessEvents } from '../served-app.ts';
import type { Feed } from './feed.ts';
import type { Frame } from './frame.ts';
import { press, type Action } from './keys.ts';
import { layout, rowsShown } from './layout.ts';
import { pages, refusalOf } from './pages.ts';
import { Screen, type Terminal } from './screen.ts';
import type { TopState } from './state.ts';
import { keysOf, readKeys } from './terminal-keys.ts';

export interface Beginning {
  readonly state: TopState;
  readonly frame: Frame;
  /** How long the first look has taken. */
  readonly lookMs: number;
  readonly feed: Feed;
  /** HOST:PORT. */
  readonly where: string;
  /** Ends after so many looks. */
  readonly looks: number;
}

const ends = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
const messageMs = 5_000;
/** Within this time the kernel has stopped the process, if it does at all. */
const stopMs = 50;
/** A look at very many clients is work for Weir: between two there is a rest of so many times what the last one took. */
const restFactor = 4;
const longestRestMs = 15_000;

export class Live {
  private readonly feed: Feed;
  private readonly where: string;
  private readonly terminal: Terminal;
  private readonly screen: Screen;
  private readonly events: ProcessEvents;
  private state: TopState;
  private frame: Frame;
  private lookMs: number;
  private looksLeft: number;
  /** Why the last look failed. */
  private problem: string | undefined;
  private timer: NodeJS.Timeout | undefined;
  private messageTimer: NodeJS.Timeout | undefined;
  private finish: () => void = () => undefined;
  private fail: (error: unknown) => void = () => undefined;

  constructor(beginning: Beginning, terminal: Terminal, io: CliIo, events: ProcessEvents) {
    this.state = beginning.state;
    this.frame = beginning.frame;
    this.lookMs = beginning.lookMs;
    this.looksLeft = beginning.looks - 1;
    this.feed = beginning.feed;
    this.where = beginning.where;
    this.terminal = terminal;
    this.events = events;
    this.screen = new Screen(terminal, (io.env['NO_COLOR'] ?? '') === '');
  }

  async run(): Promise<ExitCode> {
    const { input, output } = this.terminal;
    const finished = new Promise<void>((resolve, reject) => ([this.finish, this.fail] = [resolve, reject]));
    const end = (): void => this.finish();
    const fail = (error: unknown): void => this.fail(error);
    const onKey = (text: string | undefined, key: Key): void => this.onKeys(keysOf(text, key));
    const onResize = (): void => this.redraw();
    for (const signal of ends) this.events.on(signal, end);
    this.events.on('SIGTSTP', this.suspend).on('uncaughtException', fail).on('unhandledRejection', fail);
    try {
      readKeys(input);
      this.screen.open();
      input.on('keypress', onKey).on('end', end).on('error', end);
      output.on('resize', onResize).on('drain', onResize);
      this.draw();
      this.lookLater();
      await finished;
    } finally {
      clearTimeout(this.timer);
      clearTimeout(this.messageTimer);
      input.off('keypress', onKey).off('end', end).off('error', end);
      output.off('resize', onResize).off('drain', onResize);
      this.screen.close();
      for (const signal of ends) this.events.off(signal, end);
      this.events.off('SIGTSTP', this.suspend).off('uncaughtException', fail).off('unhandledRejection', fail);
    }
    return exitCodes.done;
  }

  private onKeys(keys: readonly string[]): void {
    const { columns } = this.screen.size;
    for (const key of keys) {
      const { state, action } = press(this.state, key, this.frame, { rows: rowsShown(this.screen.size), columns });
      this.setState(state);
      if (action !== undefined) this.act(action);
    }
    this.draw();
  }

  private act(action: Action): void {
    switch (action.kind) {
      case 'quit':
        return this.finish();
      case 'kill':
        return void this.kill(action.id, action.connection).catch(this.fail);
      case 'suspend':
        // To the whole group, as the terminal does it: npx and sudo wait for it, too.
        return void process.kill(0, 'SIGTSTP');
      case 'redraw':
        this.screen.forget();
        return this.lookSoon();
      case 'refresh':
        return this.lookSoon();
    }
  }

  /**
   * Gives the terminal back and stops. A process without a shell above it is not stopped by SIGTSTP, and goes on: SIGSTOP would
   * stop it for ever.
   */
  private readonly suspend = (): void => {
    clearTimeout(this.timer);
    this.screen.close();
    this.events.off('SIGTSTP', this.suspend);
    process.kill(process.pid, 'SIGTSTP');
    setTimeout(() => {
      this.events.on('SIGTSTP', this.suspend);
      this.screen.open();
      this.draw();
      this.lookSoon();
    }, stopMs);
  };

  private async kill(id: string, connection: number): Promise<void> {
    try {
      const refusal = await this.feed.kill(id, connection);
      this.say(refusal ?? `client ${id} was disconnected`);
    } catch (error) {
      this.say(wordsOf(error));
    }
    this.lookSoon();
  }

  private say(message: string): void {
    this.setState({ ...this.state, message });
    this.draw();
  }

  /** A message goes by itself, and what was said before is not what remains. */
  private setState(state: TopState): void {
    if (state.message !== this.state.message) {
      clearTimeout(this.messageTimer);
      if (state.message !== '') this.messageTimer = setTimeout(() => this.say(''), messageMs);
    }
    this.state = state;
  }

  private lookLater(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.lookSoon(), this.restMs);
  }

  private get restMs(): number {
    return Math.max(this.state.delayMs, Math.min(longestRestMs, this.lookMs * restFactor));
  }

  private lookSoon(): void {
    clearTimeout(this.timer);
    void this.look().catch(this.fail);
  }

  /** A pause keeps what is shown, but another page has to be read once. */
  private async look(): Promise<void> {
    const { page, isPaused } = this.state;
    const isKnown = this.frame.tables[pages[page].command] !== undefined || refusalOf(page, this.frame) !== undefined;
    if (!isPaused || !isKnown) {
      const startMs = performance.now();
      try {
        const frame = await this.feed.look(page);
        if (frame.connection !== this.frame.connection) this.setState(reconnected(this.state));
        this.problem = undefined;
        this.frame = frame;
        if (--this.looksLeft <= 0) this.finish();
      } catch (error) {
        this.problem = wordsOf(error);
      }
      this.lookMs = performance.now() - startMs;
    }
    this.draw();
    this.lookLater();
  }

  private redraw(): void {
    this.screen.forget();
    this.draw();
  }

  private draw(): void {
    const connection = { where: this.where, problem: this.problem, restMs: this.restMs };
    this.screen.draw(layout(this.state, this.frame, connection, this.screen.size));
  }
}

/** The client of a question may be another one now. */
function reconnected(state: TopState): TopState {
  const isAsked = state.prompt?.kind === 'kill';
  const message = `Weir answers again${isAsked ? '; nobody was disconnected' : ''}`;
  return { ...state, message, prompt: isAsked ? undefined : state.prompt };
}

/** The first line: the hints that follow are for somebody who has no connection yet. */
function wordsOf(error: unknown): string {
  if (!(error instanceof CommandError)) throw error;
  return (error.lines[0] ?? '').replace(/: is it running\?.*$/, '');
}
