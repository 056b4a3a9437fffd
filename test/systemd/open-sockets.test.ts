/**
 * Socket activation: which descriptors are meant for this process, and what each socket is for. Fails if a socket goes to the
 * wrong side, or a wrong one is taken. Real sockets that are passed on: integration/systemd.test.ts.
 */
import { closeSync, openSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { assignSockets, openSockets, passedFds } from '../../src/systemd/open-sockets.ts';
import type { OpenSocket } from '../../src/systemd/types.ts';

describe('what is passed', () => {
  const env = { LISTEN_PID: '77', LISTEN_FDS: '3', LISTEN_FDNAMES: 'clients:http' };
  it('descriptors from 3 on, with their names', () => {
    expect(passedFds(env, 77)).toEqual([
      { fd: 3, name: 'clients' },
      { fd: 4, name: 'http' },
      { fd: 5, name: '' },
    ]);
  });
  it.each([[{}], [{ ...env, LISTEN_PID: '78' }], [{ ...env, LISTEN_FDS: 'x' }], [{ ...env, LISTEN_FDS: '-1' }]])(
    'nothing for %j',
    (other) => expect(passedFds(other, 77)).toEqual([]),
  );
});

describe('what each is for', () => {
  const http = { host: '127.0.0.1', port: 9432 };
  const nothing = (): void => undefined;
  const socket = (name: string, port?: number): OpenSocket => ({
    name,
    address: port === undefined ? undefined : { host: '0.0.0.0', port },
    ...{
      onConnection: nothing,
      onError: nothing,
      moveTo: nothing,
      close: nothing,
      handle: () => ({ fd: -1, close: nothing }),
    },
  });
  const names = (sockets: readonly OpenSocket[], where: typeof http | undefined = http): unknown => {
    const uses = assignSockets(sockets, where);
    return [uses.clients.map(({ address }) => address), uses.http?.name];
  };
  const tcp = (port: number): unknown => ({ host: '0.0.0.0', port });

  it('by name', () => {
    expect(names([socket('http', 1), socket('clients', 9432), socket('clients')])).toEqual([
      [tcp(9432), undefined],
      'http',
    ]);
  });
  it('by address, where one unit has all', () => {
    const all = [socket('weir.socket'), socket('weir.socket', 9432), socket('weir.socket', 6432)];
    expect(names(all)).toEqual([[undefined, tcp(6432)], 'weir.socket']);
  });
  it('nothing', () => expect(names([])).toEqual([[], undefined]));
  it('refuses in words what it cannot use', () => {
    expect(() => names([socket('http', 1), socket('http', 2)])).toThrow('two sockets for HTTP');
    expect(() => names([socket('http')])).toThrow('a Unix socket for HTTP, which must be a TCP socket');
    expect(() => assignSockets([socket('http', 1)], undefined)).toThrow('the setting http is null');
  });
});

describe('a descriptor', () => {
  it('that is no listening socket is refused in words', async () => {
    const fd = openSync('/dev/null', 'r');
    await expect(openSockets([{ fd, name: 'weir.socket' }])).rejects.toThrow(
      new RegExp(`file descriptor ${fd} \\(weir\\.socket\\): .*ListenStream=`),
    );
    closeSync(fd);
  });
});
