/**
 * Kinds of writes, forms of reads and faults that find known mistakes: left out unless `--all` is given or they are named.
 * Empty is where it has to be.
 */
export const expectedToFail: ReadonlySet<string> = new Set([
  'commit and chain',
  'commit and chain extended',
  'commit and begin in one Query',
  'commit and begin under one Sync',
  'failing in a transaction behind a commit',
  'function',
  'kill-redis',
  'freeze-redis',
  'partition-redis',
  'cut-redis',
  'slow-redis',
  'kill-weir',
  'cut-primary',
]);
