/** Clients that ask again as soon as they are answered, of several kinds at the same time. */
import { quantile } from '../numbers.ts';
import { PlainClient } from './client.ts';

export interface Kind {
  readonly clients: number;
  /** What they ask. */
  sql(): string;
}

export interface KindOutcome {
  readonly perSecond: number;
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  readonly errors: number;
}

/** @param seconds that are counted, after the warm-up */
export async function playClosed(
  port: number,
  kinds: readonly Kind[],
  { warmUpSeconds, seconds }: { warmUpSeconds: number; seconds: number },
): Promise<KindOutcome[]> {
  const clients = await Promise.all(
    kinds.map(({ clients: count }) => Promise.all(Array.from({ length: count }, () => PlainClient.connect(port)))),
  );
  const fromMs = performance.now() + warmUpSeconds * 1000;
  const untilMs = fromMs + seconds * 1000;
  const results = kinds.map(() => ({ tookMs: [] as number[], errors: 0 }));
  const loop = async (client: PlainClient, { sql }: Kind, result: (typeof results)[number]): Promise<void> => {
    while (performance.now() < untilMs && !client.isGone) {
      const sinceMs = performance.now();
      const { refused } = await client.ask(sql());
      const nowMs = performance.now();
      if (nowMs < fromMs || nowMs > untilMs) continue;
      if (refused === undefined) result.tookMs.push(nowMs - sinceMs);
      else result.errors++;
    }
  };
  await Promise.all(
    kinds.map((kind, i) => Promise.all((clients[i] ?? []).map((client) => loop(client, kind, results[i]!)))),
  );
  for (const client of clients.flat()) client.leave();
  return results.map(({ tookMs, errors }) => {
    const sorted = tookMs.sort((a, b) => a - b);
    return { perSecond: sorted.length / seconds, p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99), errors };
  });
}
