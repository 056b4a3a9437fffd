/**
 * Draws lines on a terminal: the alternate screen of xterm, keys one by one, and everything as it was afterwards. docs/adr/0017 says
 * why there is no library for it. Used by top.ts.
 */
import type { ReadStream, WriteStream } from 'node:tty';
import type { Line, Size, Style } from './layout.ts';

export interface Terminal {
  readonly input: ReadStream;
  readonly output: WriteStream;
}

const escape = '\u001b[';
/** Alternate screen, no cursor; no wrapping, as some characters are two columns wide. */
const enter = `${escape}?1049h${escape}?25l${escape}?7l`;
const leave = `${escape}0m${escape}?7h${escape}?25h${escape}?1049l`;

const colours: Readonly<Record<Style, string>> = {
  ...{ plain: '', bold: '1', header: '7', selected: '30;46', warning: '33' },
};
/** NO_COLOR (no-color.org): bold and reverse are no colours. */
const noColours: Readonly<Record<Style, string>> = {
  ...{ plain: '', bold: '1', header: '7', selected: '1;7', warning: '1' },
};

/** The bytes for a whole screen. It is overwritten, not cleared before, so that nothing flickers. */
export function drawing(lines: readonly Line[], hasColour: boolean): string {
  const codes = hasColour ? colours : noColours;
  const drawn = lines.map(({ text, style }) => {
    const code = codes[style];
    return `${code === '' ? text : `${escape}${code}m${text}${escape}0m`}${escape}K`;
  });
  return `${escape}H${drawn.join('\r\n')}${escape}J`;
}

export class Screen {
  private readonly terminal: Terminal;
  private readonly hasColour: boolean;
  private isOpen = false;
  private last = '';
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
    process.once('exit', this.onExit);
    this.terminal.input.setRawMode(true);
    this.terminal.input.setEncoding('utf8');
    this.terminal.output.write(enter);
  }

  draw(lines: readonly Line[]): void {
    const { output } = this.terminal;
    const bytes = drawing(lines, this.hasColour);
    // A terminal that does not keep up gets the newest screen later, not all of them.
    if (!this.isOpen || output.writableNeedDrain || bytes === this.last) return;
    this.last = bytes;
    output.write(bytes);
  }

  /** The next drawing is a whole one, even if nothing has changed. */
  forget(): void {
    this.last = '';
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
