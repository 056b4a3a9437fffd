/**
 * Whether this machine has the files and the memory that the workers of a Weir need, with the arithmetic in words. Reads the limits
 * of the process and of its cgroup; changes nothing. Called by cli/serve.ts before anything is started.
 */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import type { Config } from './config.ts';

const MiB = 2 ** 20;
/** What a worker needs without clients and without a cache. */
const workerBytes = 60 * MiB;
/** Of one process: log, IPC, listening sockets, monitors, HTTP, files that are read. */
const otherFiles = 100;

export interface Machine {
  /** Soft limit of open files of one process; Infinity: none, or it is not known. */
  readonly openFiles: number;
  readonly memoryBytes: number;
  /** Where the limit of memory comes from. */
  readonly memoryOf: 'this machine' | 'the cgroup';
}

/** @returns what is too much for this machine, one line each */
export function beyondMachine(config: Config, machine: Machine): string[] {
  return [...filesProblem(config, machine), ...memoryProblem(config, machine)];
}

/**
 * The supervisor spreads the clients, but the last worker that lives has them all: each needs the files for all of them. The sizes
 * of pools are for all workers together, too.
 */
function filesProblem(config: Config, { openFiles }: Machine): string[] {
  const { workers, maxClientConn } = config;
  const servers = serverConnections(config);
  const needed = maxClientConn + servers + otherFiles;
  if (workers === 1 || needed <= openFiles) return [];
  return [
    `workers: ${workers}: a worker may need ${needed} open files: max_client_conn ${maxClientConn} + ${servers} server connections ` +
      `(default_pool_size of each node, max_db_connections at most) + ${otherFiles} of its own; the limit is ${openFiles} ` +
      `(ulimit -n): raise it (LimitNOFILE= of systemd), or lower max_client_conn`,
  ];
}

/**
 * What one process may need beyond its limit: as PgBouncer at its start, this is said, not refused, since most never have so many
 * clients. undefined: it has enough.
 */
export function filesWarning(config: Config, { openFiles }: Machine): string | undefined {
  const { workers, maxClientConn } = config;
  const servers = serverConnections(config);
  const needed = maxClientConn + servers + otherFiles;
  if (workers > 1 || needed <= openFiles) return undefined;
  return (
    `max_client_conn: Weir may need ${needed} open files: ${maxClientConn} clients + ${servers} server connections (default_pool_size ` +
    `of each node, max_db_connections at most) + ${otherFiles} of its own; the limit is ${openFiles} (ulimit -n), beyond which nobody ` +
    `can connect: raise it (LimitNOFILE= of systemd), or lower max_client_conn`
  );
}

/** Of one pool on each node: how many users there are, nobody knows. */
function serverConnections({ databases }: Config): number {
  let sum = 0;
  for (const { pool, replicas } of databases.values()) {
    const { defaultPoolSize, maxDbConnections } = pool;
    sum +=
      (1 + replicas.length) * (maxDbConnections === 0 ? defaultPoolSize : Math.min(defaultPoolSize, maxDbConnections));
  }
  return sum;
}

function memoryProblem({ workers, cache }: Config, { memoryBytes, memoryOf }: Machine): string[] {
  if (workers === 1) return [];
  const cacheBytes = cache.enabled ? cache.maxMemoryBytes : 0;
  // The supervisor keeps as much as a worker, as a second level.
  const needed = workers * workerBytes + (workers + 1) * cacheBytes;
  if (needed <= memoryBytes) return [];
  const inMiB = (bytes: number): string => `${Math.round(bytes / MiB)} MB`;
  const caches =
    cacheBytes === 0 ? '' : ` + ${workers + 1} x ${inMiB(cacheBytes)} (cache.max_memory, once more for the supervisor)`;
  return [
    `workers: ${workers}: ${workers} x ${inMiB(workerBytes)}${caches} = ${inMiB(needed)} of memory, and ${memoryOf} has ` +
      `${inMiB(memoryBytes)}: lower workers${cacheBytes === 0 ? '' : ' or cache.max_memory'}`,
  ];
}

/** @param read the text of a file of Linux; undefined: it is not there */
export function thisMachine(read: (file: string) => string | undefined = readText): Machine {
  const files = /^Max open files\s+(\S+)/m.exec(read('/proc/self/limits') ?? '')?.[1];
  const ofCgroup = [read('/sys/fs/cgroup/memory.max'), read('/sys/fs/cgroup/memory/memory.limit_in_bytes')]
    .map((text) => Number(text?.trim() || Infinity))
    .filter(Number.isFinite);
  const whole = totalmem();
  const memoryBytes = Math.min(whole, ...ofCgroup);
  return {
    openFiles: files === undefined || !/^\d+$/.test(files) ? Infinity : Number(files),
    memoryBytes,
    memoryOf: memoryBytes < whole ? 'the cgroup' : 'this machine',
  };
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
