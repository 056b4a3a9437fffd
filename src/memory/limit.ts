/**
 * How much memory a process may have: the setting, else the smallest limit of its cgroups (version 2 or 1), else the memory of the
 * machine. A file that is missing or makes no sense is passed over, and said. Reads files through `read`; changes nothing. Called by
 * app/memory.ts.
 */
import type { Limit } from './types.ts';

/** @throws as readFileSync */
export type ReadText = (file: string) => string;

/** Where the memory in use by a cgroup can be read. */
export interface CgroupFiles {
  readonly usage: string;
  readonly stat: string;
  /** Line of `stat` with pages of files that the kernel takes back when it needs them. */
  readonly reclaimable: 'inactive_file' | 'total_inactive_file';
}

export interface FoundLimit extends Limit {
  /** Undefined: no cgroup limits it. */
  readonly cgroup: CgroupFiles | undefined;
  /** Files that were passed over, and why. */
  readonly problems: readonly string[];
}

export interface LimitOptions {
  readonly read: ReadText;
  /** memory_limit; 0: find out. */
  readonly settingBytes: number;
  readonly machineBytes: number;
}

const root = '/sys/fs/cgroup';

interface Candidate {
  readonly file: string;
  readonly files: CgroupFiles;
}

export function findLimit({ read, settingBytes, machineBytes }: LimitOptions): FoundLimit {
  if (settingBytes > 0) return { bytes: settingBytes, from: 'memory_limit', cgroup: undefined, problems: [] };
  const problems: string[] = [];
  let found: FoundLimit | undefined;
  for (const { file, files } of candidates(read, problems)) {
    const bytes = limitIn(file, read, problems);
    if (bytes === undefined || bytes >= machineBytes || bytes >= (found?.bytes ?? Infinity)) continue;
    found = { bytes, from: `the cgroup (${file})`, cgroup: files, problems };
  }
  return found ?? { bytes: machineBytes, from: 'the memory of this machine', cgroup: undefined, problems };
}

/** The cgroups of this process and all above them. In a container, the top one is its own. */
function candidates(read: ReadText, problems: string[]): Candidate[] {
  const lines = textOf('/proc/self/cgroup', read, problems)?.split('\n') ?? ['0::/', '0:memory:/'];
  const found: Candidate[] = [];
  for (const line of lines) {
    const [, id, controllers = '', path = '/'] = /^(\d+):([^:]*):(\/.*)$/.exec(line.trim()) ?? [];
    if (controllers.split(',').includes('memory')) {
      for (const dir of upwards(`${root}/memory`, path)) found.push(versionOne(dir));
    } else if (id === '0' && controllers === '') {
      for (const dir of upwards(root, path)) found.push(versionTwo(dir));
    }
  }
  return found;
}

function versionTwo(dir: string): Candidate {
  const files = { usage: `${dir}/memory.current`, stat: `${dir}/memory.stat`, reclaimable: 'inactive_file' } as const;
  return { file: `${dir}/memory.max`, files };
}

function versionOne(dir: string): Candidate {
  const usage = `${dir}/memory.usage_in_bytes`;
  const files = { usage, stat: `${dir}/memory.stat`, reclaimable: 'total_inactive_file' } as const;
  return { file: `${dir}/memory.limit_in_bytes`, files };
}

/** `/a/b` -> top/a/b, top/a, top. */
function upwards(top: string, path: string): string[] {
  const names = path.split('/').filter((name) => name !== '' && name !== '..');
  return Array.from({ length: names.length + 1 }, (_, up) => [top, ...names.slice(0, names.length - up)].join('/'));
}

/** @returns undefined: no limit there, or none that makes sense */
function limitIn(file: string, read: ReadText, problems: string[]): number | undefined {
  const text = textOf(file, read, problems)?.trim();
  if (text === undefined || text === 'max') return undefined;
  if (/^\d{1,20}$/.test(text) && Number(text) > 0) return Number(text);
  problems.push(text === '' ? `${file} is empty` : `${file} has no number in it: "${text.slice(0, 40)}"`);
  return undefined;
}

/** @returns undefined: it is not there, which is nothing to speak of, or it cannot be read */
function textOf(file: string, read: ReadText, problems: string[]): string | undefined {
  try {
    return read(file);
  } catch (error) {
    const code = String((error as { code?: unknown }).code ?? error);
    if (code !== 'ENOENT' && code !== 'ENOTDIR') problems.push(`${file} cannot be read (${code})`);
    return undefined;
  }
}

/** The bytes that a cgroup uses and the kernel cannot take back; undefined: the files do not say. */
export function cgroupUsage({ usage, stat, reclaimable }: CgroupFiles, read: ReadText): number | undefined {
  const none: string[] = [];
  const used = textOf(usage, read, none)?.trim();
  if (used === undefined || !/^\d{1,20}$/.test(used)) return undefined;
  const files = new RegExp(`^${reclaimable} (\\d+)$`, 'm').exec(textOf(stat, read, none) ?? '')?.[1];
  return Math.max(0, Number(used) - Number(files ?? 0));
}

/** What a process has that is not a file; undefined on systems other than Linux. */
export function ownUsage(read: ReadText): number | undefined {
  const text = textOf('/proc/self/status', read, []) ?? '';
  const kB = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? NaN);
  const sum = kB('RssAnon') + kB('RssShmem');
  return Number.isFinite(sum) ? sum * 1024 : undefined;
}

const MiB = 2 ** 20;
/** What a supervisor needs without a cache. */
const supervisorBytes = 64 * MiB;

/**
 * The part of one of several workers. The supervisor needs some, too, and keeps answers as a second level of the cache.
 * @param cacheBytes cache.max_memory; 0: it is off
 */
export function shareOfWorker<Found extends Limit>(whole: Found, workers: number, cacheBytes: number): Found {
  if (workers <= 1) return whole;
  const supervisor = Math.min(supervisorBytes + cacheBytes, whole.bytes / (workers + 1));
  const bytes = Math.floor((whole.bytes - supervisor) / workers);
  return { ...whole, bytes, from: `${whole.from}, the part of one of ${workers} workers` };
}

/** A process that has nothing to do uses no more than this share of its limit, so that it can go back to normal. */
const largestIdleShare = 0.6;

/** A limit at which a process without clients is short of memory already cannot be kept: raises it, and says so. */
export function atLeastIdle<Found extends Limit>(limit: Found, idleBytes: number): Found {
  const least = Math.ceil(idleBytes / largestIdleShare);
  if (limit.bytes >= least) return limit;
  const inMB = (bytes: number): string => `${Math.round(bytes / MiB)} MB`;
  const from = `${limit.from}: ${inMB(limit.bytes)}, raised since Weir takes ${inMB(idleBytes)} without clients`;
  return { ...limit, bytes: least, from };
}
