/**
 * How many server connections Weirs have at once, as each server has it, several times a second: never more than their pools
 * may have, also while a worker is killed or replaced. Only while servers are well. Used by rolling.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Cluster } from '../integration/harness/cluster.ts';
import type { PgNode } from '../integration/harness/pg-node.ts';
import { SUPERUSER } from '../integration/harness/template.ts';

const everyMs = 50;
/** Connections that probe servers are not of a pool. */
const sql = `SELECT datname AS database, count(*)::int AS n FROM pg_stat_activity
  WHERE usename = 'app' AND application_name <> 'weir monitor' GROUP BY datname`;

export class LimitWatch {
  private readonly cluster: Cluster;
  /** By database, of all Weirs in front of it. */
  private readonly limits: ReadonlyMap<string, number>;
  private readonly most = new Map<string, number>();
  private readonly watching: Promise<void>;
  private isOver = false;
  private samples = 0;

  constructor(cluster: Cluster, limits: ReadonlyMap<string, number>) {
    this.cluster = cluster;
    this.limits = limits;
    this.watching = Promise.all(cluster.nodes.map((node) => this.watch(node))).then(() => undefined);
    this.watching.catch(() => undefined);
  }

  /** Rejects if counting has failed. */
  async end(): Promise<void> {
    this.isOver = true;
    await this.watching;
  }

  /** One line for people. */
  figures(): string {
    const most = [...this.most].map(([where, n]) => `${where} ${n}`).join(', ');
    return `most server connections at once, of ${this.samples} samples: ${most}`;
  }

  problems(): string[] {
    return [...this.most].flatMap(([where, n]) => {
      const limit = this.limits.get(where.split(' ')[0] ?? '');
      return limit === undefined || n <= limit ? [] : [`${n} server connections of ${where}, ${limit} are allowed`];
    });
  }

  private async watch(node: PgNode): Promise<void> {
    const client = new pg.Client({ connectionString: this.cluster.url(node, { user: SUPERUSER }) });
    client.on('error', () => undefined);
    await client.connect();
    try {
      while (!this.isOver) {
        const { rows } = await client.query<{ database: string; n: number }>({ name: 'count', text: sql });
        for (const { database, n } of rows) this.note(`${database} at ${node.name}`, n);
        this.samples++;
        await sleep(everyMs);
      }
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  private note(where: string, n: number): void {
    this.most.set(where, Math.max(this.most.get(where) ?? 0, n));
  }
}
