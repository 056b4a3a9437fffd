/**
 * Draws lines on a terminal: the alternate screen of xterm, and everything as it was afterwards. Only what has changed is written,
 * which is what a slow link needs. docs/adr/0017 says why there is no library for it. Used by top.ts.
 */
import type { ReadStream, WriteStream } from 'node:tty';
import { widthOf } from '../text.ts';
import type { Line, Size, Style } from './layout.ts';

export interface Terminal {
  readonly input: ReadStream;
  readonly output: WriteStream;
}

const escape = '\u001b[';
/** Alternate screen, no cursor; no wrapping, as terminals do not agree on how wide some characters are. */
const enter = `${escape}?1049h${escape}?25l${escape}?7l`;
const leave = `${escape}0m${escape}?7h${escape}?25h${escape}?1049l`;

const colours: Readonly<Record<Style, string>> = {
  ...{ plain: '', bold: '1', header: '7', selected: '30;46', warning: '33' },
};
/** NO_COLOR (no-color.org): bold and reverse are no colours. */
const noColours: Readonly<Record<Style, string>> = {
  ...{ plain: '', bold: '1', header: '7', selected: '1;7', warning: '1' },
};

/** What follows characters of an uncertain width stands where it belongs: the cursor is moved there. */
function placed(text: string): string {
  return text.replace(/[^\u0020-\u007e]+/g, (run, at: number) => {
    return `${run}${escape}${widthOf(text.slice(0, at + run.length)) + 1}G`;
  });
}

export function styled({ text, style }: Line, hasColour: boolean): string {
  const code = (hasColour ? colours : noColours)[style];
  // Erased before, not after: behind a line that fills the terminal, the cursor stands on its last character.
  return `${escape}K${code === '' ? placed(text) : `${escape}${code}m${placed(text)}${escape}0m`}`;
}

/** The bytes that turn a screen with the lines `before` into one with the lines `now`; undefined: nothing is known of it. */
export function drawing(now: readonly string[], before: readonly string[] | undefined): string {
  const changed = now.flatMap((line, index) => (line === before?.[index] ? [] : [`${escape}${index + 1};1H${line}`]));
  const clear = before === undefined ? `${escape}0m${escape}2J` : '';
  return clear + changed.join('');
}

export class Screen {
  private readonly terminal: Terminal;
  private readonly hasColour: boolean;
  private isOpen = false;
  private last: readonly string[] | undefined;
  /** When the process ends in a way that nobody has thought of. */
  private readonly onExit = (): void => this.close();

  constructor(terminal: Terminal, hasColour: boolean) {
    this.terminal = terminal;
    this.hasColour = hasColour;
  }

  get size(): Size {
    const { columns, rows } = this.terminal.output;
    // A terminal without a size (a serial line) says 0.
    return { columns: columns > 0 ? columns : 80, rows: rows > 0 ? rows : 24 };
  }

  open(): void {
    this.isOpen = true;
    this.last = undefined;
    process.once('exit', this.onExit);
    this.terminal.input.setRawMode(true);
    this.terminal.input.resume();
    this.terminal.output.write(enter);
  }

  draw(lines: readonly Line[]): void {
    const { output } = this.terminal;
    // A terminal that does not keep up gets the newest screen later, not all of them.
    if (!this.isOpen || output.writableNeedDrain) return;
    const now = lines.map((line) => styled(line, this.hasColour));
    const bytes = drawing(now, this.last);
    this.last = now;
    if (bytes !== '') output.write(bytes);
  }

  /** The next drawing is a whole one: the terminal may have another size, or show what others have written. */
  forget(): void {
    this.last = undefined;
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    process.off('exit', this.onExit);
    this.terminal.output.write(leave);
    if (!this.terminal.input.destroyed) this.terminal.input.setRawMode(false);
    this.terminal.input.pause();
  }
}
