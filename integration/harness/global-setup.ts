/**
 * Before the integration tests: builds dist, starts a cluster and a Redis for each worker of vitest, which its test files
 * share, and tells them where. Afterwards, however it ends: all of it is gone.
 */
import type { TestProject } from 'vitest/node';
import { buildIfStale } from './build.ts';
import { startCluster, type Cluster } from './cluster.ts';
import { hasRedis, startRedis, type Redis } from './redis.ts';
import { openRunDir, RUN_DIR_VARIABLE } from './run-dir.ts';
import './use.ts';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  buildIfStale();
  const run = openRunDir();
  const outer = process.env[RUN_DIR_VARIABLE];
  process.env[RUN_DIR_VARIABLE] = run.dir;
  const { testFiles } = await project.globTestFiles(project.vitest.config.filters);
  const count = Math.max(1, Math.min(Number(project.config.maxWorkers), testFiles.length));
  const clusters: Cluster[] = [];
  const redises: Redis[] = [];
  for (let i = 0; i < count; i++) {
    clusters.push(await startCluster({ run }));
    if (hasRedis()) redises.push(await startRedis(run));
  }
  project.provide(
    'weirClusters',
    clusters.map((cluster) => cluster.facts()),
  );
  project.provide(
    'weirRedises',
    redises.map(({ url, port }) => ({ url, port })),
  );
  return async () => {
    await Promise.all(clusters.map((cluster) => cluster.stop()));
    await Promise.all(redises.map((redis) => redis.kill()));
    await run.remove();
    if (outer === undefined) delete process.env[RUN_DIR_VARIABLE];
    else process.env[RUN_DIR_VARIABLE] = outer;
  };
}
