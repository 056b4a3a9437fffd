/**
 * Histories of many sessions through three Weirs (two over one Redis, one without), under every kind of write and every fault,
 * by a schedule that the seed decides: soak/ has the checker, docs/consistency.md what it checks. Two minutes here;
 * `npm run soak` for longer. WEIR_CONSISTENCY_SEED repeats a run.
 */
import { describe, expect, test } from 'vitest';
import { faults } from '../soak/faults.ts';
import { problemsOf } from '../soak/report.ts';
import { runSoak } from '../soak/run.ts';
import { currentRun, hasRedis, workersOfTests } from './harness/index.ts';

const seconds = Number(process.env['WEIR_CHECK_SECONDS'] ?? 120);
const seed = Number(process.env['WEIR_CONSISTENCY_SEED'] ?? 975_868);
/**
 * On a machine that is busy with other things the replicas are behind for longer; the soak wants more. Workers that share the
 * cores are, too, and none of them uses what another is writing.
 */
const least = workersOfTests() === undefined ? 0.3 : 0.15;

describe.skipIf(!hasRedis())('histories of sessions', () => {
  test(`nothing is wrong, nobody is stuck, whatever happens (WEIR_CONSISTENCY_SEED=${seed})`, async () => {
    const result = await runSoak({
      run: currentRun(),
      seed,
      seconds,
    });
    const { cache, replica } = result.share;
    console.log(
      `seed ${seed}: ${result.reads} reads checked, ${result.writes} writes, cache ${cache.toFixed(2)}, replicas ${replica.toFixed(2)}`,
    );
    expect(problemsOf(result, least)).toEqual([]);
    expect(cache + replica).toBeGreaterThan(least);
    expect(cache).toBeGreaterThan(least / 3);
    expect(replica).toBeGreaterThan(least / 3);
    expect(result.reads).toBeGreaterThan(100 * seconds);
    expect(result.writes).toBeGreaterThan(seconds);
  }, 900_000);

  test.each([
    [
      'consistency = eventual',
      { routing: { consistency: 'eventual', max_replica_lag: '30s' }, cache: { enabled: false } },
    ],
    ['cache.mode = ttl', { cache: { enabled: true, mode: 'ttl', ttl: '2s' } }],
  ])('the checker finds what %s allows', async (_name, config) => {
    const result = await runSoak({
      run: currentRun(),
      seed,
      seconds: 60,
      pauseMs: 300,
      worlds: ['alone'],
      readers: Array.from({ length: 10 }, () => undefined),
      config,
      faults: faults.filter(({ name }) => name === 'pause-replay'),
      stopsAtFirst: true,
    });
    expect(result.anomalies.length).toBeGreaterThan(0);
  });
});
