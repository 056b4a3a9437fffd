/**
 * What several workers need of their machine. Fails when Weir starts with more workers than files or memory allow, when the
 * message lacks the sum, or when one process is refused what it was always given, or gets no word.
 */
import { describe, expect, test } from 'vitest';
import { beyondMachine, filesWarning, thisMachine, type Machine } from '../../src/config/capacity.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';

const GiB = 2 ** 30;
const large: Machine = { openFiles: 1e6, memoryBytes: 64 * GiB, memoryOf: 'this machine' };

function config(more: string): Config {
  const shop = 'databases: { shop: { primary: postgres://db1/shop, replicas: [postgres://db2/shop] } }';
  const result = loadConfig({ text: `${more}\n${shop}\n`, file: 'weir.yaml', env: {} });
  if ('problems' in result) throw new Error(result.problems.join('\n'));
  return result.config;
}

describe('open files', () => {
  const four = config('workers: 4\nmax_client_conn: 1000\ndefault_pool_size: 30');

  test('enough for all clients, one pool per node and 100 more', () => {
    expect(beyondMachine(four, { ...large, openFiles: 1_160 })).toEqual([]);
    expect(beyondMachine(four, { ...large, openFiles: 1_159 })).toEqual([
      'workers: 4: a worker may need 1160 open files: max_client_conn 1000 + 60 server connections (default_pool_size of each node, ' +
        'max_db_connections at most) + 100 of its own; the limit is 1159 (ulimit -n): raise it (LimitNOFILE= of systemd), or lower max_client_conn',
    ]);
  });

  test('max_db_connections is less; 0 is none', () => {
    const limited = config('workers: 4\nmax_client_conn: 1000\ndefault_pool_size: 30\nmax_db_connections: 10');
    expect(beyondMachine(limited, { ...large, openFiles: 1_120 })).toEqual([]);
    expect(beyondMachine(limited, { ...large, openFiles: 1_119 })).toHaveLength(1);
  });

  test('one process is not refused; it is warned with the sum', () => {
    const one = config('max_client_conn: 1000');
    expect(beyondMachine(one, { ...large, openFiles: 10, memoryBytes: 1 })).toEqual([]);
    expect(filesWarning(one, { ...large, openFiles: 1_140 })).toBeUndefined();
    expect(filesWarning(one, { ...large, openFiles: 1_139 })).toBe(
      'max_client_conn: Weir may need 1140 open files: 1000 clients + 40 server connections (default_pool_size of each node, ' +
        'max_db_connections at most) + 100 of its own; the limit is 1139 (ulimit -n), beyond which nobody can connect: raise it ' +
        '(LimitNOFILE= of systemd), or lower max_client_conn',
    );
    expect(filesWarning(four, { ...large, openFiles: 10 })).toBeUndefined();
  });
});

describe('memory', () => {
  test('60 MB a worker', () => {
    const eight = config('workers: 8');
    expect(beyondMachine(eight, { ...large, memoryBytes: 480 * 2 ** 20 })).toEqual([]);
    expect(beyondMachine(eight, { ...large, memoryBytes: 479 * 2 ** 20, memoryOf: 'the cgroup' })).toEqual([
      'workers: 8: 8 x 60 MB = 480 MB of memory, and the cgroup has 479 MB: lower workers',
    ]);
  });

  test('and the cache of each, and of the supervisor', () => {
    const cached = config('workers: 3\ncache: { enabled: true, max_memory: 128MB }');
    expect(beyondMachine(cached, { ...large, memoryBytes: (180 + 512) * 2 ** 20 })).toEqual([]);
    expect(beyondMachine(cached, { ...large, memoryBytes: 691 * 2 ** 20 })).toEqual([
      'workers: 3: 3 x 60 MB + 4 x 128 MB (cache.max_memory, once more for the supervisor) = 692 MB of memory, and this machine has ' +
        '691 MB: lower workers or cache.max_memory',
    ]);
  });
});

test('the limits of this process and its cgroup, or none where nobody says', () => {
  const limits =
    'Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                 files\n';
  const files: Record<string, string> = { '/proc/self/limits': limits, '/sys/fs/cgroup/memory.max': '1048576\n' };
  expect(thisMachine((file) => files[file])).toEqual({ openFiles: 1024, memoryBytes: 2 ** 20, memoryOf: 'the cgroup' });
  const none = thisMachine((file) => (file.endsWith('memory.max') ? 'max\n' : undefined));
  expect(none).toMatchObject({ openFiles: Infinity, memoryOf: 'this machine' });
});
