/**
 * The keys of a terminal by name: node:readline reads their bytes, also those that arrive in pieces, and this names what `weir top`
 * knows. Called by top.ts.
 */
import { emitKeypressEvents, type Interface, type Key } from 'node:readline';
import type { ReadStream } from 'node:tty';

/** An Escape that nothing follows for so long is the key; a slow link may bring the rest of an arrow later. */
const escapeMs = 200;

/** Makes the stream emit `keypress`. */
export function readKeys(input: ReadStream): void {
  // Of the interface it reads the time limit only.
  emitKeypressEvents(input, { escapeCodeTimeout: escapeMs } as unknown as Interface);
}

const named: Readonly<Record<string, string>> = {
  ...{ return: 'enter', enter: 'enter', space: ' ', tab: 'tab', backspace: 'backspace', escape: 'escape' },
  ...{ up: 'up', down: 'down', left: 'left', right: 'right', home: 'home', end: 'end' },
  ...{ pageup: 'pageup', pagedown: 'pagedown', f1: 'f1', f3: 'f3', f4: 'f4', f6: 'f6', f9: 'f9', f10: 'f10' },
};
const withControl: Readonly<Record<string, string>> = {
  ...{ c: 'interrupt', d: 'interrupt', z: 'suspend', l: 'refresh', n: 'down', p: 'up' },
};

/**
 * Of a `keypress`; a printable character is its own name.
 * @returns none for a key without a meaning; two for Escape and a character that came at once
 */
export function keysOf(text: string | undefined, key: Key): string[] {
  const control = withControl[key.name ?? ''];
  if (key.ctrl === true) return control === undefined ? [] : [control];
  if (key.name === 'tab' && key.shift === true) return ['backtab'];
  const name = named[key.name ?? ''];
  const isCharacter = text !== undefined && [...text].length === 1 && text >= ' ' && text !== '\u007f';
  if (key.meta === true && key.name !== 'escape') {
    const [character = '', ...more] = (key.sequence ?? '').slice(1);
    return more.length === 0 && character > ' ' && character !== '\u007f' ? ['escape', character] : [];
  }
  if (name !== undefined) return [name];
  return isCharacter ? [text] : [];
}
