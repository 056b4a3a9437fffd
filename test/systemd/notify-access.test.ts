/**
 * Whether systemd takes the messages of a process that is not the main one: the unit is found by its control group, and what
 * cannot be known is nothing to complain of.
 */
import { describe, expect, it } from 'vitest';
import { droppedBecause, unitOf } from '../../src/systemd/notify-access.ts';

describe('the unit of a process', () => {
  it.each([
    ['0::/system.slice/pgbouncer.service\n', 'pgbouncer.service'],
    ['12:cpu:/\n1:name=systemd:/system.slice/weir@a.service/main\n', 'weir@a.service'],
    ['0::/user.slice/user-0.slice/user@0.service/app.slice/weir.service\n', undefined],
    ['0::/user.slice/user-0.slice/session-1.scope\n', undefined],
    ['0::/\n', undefined],
    ['', undefined],
  ])('%j', (cgroups, unit) => {
    expect(unitOf(cgroups)).toBe(unit);
  });
});

describe('messages that systemd drops', () => {
  const inUnit = (): string => '0::/system.slice/pgbouncer.service\n';

  it('with NotifyAccess=main, which Type=notify alone means', async () => {
    const asked: string[] = [];
    const why = await droppedBecause(inUnit, (unit) => {
      asked.push(unit);
      return Promise.resolve('main\n');
    });
    expect(asked).toEqual(['pgbouncer.service']);
    expect(why).toContain('pgbouncer.service has NotifyAccess=main; write NotifyAccess=all');
  });

  it('not with NotifyAccess=all, nor where it cannot be known', async () => {
    expect(await droppedBecause(inUnit, () => Promise.resolve('all\n'))).toBeUndefined();
    expect(await droppedBecause(inUnit, () => Promise.resolve(''))).toBeUndefined();
    expect(await droppedBecause(inUnit, () => Promise.reject(new Error('no systemctl')))).toBeUndefined();
    const noProc = (): string => {
      throw new Error('ENOENT');
    };
    expect(await droppedBecause(noProc, () => Promise.resolve('main'))).toBeUndefined();
  });
});
