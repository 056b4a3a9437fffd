/**
 * The connections to one PostgreSQL that are compared: direct, through PgBouncer, through Weir, and through a Weir with
 * its cache on. All have the same user and password; all proxies have the same number of server connections.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:net';
import { Child, freePort } from '../integration/harness/child.ts';
import type { Cluster } from '../integration/harness/cluster.ts';
import { pgUrl } from '../integration/harness/cluster-view.ts';
import { findProgram } from '../integration/harness/programs.ts';
import { PASSWORD, serverDir, users } from '../integration/harness/template.ts';
import { until } from '../integration/harness/until.ts';
import { startWeir, weirConfig } from '../integration/harness/weir.ts';
import { processTree } from '../scripts/lib/processes.mjs';
import type { WeirConfig, WeirProcess } from '../integration/harness/weir.ts';
import { versionOf } from './machine.ts';

export const DATABASE = 'bench';
export const POOL_SIZE = 10;

export interface Contestant {
  readonly name: string;
  readonly port: number;
  /** The proxy's process; undefined for the direct connection. */
  readonly pid: number | undefined;
  /** All its processes; none for the direct connection. */
  pids(): readonly number[];
  url(user?: string): string;
  stop(): Promise<void>;
}

export function contestant(name: string, port: number, pid: number | undefined, stop: () => Promise<void>): Contestant {
  const pids = (): readonly number[] => (pid === undefined ? [] : processTree(pid));
  return { name, port, pid, pids, url: (user = users.app) => pgUrl({ port }, { user, database: DATABASE }), stop };
}

export function direct(cluster: Cluster): Contestant {
  return contestant('direct', cluster.primary.port, undefined, () => Promise.resolve());
}

export interface PgBouncer extends Contestant {
  readonly version: string;
  /** Prepared statements in transaction mode came with 1.21. */
  readonly canPrepare: boolean;
}

let bouncers = 0;

/** PgBouncer in transaction mode; undefined when this machine has none. */
export async function startPgBouncer(
  cluster: Cluster,
  authType: 'scram-sha-256' | 'trust',
  { poolSize = POOL_SIZE, name = 'PgBouncer', more = '' } = {},
): Promise<PgBouncer | undefined> {
  const program = findProgram('pgbouncer');
  const version = versionOf(program);
  if (program === undefined || version === undefined) return undefined;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const canPrepare = major > 1 || minor >= 21;
  // A directory that PgBouncer's user can read; it refuses to run as root, too.
  const dir = serverDir(cluster.run, `pgbouncer${++bouncers}`);
  const port = await freePort();
  writeFileSync(join(dir, 'users.txt'), [users.app, users.trust].map((name) => `"${name}" "${PASSWORD}"\n`).join(''));
  writeFileSync(
    join(dir, 'pgbouncer.ini'),
    `[databases]
${DATABASE} = host=127.0.0.1 port=${cluster.primary.port} dbname=${DATABASE}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = ${authType}
auth_file = ${join(dir, 'users.txt')}
pool_mode = transaction
default_pool_size = ${poolSize}
max_client_conn = 10000
ignore_startup_parameters = extra_float_digits
server_tls_sslmode = disable
${canPrepare ? 'max_prepared_statements = 500' : ''}
${more}
`,
  );
  const child = new Child(cluster.run, program, ['-q', join(dir, 'pgbouncer.ini')], { asServerUser: true, cwd: dir });
  await until('PgBouncer to listen', () => !child.isRunning || listens(port));
  if (!child.isRunning) throw new Error(`PgBouncer did not start:\n${child.output}`);
  const base = contestant(name, port, child.pid, async () => void (await child.kill()));
  return { ...base, version, canPrepare };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

export interface WeirContestant extends Contestant {
  readonly weir: WeirProcess;
}

/** What the Weir of --against is called: its name in the tables begins with "Weir" as well, and comes after. */
export const BEFORE = ' before';

/** This checkout's first. */
export type Weirs = readonly [WeirContestant, ...WeirContestant[]];

/** A Weir of this checkout and, when there is another to compare with, one of that; the same configuration. */
export async function startWeirs(
  cluster: Cluster,
  name: string,
  against: string | undefined,
  more: WeirConfig = {},
): Promise<Weirs> {
  const weir = await startWeirContestant(cluster, name, more);
  if (against === undefined) return [weir];
  try {
    return [weir, await startWeirContestant(cluster, name + BEFORE, more, against)];
  } catch (error) {
    await weir.stop();
    throw error;
  }
}

/** Weir with everything on (routing with the catalog, metrics, resizing within the pool size), and `more` on top. */
export async function startWeirContestant(
  cluster: Cluster,
  name: string,
  more: WeirConfig = {},
  checkout?: string,
): Promise<WeirContestant> {
  const pools = { default_pool_size: POOL_SIZE, max_pool_size: POOL_SIZE, log: { level: 'warn' } };
  const config = weirConfig(cluster, { database: DATABASE }, { ...pools, ...more });
  const weir = await startWeir(config, { run: cluster.run, ...(checkout !== undefined && { checkout }) });
  const stop = async (): Promise<void> => weir.stop();
  return { ...contestant(name, weir.port, weir.pid, stop), weir };
}
