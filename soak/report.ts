/**
 * What a run says about Weir: everything by which it fails. Used by main.ts and integration/consistency.test.ts.
 */
import type { Result } from './run.ts';

/** Below this a run proves nothing: the primary is always right. */
export const leastShare = 0.6;
/**
 * The same where workers are replaced every 10 s: caches are new then, and a session that has changed its worker reads on the
 * primary until the servers have been probed again. On a busy machine that is most of the time.
 */
export const leastShareRolling = 0.15;
/** Of the checked reads; fewer from replicas and cache prove nothing, whatever their share. */
const leastServed = 2_000;

/** Everything by which a run fails; of anomalies one of each kind. */
export function problemsOf(result: Result, least: number = leastShare): string[] {
  const { anomalies, unexpected, stuck, left, share } = result;
  const kindsFound = new Map<string, number>();
  for (const { what } of anomalies) kindsFound.set(what, (kindsFound.get(what) ?? 0) + 1);
  const problems = [...kindsFound].map(([what, count]) => {
    const first = anomalies.find((one) => one.what === what)!;
    return `${what} (${count}): ${first.text}\n    ${first.history.join('\n    ')}`;
  });
  for (const name of stuck) problems.push(`stuck: ${name}`);
  problems.push(...left);
  for (const text of new Set(unexpected)) problems.push(`unexpected error: ${text}`);
  const served = share.cache + share.replica;
  if ((served < least || served * result.reads < leastServed) && anomalies.length === 0) {
    const what = `only ${(served * 100).toFixed(0)} % of ${result.reads} reads`;
    problems.push(`${what} came from replicas and cache: this proves nothing`);
  }
  return problems;
}
