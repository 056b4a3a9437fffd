/** What a process may have, from the files of cgroups as they are on real machines, and as they should not be. */
import { describe, expect, test } from 'vitest';
import { atLeastIdle, cgroupUsage, findLimit, ownUsage, shareOfWorker } from '../../src/memory/limit.ts';
import type { FoundLimit, ReadText } from '../../src/memory/limit.ts';

const MB = 2 ** 20;
const GB = 2 ** 30;

/** Files by their path; an Error is thrown, and what is not named is missing. */
function filesOf(files: Readonly<Record<string, string | Error>>): ReadText {
  return (file) => {
    const text = files[file] ?? errorOf('ENOENT');
    if (typeof text === 'string') return text;
    throw text;
  };
}

const errorOf = (code: string): Error => Object.assign(new Error(code), { code });

const find = (files: Readonly<Record<string, string | Error>>, settingBytes = 0): FoundLimit =>
  findLimit({ read: filesOf(files), settingBytes, machineBytes: 8 * GB });

describe('cgroup version 2', () => {
  const cgroup = '0::/system.slice/weir.service\n';

  test('its own limit, and where its use is read', () => {
    const limit = find({
      '/proc/self/cgroup': cgroup,
      '/sys/fs/cgroup/system.slice/weir.service/memory.max': '536870912\n',
    });
    expect(limit.bytes).toBe(512 * MB);
    expect(limit.from).toBe('the cgroup (/sys/fs/cgroup/system.slice/weir.service/memory.max)');
    expect(limit.cgroup?.usage).toBe('/sys/fs/cgroup/system.slice/weir.service/memory.current');
    expect(limit.problems).toEqual([]);
  });

  test('the smallest of those above it counts', () => {
    const limit = find({
      '/proc/self/cgroup': cgroup,
      '/sys/fs/cgroup/system.slice/weir.service/memory.max': `${GB}`,
      '/sys/fs/cgroup/system.slice/memory.max': `${256 * MB}`,
      '/sys/fs/cgroup/memory.max': 'max',
    });
    expect(limit).toMatchObject({ bytes: 256 * MB, from: 'the cgroup (/sys/fs/cgroup/system.slice/memory.max)' });
  });

  test('in a container it is the top one', () => {
    const limit = find({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': `${300 * MB}\n` });
    expect(limit).toMatchObject({ bytes: 300 * MB, from: 'the cgroup (/sys/fs/cgroup/memory.max)' });
  });

  test.each([
    ['max', 'max\n', []],
    ['empty', '', ['/sys/fs/cgroup/memory.max is empty']],
    ['garbage', 'lots of it', ['/sys/fs/cgroup/memory.max has no number in it: "lots of it"']],
    ['negative', '-1', ['/sys/fs/cgroup/memory.max has no number in it: "-1"']],
    ['zero', '0', ['/sys/fs/cgroup/memory.max has no number in it: "0"']],
    ['no permission', errorOf('EACCES'), ['/sys/fs/cgroup/memory.max cannot be read (EACCES)']],
    ['a directory', errorOf('EISDIR'), ['/sys/fs/cgroup/memory.max cannot be read (EISDIR)']],
    ['missing', errorOf('ENOENT'), []],
    ['more than the machine has', `${64 * GB}`, []],
  ])('%s: the next source is taken, and what makes no sense is said', (_what, text, problems) => {
    const limit = find({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': text });
    expect(limit).toEqual({ bytes: 8 * GB, from: 'the memory of this machine', cgroup: undefined, problems });
  });

  test('a bad file does not hide a good one above it', () => {
    const limit = find({
      '/proc/self/cgroup': cgroup,
      '/sys/fs/cgroup/system.slice/weir.service/memory.max': '?',
      '/sys/fs/cgroup/system.slice/memory.max': `${GB}`,
    });
    expect(limit.bytes).toBe(GB);
    expect(limit.problems).toHaveLength(1);
  });

  test('its use is without what the kernel can take back', () => {
    const { cgroup: files } = find({ '/proc/self/cgroup': '0::/', '/sys/fs/cgroup/memory.max': `${GB}` });
    const read = (current: string, stat: string): number | undefined =>
      cgroupUsage(files!, filesOf({ '/sys/fs/cgroup/memory.current': current, '/sys/fs/cgroup/memory.stat': stat }));
    expect(read('1000\n', 'anon 500\ninactive_file 300\nactive_file 7\n')).toBe(700);
    expect(read('1000', 'anon 500')).toBe(1000);
    expect(read('100', 'inactive_file 300')).toBe(0);
    expect(read('nothing', 'inactive_file 300')).toBeUndefined();
    expect(cgroupUsage(files!, filesOf({}))).toBeUndefined();
  });
});

describe('cgroup version 1', () => {
  test('the limit of the container, whose own path is not mounted in it', () => {
    const limit = find({
      '/proc/self/cgroup': '5:cpu:/docker/abc\n4:memory:/docker/abc\n0::/\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': `${400 * MB}\n`,
    });
    expect(limit.bytes).toBe(400 * MB);
    expect(limit.cgroup?.reclaimable).toBe('total_inactive_file');
  });

  test('no limit is a very large one', () => {
    const limit = find({
      '/proc/self/cgroup': '4:memory:/\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    });
    expect(limit).toMatchObject({ bytes: 8 * GB, problems: [] });
  });
});

test.each([
  ['nonsense', 'what is this\n::\n:memory\n'],
  ['a path that leads out', '0::/../../etc\n'],
  ['empty', ''],
])('/proc/self/cgroup: %s', (_what, text) => {
  expect(find({ '/proc/self/cgroup': text }).from).toBe('the memory of this machine');
});

test('without /proc, the top cgroups are looked at', () => {
  expect(find({ '/sys/fs/cgroup/memory.max': `${GB}` }).bytes).toBe(GB);
});

test('the setting counts before all others', () => {
  const limit = find({ '/proc/self/cgroup': '0::/', '/sys/fs/cgroup/memory.max': `${GB}` }, 3 * GB);
  expect(limit).toEqual({ bytes: 3 * GB, from: 'memory_limit', cgroup: undefined, problems: [] });
});

describe('several workers', () => {
  const whole = { bytes: GB, from: 'memory_limit' };

  test('share it, after the supervisor', () => {
    expect(shareOfWorker(whole, 1, 0)).toEqual(whole);
    const { bytes, from } = shareOfWorker(whole, 4, 0);
    expect(bytes).toBe(240 * MB);
    expect(from).toBe('memory_limit, the part of one of 4 workers');
    expect(shareOfWorker(whole, 4, 100 * MB).bytes).toBe(215 * MB);
  });

  test('the supervisor has no more than a worker', () => {
    expect(shareOfWorker(whole, 3, 10 * GB).bytes).toBe(256 * MB);
  });
});

test('a limit that an idle process exceeds is raised, and that is said', () => {
  expect(atLeastIdle({ bytes: 100 * MB, from: 'memory_limit' }, 50 * MB).bytes).toBe(100 * MB);
  const { bytes, from } = atLeastIdle({ bytes: 32 * MB, from: 'memory_limit' }, 60 * MB);
  expect(bytes).toBe(100 * MB);
  expect(from).toBe('memory_limit: 32 MB, raised since Weir takes 60 MB without clients');
});

test('what the process has is without files', () => {
  const status =
    'Name:\tnode\nVmRSS:\t  90000 kB\nRssAnon:\t   50000 kB\nRssFile:\t   39000 kB\nRssShmem:\t    1000 kB\n';
  expect(ownUsage(filesOf({ '/proc/self/status': status }))).toBe(51_000 * 1024);
  expect(ownUsage(filesOf({ '/proc/self/status': 'VmRSS: lots' }))).toBeUndefined();
  expect(ownUsage(filesOf({}))).toBeUndefined();
});
