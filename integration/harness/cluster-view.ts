/**
 * A running cluster seen from any process: addresses, users, and everything that needs nothing but SQL. Tests get one
 * from useCluster(); whoever wants to break nodes makes a Cluster (cluster.ts), which is also one of these.
 */
import pg from 'pg';
import type { NodeFacts } from './pg-node.ts';
import { PASSWORD, SUPERUSER, users } from './template.ts';
import { until } from './until.ts';

/** Plain data: travels between processes as JSON. */
export interface ClusterFacts {
  readonly primary: NodeFacts;
  readonly replicas: readonly NodeFacts[];
  /** PEM of the authority behind the servers' certificates. */
  readonly caCert: string;
  readonly caKey: string;
  readonly majorVersion: number;
  readonly version: string;
}

export interface UrlOptions {
  /** Default "app". */
  readonly user?: string;
  /** Default the common password; null for a URL without one. */
  readonly password?: string | null;
  /** Default "postgres". */
  readonly database?: string;
}

/** postgres://user:password@host:port/database for a node, a Weir or a relay. */
export function pgUrl(at: { host?: string; port: number }, options: UrlOptions = {}): string {
  const { user = users.app, password = PASSWORD, database = 'postgres' } = options;
  const login = encodeURIComponent(user) + (password === null ? '' : `:${encodeURIComponent(password)}`);
  return `postgres://${login}@${at.host ?? '127.0.0.1'}:${at.port}/${encodeURIComponent(database)}`;
}

let databases = 0;

export class ClusterView<N extends NodeFacts = NodeFacts> {
  primary: N;
  replicas: N[];
  readonly password = PASSWORD;
  readonly superuser = SUPERUSER;
  readonly users = users;
  readonly caCert: string;
  readonly caKey: string;
  readonly majorVersion: number;
  readonly version: string;

  constructor(facts: Omit<ClusterFacts, 'primary' | 'replicas'> & { primary: N; replicas: readonly N[] }) {
    this.primary = facts.primary;
    this.replicas = [...facts.replicas];
    this.caCert = facts.caCert;
    this.caKey = facts.caKey;
    this.majorVersion = facts.majorVersion;
    this.version = facts.version;
  }

  get nodes(): N[] {
    return [this.primary, ...this.replicas];
  }

  /** Of the primary unless a node is given. */
  url(node: { host?: string; port: number } = this.primary, options: UrlOptions = {}): string {
    return pgUrl(node, options);
  }

  /** One statement as superuser on one node, on a connection of its own. */
  async query<R extends pg.QueryResultRow = pg.QueryResultRow>(
    sql: string,
    options: { node?: NodeFacts; database?: string; values?: readonly unknown[] } = {},
  ): Promise<R[]> {
    const { node = this.primary, database = 'postgres', values } = options;
    const client = new pg.Client({ connectionString: pgUrl(node, { user: SUPERUSER, database }) });
    client.on('error', () => undefined);
    await client.connect();
    try {
      const result = await client.query<R>(sql, values === undefined ? undefined : [...values]);
      return result.rows;
    } finally {
      await client.end();
    }
  }

  /** Makes a database owned by "app" and waits until the replicas have it. Returns its name (a free one unless given). */
  async createDatabase(name = `t_${process.pid}_${++databases}`): Promise<string> {
    await this.query(`CREATE DATABASE ${pg.escapeIdentifier(name)} OWNER ${users.app}`);
    await this.waitForReplicas();
    return name;
  }

  async dropDatabase(name: string): Promise<void> {
    await this.query(`DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`);
  }

  /** Waits until every replica (or the given ones) has replayed all that was committed on the primary by now. */
  async waitForReplicas(replicas: readonly NodeFacts[] = this.liveReplicas()): Promise<void> {
    const [row] = await this.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn() AS lsn');
    const caughtUp = 'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS ok';
    for (const node of replicas) {
      await until(
        `replica ${node.name} to replay up to ${row?.lsn ?? '?'}`,
        async () => (await this.query<{ ok: boolean }>(caughtUp, { node, values: [row?.lsn] }))[0]?.ok,
      );
    }
  }

  /** From now on the replica receives WAL but does not apply it: it falls behind. */
  async pauseReplay(node: NodeFacts): Promise<void> {
    await this.query('SELECT pg_wal_replay_pause()', { node });
    const state = 'SELECT pg_get_wal_replay_pause_state() AS state';
    await until(
      `replay of ${node.name} to pause`,
      async () => (await this.query<{ state: string }>(state, { node }))[0]?.state === 'paused',
    );
  }

  async resumeReplay(node: NodeFacts): Promise<void> {
    await this.query('SELECT pg_wal_replay_resume()', { node });
  }

  /** The replicas that can be asked; a Cluster leaves out those that do not run. */
  protected liveReplicas(): readonly NodeFacts[] {
    return this.replicas;
  }

  facts(): ClusterFacts {
    const plain = ({ name, host, port }: NodeFacts): NodeFacts => ({ name, host, port });
    const { caCert, caKey, majorVersion, version } = this;
    return { primary: plain(this.primary), replicas: this.replicas.map(plain), caCert, caKey, majorVersion, version };
  }
}
