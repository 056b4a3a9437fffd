/**
 * What systemd is told, in which order, and when: through a sender that only notes it, and through a program that stands in
 * for systemd-notify. Fails if a message is lost, overtakes another, or a missing program does any harm.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createServiceManager, sendWithProgram, watchdogIntervalMs } from '../../src/systemd/notify.ts';

const NOTIFY_SOCKET = '/run/systemd/notify';

describe('what systemd is told', () => {
  it('ready, reload, status and the end, one after the other', async () => {
    const told: string[] = [];
    // The first is slow: the others must wait for it.
    const send = async (assignments: readonly string[]): Promise<undefined> => {
      await sleep(told.length === 0 ? 30 : 0);
      told.push(assignments.join(' '));
    };
    const systemd = createServiceManager({ NOTIFY_SOCKET }, () => undefined, send);
    systemd.ready('listening on\n127.0.0.1:6432');
    const before = process.hrtime.bigint() / 1_000n;
    systemd.reloading();
    systemd.ready('reload: changed x');
    systemd.status('waits');
    systemd.stopping('stops');
    await systemd.end();
    expect(told).toEqual([
      'READY=1 STATUS=listening on 127.0.0.1:6432',
      expect.stringMatching(/^RELOADING=1 MONOTONIC_USEC=\d+$/),
      'READY=1 STATUS=reload: changed x',
      'STATUS=waits',
      'STOPPING=1 STATUS=stops',
    ]);
    const moment = BigInt(told[1]?.split('=').at(-1) ?? 0);
    expect(moment >= before && moment <= process.hrtime.bigint() / 1_000n).toBe(true);
  });

  it('nothing without NOTIFY_SOCKET', async () => {
    const told: unknown[] = [];
    const systemd = createServiceManager(
      { WATCHDOG_USEC: '10000' },
      () => undefined,
      async (assignments) => {
        told.push(assignments);
        return undefined;
      },
    );
    systemd.ready('listening');
    await sleep(30);
    await systemd.end();
    expect(told).toEqual([]);
  });

  it('that systemd drops the messages is said once', async () => {
    const warnings: string[] = [];
    const dropped = (): Promise<string> => Promise.resolve('write NotifyAccess=all');
    const send = (): Promise<undefined> => Promise.resolve(undefined);
    const systemd = createServiceManager({ NOTIFY_SOCKET }, (text) => warnings.push(text), send, dropped);
    systemd.ready('listening');
    systemd.ready('reload: changed x');
    await systemd.end();
    expect(warnings).toEqual(['write NotifyAccess=all']);
  });

  it('a problem is said once, and nothing is held up', async () => {
    const warnings: string[] = [];
    const systemd = createServiceManager({ NOTIFY_SOCKET, PATH: '/nowhere' }, (text) => warnings.push(text));
    systemd.ready('listening');
    systemd.stopping('stops');
    await systemd.end();
    expect(warnings).toEqual(['systemd is told nothing: there is no program systemd-notify in PATH']);
  });

  it('the end does not wait for a sender that hangs', async () => {
    const systemd = createServiceManager(
      { NOTIFY_SOCKET },
      () => undefined,
      () => new Promise(() => undefined),
    );
    systemd.stopping('stops');
    const sinceMs = performance.now();
    await systemd.end();
    expect(performance.now() - sinceMs).toBeLessThan(3_000);
  });
});

describe('the watchdog', () => {
  it('is told at half of WATCHDOG_USEC, but not while a message is under way, and not after the end', async () => {
    const told: string[] = [];
    let hold: Promise<void> = Promise.resolve();
    let release: () => void = () => undefined;
    const env = { NOTIFY_SOCKET, WATCHDOG_USEC: '20000', WATCHDOG_PID: String(process.pid) };
    const systemd = createServiceManager(
      env,
      () => undefined,
      async ([first]) => {
        told.push(first ?? '');
        await hold;
        return undefined;
      },
    );
    while (told.length < 3) await sleep(5);
    expect(new Set(told)).toEqual(new Set(['WATCHDOG=1']));
    hold = new Promise((resolve) => (release = resolve));
    systemd.ready('reload');
    while (!told.includes('READY=1')) await sleep(5);
    const held = told.length;
    await sleep(60);
    expect(told).toHaveLength(held);
    release();
    await systemd.end();
    const ended = told.length;
    await sleep(40);
    expect(told).toHaveLength(ended);
  });

  it.each([
    [{ WATCHDOG_USEC: '30000000' }, 15_000],
    [{ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '77' }, 15_000],
    [{ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '78' }, undefined],
    [{ WATCHDOG_USEC: '0' }, undefined],
    [{ WATCHDOG_USEC: 'soon' }, undefined],
    [{}, undefined],
  ])('%j', (env, everyMs) => {
    expect(watchdogIntervalMs(env, 77)).toBe(everyMs);
  });
});

describe('the program systemd-notify', () => {
  let dir = '';
  beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'weir-notify-'))));
  afterEach(() => rmSync(dir, { recursive: true }));

  function standIn(script: string): ReturnType<typeof sendWithProgram> {
    const program = join(dir, 'systemd-notify');
    writeFileSync(program, `#!/bin/sh\n${script}\n`);
    chmodSync(program, 0o755);
    return sendWithProgram({ ...process.env, PATH: `${dir}:${process.env['PATH'] ?? ''}`, NOTIFY_SOCKET });
  }

  it('gets each assignment as one argument, and the socket', async () => {
    const send = standIn(`printf '%s|' "$NOTIFY_SOCKET" "$@" > ${join(dir, 'told')}`);
    expect(await send(['READY=1', 'STATUS=on *:6432; $(id) "x"'])).toBeUndefined();
    expect(readFileSync(join(dir, 'told'), 'utf8')).toBe(`${NOTIFY_SOCKET}|READY=1|STATUS=on *:6432; $(id) "x"|`);
  });

  it('fails in words', async () => {
    expect(await standIn('exit 3')(['READY=1'])).toBe('systemd-notify ended with 3');
  });
});
