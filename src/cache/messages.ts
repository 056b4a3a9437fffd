/**
 * Parses the messages that Weirs publish to each other through Redis (JSON made by scripts.ts). Checks everything,
 * because any program may publish on the channel. Pure.
 */
import type { Tag } from '../binding/plan.ts';

interface Common {
  readonly incarnation: string;
  /** One more than the number of the preceding message; a gap means that one was lost. */
  readonly number: number;
  /** Instance that ran the command. */
  readonly from: string;
}

export type PeerMessage =
  | (Common & { readonly kind: 'close'; readonly token: string; readonly tags: readonly Tag[] })
  | (Common & {
      readonly kind: 'open';
      /** The write whose markers were removed; '': of no particular write. */
      readonly token: string;
      readonly tags: readonly Tag[];
      /** New stamps of `tags`; empty: opened without a bump. */
      readonly stamps: readonly number[];
    })
  | (Common & { readonly kind: 'reset' });

const maxLength = 1_000_000;

const isNumber = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= 10_000;

function textList(value: unknown): readonly string[] | undefined {
  return Array.isArray(value) && value.every(isText) ? value : undefined;
}

/** @returns undefined for a message that no Weir of this version publishes */
export function parseMessage(text: string): PeerMessage | undefined {
  if (text.length > maxLength) return undefined;
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof raw !== 'object' || raw === null) return undefined;
  const { i, n, f, k, o, t, s } = raw as Record<string, unknown>;
  if (!isText(i) || !isNumber(n) || !isText(f)) return undefined;
  const common = { incarnation: i, number: n, from: f };
  if (k === 'reset') return { ...common, kind: 'reset' };
  const tags = textList(t);
  if (tags === undefined || !isText(o)) return undefined;
  if (k === 'close') return { ...common, kind: 'close', token: o, tags };
  if (k !== 'open') return undefined;
  if (s === undefined) return { ...common, kind: 'open', token: o, tags, stamps: [] };
  if (!Array.isArray(s) || s.length !== tags.length || !s.every(isNumber)) return undefined;
  return { ...common, kind: 'open', token: o, tags, stamps: s };
}
