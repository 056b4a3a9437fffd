/**
 * Before the integration tests: builds dist, starts the cluster and the Redis that all test files share, and tells
 * them where. Afterwards, however it ends: all of it is gone.
 */
import type { TestProject } from 'vitest/node';
import { buildIfStale } from './build.ts';
import { startCluster } from './cluster.ts';
import { hasRedis, startRedis } from './redis.ts';
import { openRunDir, RUN_DIR_VARIABLE } from './run-dir.ts';
import './use.ts';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  buildIfStale();
  const run = openRunDir();
  const outer = process.env[RUN_DIR_VARIABLE];
  process.env[RUN_DIR_VARIABLE] = run.dir;
  const cluster = await startCluster({ run });
  const redis = hasRedis() ? await startRedis(run) : undefined;
  project.provide('weirCluster', cluster.facts());
  project.provide('weirRedis', redis === undefined ? null : { url: redis.url, port: redis.port });
  return async () => {
    await cluster.stop();
    await redis?.kill();
    await run.remove();
    if (outer === undefined) delete process.env[RUN_DIR_VARIABLE];
    else process.env[RUN_DIR_VARIABLE] = outer;
  };
}
