/** What the tests of READ ONLY transactions ask Weir: where something ran, and whether such a transaction begins on the replica. */
import type pg from 'pg';
import { until } from '../harness/index.ts';

export async function lastRoute(client: pg.Client): Promise<string> {
  return (await client.query<Record<string, string>>('SHOW weir.last_route')).rows[0]?.['weir.last_route'] ?? '';
}

/** Also behind a write that may have been one to any table. */
export async function untilReplicaTakesAll(probe: pg.Client): Promise<void> {
  await until('READ ONLY transactions to begin on the replica', async () => {
    await probe.query('BEGIN READ ONLY');
    const at = await lastRoute(probe);
    await probe.query('ROLLBACK');
    return at.startsWith('replica1');
  });
}
