/**
 * Converts answers of Redis to the expected types; throws if an answer has another shape. Called by redis.ts and
 * redis-pair.ts.
 */
import type { Orphan } from './transport.ts';

export function listOf(value: unknown, length: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length < length) throw new Error('an answer of another shape than expected');
  return value;
}

export function textOf(value: unknown): string {
  if (!Buffer.isBuffer(value)) throw new Error('an answer without its incarnation');
  return value.toString('latin1');
}

export function numberOf(value: unknown): number {
  if (!Number.isSafeInteger(value)) throw new Error('an answer whose number is none');
  return value as number;
}

export function namesOf(value: unknown): readonly string[] {
  const text = textOf(value);
  return text === '' ? [] : text.split(',');
}

export function pairsOf(value: unknown): readonly Orphan[] {
  const orphans: Orphan[] = [];
  const list = listOf(value, 0);
  for (let i = 0; i + 1 < list.length; i += 2) {
    const [token, note] = [list[i], list[i + 1]];
    if (Buffer.isBuffer(token) && Buffer.isBuffer(note))
      orphans.push({ token: token.toString(), note: note.toString() });
  }
  return orphans;
}
