/** What the tests of READ ONLY transactions wait for: that such a transaction begins on the replica. */
import type pg from 'pg';
import { lastRoute, until } from '../harness/index.ts';

/** Also behind a write that may have been one to any table. */
export async function untilReplicaTakesAll(probe: pg.Client): Promise<void> {
  await until('READ ONLY transactions to begin on the replica', async () => {
    await probe.query('BEGIN READ ONLY');
    const at = await lastRoute(probe);
    await probe.query('ROLLBACK');
    return at.startsWith('replica1');
  });
}
