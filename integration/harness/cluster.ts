/**
 * A PostgreSQL primary with streaming replicas on free ports of 127.0.0.1, for the demo and the tests. Whoever starts a
 * cluster may break it: kill, promote, pause replay. `stop()` leaves nothing behind.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from './child.ts';
import { ClusterView } from './cluster-view.ts';
import { PgNode, PortTakenError } from './pg-node.ts';
import type { StopMode } from './pg-node.ts';
import { currentRun } from './run-dir.ts';
import type { RunDir } from './run-dir.ts';
import { copyTemplate, openTemplate, PASSWORD, serverDir, users } from './template.ts';
import type { Template } from './template.ts';
import { until } from './until.ts';

export interface ClusterOptions {
  /** Default 2. */
  readonly replicas?: number;
  /** Settings of postgresql.conf for every node, on top of the harness's own. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Directory of the PostgreSQL programs, to have servers of another version than the run's. */
  readonly bin?: string;
  /** Where to put it; default this process's own run directory. */
  readonly run?: RunDir;
}

let clusters = 0;

export class Cluster extends ClusterView<PgNode> {
  readonly run: RunDir;
  readonly #dir: string;

  constructor(nodes: readonly PgNode[], template: Template, at: { run: RunDir; dir: string }) {
    const [primary, ...replicas] = nodes;
    if (primary === undefined) throw new Error('a cluster needs a primary');
    const { majorVersion, version } = template.binaries;
    super({ primary, replicas, caCert: template.ca.cert, caKey: template.ca.key, majorVersion, version });
    this.run = at.run;
    this.#dir = at.dir;
  }

  /** Starts a node that was stopped or killed, in the role that its data directory has. */
  async start(node: PgNode): Promise<void> {
    await node.start();
  }

  async stopNode(node: PgNode, mode: StopMode = 'fast'): Promise<void> {
    await node.stop(mode);
  }

  /** kill -9 of the server with all its processes. */
  async kill(node: PgNode): Promise<void> {
    await node.kill();
  }

  async restart(node: PgNode, mode: StopMode = 'fast'): Promise<void> {
    await node.stop(mode);
    await node.start();
  }

  /** Makes a replica the primary; the replicas that run follow it from now on. The old primary should be down. */
  async promote(node: PgNode): Promise<void> {
    const old = this.primary;
    await this.query('SELECT pg_promote(true, 60)', { node });
    this.primary = node;
    this.replicas = this.replicas.filter((other) => other !== node);
    for (const replica of this.replicas.filter((other) => other.isRunning)) await this.#follow(replica, node);
    // Still a node of the cluster, though down or astray: it may be started again to see what Weir makes of it.
    this.replicas.push(old);
  }

  /** A node that was the primary, and was stopped cleanly, comes back as a replica of the present one. */
  async rejoin(node: PgNode): Promise<void> {
    node.becomeStandby(connInfo(node, this.primary));
    await node.start();
    await this.#waitForStreaming(node);
  }

  async #follow(replica: PgNode, primary: PgNode): Promise<void> {
    await this.query(`ALTER SYSTEM SET primary_conninfo = '${connInfo(replica, primary)}'`, { node: replica });
    await this.query('SELECT pg_reload_conf()', { node: replica });
    await this.#waitForStreaming(replica);
  }

  /** Waits until the primary streams to the replica. */
  async #waitForStreaming(replica: PgNode): Promise<void> {
    const sql = `SELECT 1 FROM pg_stat_replication WHERE state = 'streaming' AND application_name = $1`;
    await until(
      `${this.primary.name} to stream to ${replica.name}`,
      async () => (await this.query(sql, { values: [replica.name] })).length > 0,
    );
  }

  /** Waits until every replica streams. */
  async waitForStreaming(): Promise<void> {
    for (const replica of this.liveReplicas()) await this.#waitForStreaming(replica);
  }

  protected override liveReplicas(): readonly PgNode[] {
    return this.replicas.filter((node) => node.isRunning);
  }

  /** Stops every node and removes the directory. */
  async stop(): Promise<void> {
    // Nobody needs these data again, so nobody waits for a checkpoint.
    await Promise.all(this.nodes.map((node) => node.kill()));
    rmSync(this.#dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }
}

const connInfo = (replica: PgNode, primary: PgNode): string =>
  `host=${primary.host} port=${primary.port} user=${users.replicator} password=${PASSWORD} ` +
  `application_name=${replica.name} sslmode=disable`;

/** Starts a primary and its replicas and waits until they stream: about two seconds after the first time in a run. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { replicas = 2, settings = {} } = options;
  const run = options.run ?? currentRun();
  const template = openTemplate(run, options.bin);
  const dir = serverDir(run, `cluster${++clusters}`);
  const ports = await freePorts(replicas + 1);
  const nodes = ports.map((port, i) => {
    const name = i === 0 ? 'primary' : `replica${i}`;
    return new PgNode(run, template.binaries, { name, port, dataDir: join(dir, name), settings });
  });
  const cluster = new Cluster(nodes, template, { run, dir });
  try {
    await startOnFreePort(run, template, cluster.primary);
    await Promise.all(cluster.replicas.map((node) => startOnFreePort(run, template, node, cluster.primary)));
    await cluster.waitForStreaming();
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

async function startOnFreePort(run: RunDir, template: Template, node: PgNode, primary?: PgNode): Promise<void> {
  copyTemplate(run, template, node.dataDir);
  if (primary !== undefined) node.becomeStandby(connInfo(node, primary));
  for (let attempt = 1; ; attempt++) {
    try {
      return await node.start();
    } catch (error) {
      if (!(error instanceof PortTakenError) || attempt === 5) throw error;
      [node.port = node.port] = await freePorts(1);
    }
  }
}
