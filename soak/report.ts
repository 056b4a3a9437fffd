/**
 * What a run says about Weir: everything by which it fails. Used by main.ts and integration/consistency.test.ts.
 */
import type { Result } from './run.ts';

/** Below this a run proves nothing: the primary is always right. */
export const leastShare = 0.6;

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
  if (share.cache + share.replica < least && anomalies.length === 0) {
    problems.push(
      `only ${((share.cache + share.replica) * 100).toFixed(0)} % came from replicas and cache: this proves nothing`,
    );
  }
  return problems;
}
