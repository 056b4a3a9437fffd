/**
 * What it costs that every client keeps its own settings: two clients take turns on one server, with the same settings
 * and with different ones, so that each statement is preceded by a replay; and directly, with a server for each.
 */
import { performance } from 'node:perf_hooks';
import type pg from 'pg';
import { connectPg } from '../integration/harness/clients.ts';
import { startWeirContestant } from './contestants.ts';
import type { BenchContext } from './context.ts';
import { median } from './numbers.ts';
import type { Row, Section } from './report.ts';

const zones = ['Asia/Tokyo', 'America/Lima'] as const;
const WARM_UP = 500;

/** Median time of a statement, in microseconds, of two clients that take turns. */
async function turnsUs(url: string, settings: readonly string[], seconds: number): Promise<number> {
  const clients: pg.Client[] = [];
  try {
    for (const zone of settings) {
      const client = await connectPg(url);
      clients.push(client);
      await client.query(`SET TimeZone = '${zone}'`);
    }
    const times: number[] = [];
    const endMs = performance.now() + seconds * 1000;
    for (let turn = 0; performance.now() < endMs; turn++) {
      const startMs = performance.now();
      await clients[turn % clients.length]?.query('SELECT 1');
      if (turn >= WARM_UP) times.push((performance.now() - startMs) * 1000);
    }
    return median(times);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

export async function replayedSettings(context: BenchContext): Promise<Section> {
  const one = { default_pool_size: 1, max_pool_size: 1 };
  const weir = await startWeirContestant(context.cluster, 'Weir', one);
  const ways = [
    { label: 'direct', url: context.direct.url(), settings: zones },
    { label: 'Weir, both with the same settings', url: weir.url(), settings: [zones[0], zones[0]] },
    { label: 'Weir, each with its own', url: weir.url(), settings: zones },
  ];
  try {
    const times = new Map<string, number[]>(ways.map(({ label }) => [label, []]));
    for (let round = 0; round < context.rounds; round++) {
      for (const { label, url, settings } of ways)
        times.get(label)?.push(await turnsUs(url, settings, Math.min(2, context.seconds)));
    }
    const rows: Row[] = [...times].map(([label, all]) => ({ label, cells: [median(all)] }));
    return {
      title: 'Settings of one’s own',
      about: 'Two clients take turns on one server; the median of a statement, seen by the client.',
      columns: ['', 'p50, us'],
      rows,
      targets: [],
      notes: ['What is counted on the wire, not timed, is in `integration/replay.test.ts`: one exchange, or none.'],
    };
  } finally {
    await weir.stop();
  }
}
