/** A cluster for a test file that stops and breaks nodes, with a table `t` of one row that everybody may read, on all nodes. */
import { startCluster, type Cluster } from './cluster.ts';

export async function startClusterWithTable(): Promise<Cluster> {
  const cluster = await startCluster();
  await cluster.query('CREATE TABLE t AS SELECT 1 AS n; ALTER TABLE t ADD UNIQUE (n); GRANT ALL ON t TO public');
  await cluster.waitForReplicas();
  return cluster;
}
