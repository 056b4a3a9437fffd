/**
 * What the benchmarks under pressure run on: a PostgreSQL of their own with room for 200 clients that connect directly, and the
 * contestants, which all log in as a user without a password, to the servers, too.
 */
import { startCluster, type Cluster } from '../../integration/harness/cluster.ts';
import { users } from '../../integration/harness/template.ts';
import { startWeir, weirConfig, type WeirConfig } from '../../integration/harness/weir.ts';
import { DATABASE, contestant, direct, startPgBouncer, type Contestant } from '../contestants.ts';
import type { BenchContext } from '../context.ts';

/** The default of PgBouncer, and of Weir. */
export const SIZE = 20;
export const fixed: WeirConfig = { max_pool_size: SIZE };

const tables = `
CREATE TABLE accounts AS SELECT id, id * 3 AS balance FROM generate_series(1, 100000) id;
ALTER TABLE accounts ADD PRIMARY KEY (id);
CREATE TABLE hot (id int PRIMARY KEY, n int);
INSERT INTO hot VALUES (1, 0);
GRANT ALL ON accounts, hot TO PUBLIC;
ANALYZE;
`;

export interface Setting {
  readonly cluster: Cluster;
  readonly direct: Contestant;
  /** PgBouncer with so many connections; none where it is not installed. */
  bouncer(options?: { size?: number; queryWaitTimeoutSeconds?: number }): Promise<Contestant[]>;
  /** A Weir with the defaults, and `more` on top. */
  weir(name: string, more?: WeirConfig): Promise<Contestant>;
}

export async function withSetting<T>(
  { cluster: { run } }: BenchContext,
  measure: (setting: Setting) => Promise<T>,
): Promise<T> {
  const cluster = await startCluster({
    run,
    replicas: 0,
    settings: { max_connections: '300', shared_buffers: '128MB', ssl: 'off' },
  });
  const started: Contestant[] = [];
  try {
    await cluster.createDatabase(DATABASE);
    await cluster.query(tables, { database: DATABASE });
    return await measure({
      cluster,
      direct: direct(cluster),
      bouncer: async ({ size: poolSize = SIZE, queryWaitTimeoutSeconds: seconds } = {}) => {
        const name = `PgBouncer, ${poolSize}${seconds === undefined ? '' : `, query_wait_timeout ${seconds} s`}`;
        const more = seconds === undefined ? '' : `query_wait_timeout = ${seconds}`;
        const bouncer = await startPgBouncer(cluster, 'trust', { poolSize, name, more });
        if (bouncer === undefined) return [];
        started.push(bouncer);
        return [bouncer];
      },
      weir: async (name, more = {}) => {
        const servers = { database: DATABASE, serverUser: users.trust };
        const config = weirConfig(cluster, servers, { auth: { type: 'trust' }, log: { level: 'warn' }, ...more });
        const weir = await startWeir(config, { run });
        const started_ = contestant(name, weir.port, weir.pid, async () => weir.stop());
        started.push(started_);
        return started_;
      },
    });
  } finally {
    for (const one of started) await one.stop();
    await cluster.stop();
  }
}

/** Each contestant in turn, there and back; by contestant what came out in each round. */
export async function inTurns<T>(
  { rounds, progress }: BenchContext,
  contestants: readonly Contestant[],
  measure: (contestant: Contestant) => Promise<T>,
  inWords: (result: T) => string,
): Promise<Map<string, T[]>> {
  const results = new Map<string, T[]>(contestants.map(({ name }) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const each of round % 2 === 1 ? contestants : contestants.toReversed()) {
      const result = await measure(each);
      results.get(each.name)?.push(result);
      progress(`  round ${round}, ${each.name}: ${inWords(result)}`);
    }
  }
  return results;
}
