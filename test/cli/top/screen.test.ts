/** What `weir top` writes to a terminal, as a terminal (xterm without a window) shows it. */
import xterm from '@xterm/headless';
import { expect, it } from 'vitest';
import type { Line } from '../../../src/cli/top/layout.ts';
import { drawing, styled } from '../../../src/cli/top/screen.ts';

const line = (text: string, style: Line['style'] = 'plain'): string => styled({ text, style }, true);

/** The characters of a terminal of 10 columns and 3 rows, into which this was written; no character goes to the next row. */
async function shown(...bytes: string[]): Promise<string[]> {
  const terminal = new xterm.Terminal({ cols: 10, rows: 3, allowProposedApi: true });
  await new Promise<void>((resolve) => terminal.write(`\u001b[?7l${bytes.join('')}`, resolve));
  const { active } = terminal.buffer;
  const rows = Array.from({ length: 3 }, (_, index) => active.getLine(index)?.translateToString(true) ?? '');
  terminal.dispose();
  return rows;
}

it('a whole screen, whatever was there', async () => {
  const screen = drawing([line('one'), line(''), line('three')], undefined);
  expect(await shown('xxxxxxxxxx\r\nxxxxxx\r\nxxxxxxxxx', screen)).toEqual(['one', '', 'three']);
});

it('lines that fill the terminal keep their last character', async () => {
  const full = '0123456789';
  const screen = drawing([line(full, 'header'), line(full, 'selected'), line(full)], undefined);
  expect(await shown(screen)).toEqual([full, full, full]);
});

it('only lines that have changed, also shorter ones', async () => {
  const before = [line('one'), line('two two'), line('three')];
  const after = [line('one'), line('2'), line('three')];
  const bytes = drawing(after, before);
  expect(bytes).not.toContain('one');
  expect(bytes).not.toContain('three');
  expect(drawing(after, after)).toBe('');
  expect(await shown(drawing(before, undefined), bytes)).toEqual(['one', '2', 'three']);
});

it('what stands behind wide characters stays in its column', async () => {
  // A terminal that takes the family for another width has the cursor moved to where the text goes on.
  const screen = drawing([line('日本 a'), line('👨‍👩‍👧 b'), line('é c')], undefined);
  const [first, second, third] = await shown(screen);
  expect(first).toBe('日本 a');
  expect(second?.endsWith(' b')).toBe(true);
  expect(third).toBe('é c');
  expect(line('日 a')).toBe('\u001b[K日\u001b[3G a');
});

it('no colour where NO_COLOR is set', () => {
  for (const style of ['bold', 'header', 'selected', 'warning', 'plain'] as const) {
    expect(styled({ text: 'x', style }, false)).not.toMatch(/\[(?:\d+;)*[34]\d[;m]/);
  }
  expect(line('x', 'warning')).toContain('\u001b[33mx');
});
