/** The delay between two frames of `weir top`, in seconds as in top. Used by keys.ts and top.ts. */

export const defaultDelayMs = 2_000;

/** @returns undefined if it is no number of seconds from 0.1 to 3600 */
export function parseDelay(text: string): number | undefined {
  if (!/^\d{1,4}(?:\.\d{1,3})?s?$/.test(text)) return undefined;
  const ms = Math.round(Number.parseFloat(text) * 1_000);
  return ms >= 100 && ms <= 3_600_000 ? ms : undefined;
}
