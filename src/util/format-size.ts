/**
 * A number of bytes as it is written in the configuration: 10MB. Used by config/, and by limits/limiter.ts for its rates.
 */
const bytesPer: readonly (readonly [string, number])[] = [
  ['GB', 2 ** 30],
  ['MB', 2 ** 20],
  ['KB', 2 ** 10],
];

export function formatSize(bytes: number): string {
  if (bytes === 0) return '0';
  const found = bytesPer.find(([, size]) => bytes % size === 0);
  return found === undefined ? `${bytes}B` : `${bytes / found[1]}${found[0]}`;
}
