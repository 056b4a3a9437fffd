/**
 * Everything real that a run needs: a primary and two replicas, a Redis, two Weirs over it with relays between, one Weir
 * without Redis. The faults (faults.ts) act on it.
 */
import pg from 'pg';
import { startCluster } from '../integration/harness/cluster.ts';
import type { Cluster } from '../integration/harness/cluster.ts';
import { pgUrl } from '../integration/harness/cluster-view.ts';
import type { PgNode } from '../integration/harness/pg-node.ts';
import { startRedis } from '../integration/harness/redis.ts';
import type { Redis } from '../integration/harness/redis.ts';
import { TcpRelay } from '../integration/harness/relay.ts';
import type { RunDir } from '../integration/harness/run-dir.ts';
import { SUPERUSER } from '../integration/harness/template.ts';
import { merge, startWeir, weirConfig } from '../integration/harness/weir.ts';
import type { WeirConfig, WeirProcess } from '../integration/harness/weir.ts';
import type { KilledWorkers } from './killed-workers.ts';
import { schema } from './model.ts';
import type { Random } from './random.ts';
import { World } from './world.ts';
import type { Seat, WorldOptions } from './world.ts';

export interface StageOptions {
  readonly run: RunDir;
  readonly random: Random;
  readonly world: WorldOptions;
  /** Notes which workers were killed. */
  readonly killed: KilledWorkers;
  /** Laid over every Weir's configuration, at any depth. */
  readonly config?: WeirConfig;
  /** Nobody knows of the replicas: what is old is of a cache. */
  readonly isPrimaryOnly?: boolean;
  /** Of every Weir's process, see mutants.ts. */
  readonly nodeArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly worlds?: readonly ('shared' | 'alone')[];
}

/** Of one Weir to one server; nobody sets it higher. */
export const mostServers = 20;

/** A Weir with what stands between it and the others. */
export interface Place extends Seat {
  readonly world: World;
  readonly config: WeirConfig;
  /** Between it and the first primary. */
  readonly toPrimary: TcpRelay;
  /** Between it and Redis. */
  readonly toRedis: TcpRelay | undefined;
}

export class Stage {
  readonly cluster: Cluster;
  readonly redis: Redis;
  readonly killed: KilledWorkers;
  readonly worlds: World[] = [];
  readonly places: Place[] = [];
  private readonly options: StageOptions;
  /** The nodes by the names that Weir's configuration gives them. */
  private readonly names = new Map<PgNode, string>();

  private constructor(cluster: Cluster, redis: Redis, options: StageOptions) {
    this.cluster = cluster;
    this.redis = redis;
    this.killed = options.killed;
    this.options = options;
    for (const node of cluster.nodes) this.names.set(node, node.name);
  }

  static async start(options: StageOptions): Promise<Stage> {
    const { run } = options;
    const settings = { max_connections: '300', max_standby_streaming_delay: '2s' };
    const cluster = await startCluster({ run, settings });
    const stage = new Stage(cluster, await startRedis(run), options);
    try {
      for (const name of options.worlds ?? (['shared', 'alone'] as const)) await stage.addWorld(name);
    } catch (error) {
      await stage.stop();
      throw error;
    }
    return stage;
  }

  get primaryName(): string {
    return this.names.get(this.cluster.primary) ?? '';
  }

  private async addWorld(name: 'shared' | 'alone'): Promise<void> {
    const { cluster, options } = this;
    await cluster.createDatabase(name);
    await cluster.query(`SET ROLE app; ${schema}`, { database: name });
    await cluster.waitForReplicas();
    const world = new World(name, options.world, {
      random: options.random.fork(),
      primaryUrl: () => cluster.url(cluster.primary, { user: SUPERUSER, database: name }),
      primaryName: () => this.primaryName,
    });
    this.worlds.push(world);
    for (const seat of name === 'shared' ? ['one', 'two'] : ['three']) await this.addPlace(world, seat);
  }

  private async addPlace(world: World, name: string): Promise<void> {
    const { cluster, options } = this;
    const toPrimary = await TcpRelay.start(cluster.primary);
    const toRedis = world.name === 'shared' ? await TcpRelay.start(this.redis) : undefined;
    const redis = toRedis === undefined ? {} : { redis: `redis://127.0.0.1:${toRedis.port}/0` };
    const base = weirConfig(
      cluster,
      { database: world.name, primary: toPrimary, ...(options.isPrimaryOnly === true ? { replicas: [] } : {}) },
      {
        auth: { type: 'trust' },
        query_wait_timeout: '20s',
        default_pool_size: 12,
        max_pool_size: mostServers,
        routing: { max_replica_lag: '1s' },
        // Longer than any faults in a row; a Weir that was killed keeps the others uncached for as long.
        cache: { enabled: true, ttl: '10m', member_timeout: '20s', ...redis },
        log: { level: 'info', format: 'json' },
      },
    );
    const config = merge(base, options.config ?? {});
    const weir = await this.startWeir(config);
    const fixed = { ...config, listen: `127.0.0.1:${weir.port}`, http: `127.0.0.1:${weir.httpPort}` };
    const place: Place = { name, weir, via: world.newVia(name), world, config: fixed, toPrimary, toRedis };
    world.seats.push(place);
    this.places.push(place);
  }

  private startWeir(config: WeirConfig): Promise<WeirProcess> {
    const { run, nodeArgs = [], env = {} } = this.options;
    return startWeir(config, { run, nodeArgs, env });
  }

  /** After a kill: another process, which owes nothing to the sessions of the one before. */
  async restartWeir(place: Place): Promise<void> {
    place.weir = await this.startWeir(place.config);
    place.via = place.world.newVia(place.name);
  }

  /** A clean exchange of roles, in which nothing is lost: writers pause, the primary stops and comes back as a replica. */
  async switchOver(): Promise<void> {
    const { cluster, worlds } = this;
    for (const world of worlds) world.pauses++;
    try {
      const deadline = performance.now() + 30_000;
      while (worlds.some(({ writersAtWork }) => writersAtWork > 0) && performance.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const [heir] = cluster.replicas;
      const old = cluster.primary;
      // Stopped cleanly it sends everything to its standbys first.
      await cluster.stopNode(old, 'fast');
      await cluster.promote(heir!);
      await cluster.rejoin(old);
    } finally {
      for (const world of worlds) world.pauses--;
    }
  }

  /** Of the admin console; who answers may be gone before it does. */
  async ask({ weir }: Place, sql: string): Promise<Record<string, string>[]> {
    const client = new pg.Client({ connectionString: weir.adminUrl(), connectionTimeoutMillis: 5_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return (await client.query<Record<string, string>>(sql)).rows;
    } catch {
      // Its worker was killed or replaced.
      return [];
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** As superuser on one node; what happens to it meanwhile is no concern. */
  async tell(node: PgNode, sql: string): Promise<void> {
    await this.cluster.query(sql, { node }).catch(() => undefined);
  }

  async stop(): Promise<void> {
    for (const { weir } of this.places) if (weir.isRunning) await weir.kill();
    for (const { toPrimary, toRedis } of this.places) await Promise.all([toPrimary.stop(), toRedis?.stop()]);
    await this.redis.kill();
    await this.cluster.stop();
  }
}

export { pgUrl };
