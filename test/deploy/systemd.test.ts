/**
 * The units of contrib/systemd: what they name is there, their times fit the settings, and systemd itself finds nothing wrong
 * and rates the service as little exposed, where it is installed. integration/systemd.test.ts is about Weir under systemd.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { serveOptions } from '../../src/cli/serve.ts';
import { read, versionOf, without } from './support.ts';

/** Keys of a unit; those that are there more than once have all values. */
function unit(name: string): Map<string, string[]> {
  const keys = new Map<string, string[]>();
  for (const [, key = '', value = ''] of read(`contrib/systemd/${name}`).matchAll(/^(\w+)=(.*)$/gm))
    keys.set(key, [...(keys.get(key) ?? []), value]);
  return keys;
}

const service = unit('weir.service');
const socket = unit('weir.socket');
const one = (keys: Map<string, string[]>, key: string): string => {
  const values = keys.get(key) ?? [];
  expect([key, values.length]).toEqual([key, 1]);
  return values[0] ?? '';
};

const loaded = loadConfig({ text: read('config/weir.yaml'), file: '/nowhere/weir.yaml', env: {} });
if ('problems' in loaded) throw new Error(loaded.problems.join('\n'));
const { config } = loaded;

describe('contrib/systemd', () => {
  it('starts Weir with a verb and options that there are', () => {
    const [program, verb, option] = one(service, 'ExecStart').split(' ');
    expect([program, verb]).toEqual(['/usr/local/bin/weir', 'serve']);
    expect(Object.keys(serveOptions)).toContain(option?.replace(/^--/, ''));
    expect(one(service, 'Requires')).toBe('weir.socket');
  });

  it('waits for longer than Weir takes to end', () => {
    const stopMs = Number(one(service, 'TimeoutStopSec')) * 1000;
    expect(stopMs).toBeGreaterThanOrEqual(config.shutdownDelayMs + config.shutdownTimeoutMs + 5_000);
    // SIGTERM is for the supervisor, which ends its workers.
    expect(one(service, 'KillMode')).toBe('mixed');
  });

  it('has the files that clients and servers need', () => {
    expect(Number(one(service, 'LimitNOFILE'))).toBeGreaterThan(config.maxClientConn + 1_000);
  });

  it('listens on the port of the settings, and on the socket file of that port', () => {
    const [tcp, unix] = socket.get('ListenStream') ?? [];
    expect([tcp, unix]).toEqual([String(config.listen.port), `/run/weir/.s.PGSQL.${config.listen.port}`]);
  });

  it('leaves to Weir what it needs: the network, code that V8 writes, /proc, a folder', () => {
    expect(one(service, 'RestrictAddressFamilies').split(' ')).toEqual(
      expect.arrayContaining(['AF_INET', 'AF_INET6', 'AF_UNIX']),
    );
    for (const key of ['MemoryDenyWriteExecute', 'PrivateNetwork', 'ProcSubset']) expect(service.has(key)).toBe(false);
    expect(one(service, 'StateDirectory')).toBe('weir');
  });
});

const analyze = versionOf('systemd-analyze');
const version = Number(/^systemd (\d+)/.exec(analyze ?? '')?.[1] ?? 0);

describe.skipIf(analyze === undefined)(`systemd-analyze${without('systemd-analyze', analyze)}`, () => {
  let dir: string;
  const units = ['weir.service', 'weir.socket'];
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'weir-units-'));
    // That there is a program is checked, too, and Weir is not installed here.
    for (const name of units)
      writeFileSync(join(dir, name), read(`contrib/systemd/${name}`).replace('/usr/local/bin/weir', process.execPath));
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  const run = (...args: string[]): { status: number | null; output: string } => {
    const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
    return { status, output: `${stdout}${stderr}` };
  };

  it('verify: nothing is wrong with the units', () => {
    // Other units of the machine are read, too, and may have faults of their own.
    const { status, output } = run('verify', '--man=no', ...units.map((name) => join(dir, name)));
    expect(output.split('\n').filter((line) => line.includes('weir'))).toEqual([]);
    expect(status).toBe(0);
  });

  it('verify: a mistake would be found', () => {
    const wrong = join(dir, 'weir-wrong.service');
    writeFileSync(wrong, read('contrib/systemd/weir.service').replace('ProtectClock=true', 'ProtectClok=true'));
    expect(run('verify', '--man=no', wrong).output).toContain('ProtectClok');
  });

  const tooOld = version < 250 ? ' (skipped: it cannot judge a file before version 250)' : '';
  it.skipIf(version < 250)(`security: the exposure is below 2.5 of 10${tooOld}`, () => {
    const { status, output } = run(
      'security',
      '--offline=true',
      '--no-pager',
      '--threshold=25',
      join(dir, 'weir.service'),
    );
    expect([status, output]).toEqual([0, expect.stringContaining('Overall exposure level')]);
  });
});
