/**
 * Kinds of writes, forms of reads and faults that find known mistakes: left out unless `--all` is given or they are named.
 * Empty is where it has to be.
 */
export const expectedToFail: ReadonlySet<string> = new Set([
  'kill-redis',
  'freeze-redis',
  'partition-redis',
  'cut-redis',
  'slow-redis',
  'kill-weir',
  'cut-primary',
]);
