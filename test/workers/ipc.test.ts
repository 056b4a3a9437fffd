/**
 * A process whose other end was gone before it began to listen, or goes while a socket is on its way, of which Node does not tell.
 * Fails if it is not told (a worker would outlive its supervisor), or if sockets that wait to be sent are kept for nobody.
 */
import { EventEmitter } from 'node:events';
import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { until } from '../../integration/harness/until.ts';
import { ipcWire, type IpcEnd } from '../../src/workers/ipc.ts';

test('onClosed() tells at once when the other process is gone already', () => {
  const told: string[] = [];
  const end = (connected: boolean): EventEmitter => Object.assign(new EventEmitter(), { connected });
  ipcWire(end(false) as unknown as IpcEnd).onClosed(() => told.push('gone before'));
  expect(told).toEqual(['gone before']);
  const other = end(true);
  ipcWire(other as unknown as IpcEnd).onClosed(() => told.push('gone'));
  expect(told).toEqual(['gone before']);
  other.emit('disconnect');
  expect(told).toEqual(['gone before', 'gone']);
});

test('onClosed() tells once when the other process is gone and Node emits nothing', async () => {
  const end = Object.assign(new EventEmitter(), { connected: true });
  let told = 0;
  ipcWire(end as unknown as IpcEnd).onClosed(() => told++);
  end.connected = false;
  await until('it to be told', () => told > 0);
  end.emit('disconnect');
  expect(told).toBe(1);
});

test('sockets that wait to be sent come back, the one that was on its way is closed', () => {
  const sent: ((error: Error | null) => void)[] = [];
  const send = (_message: unknown, _socket: unknown, _options: unknown, done: (error: Error | null) => void): void =>
    void sent.push(done);
  const end = Object.assign(new EventEmitter(), { connected: true, send });
  const wire = ipcWire(end as unknown as IpcEnd);
  const back: string[] = [];
  wire.onReturned((_socket, { entry, ahead }) => back.push(`${entry} ${Buffer.from(ahead).toString()}`));
  wire.onMoved((_socket, { packed }) => back.push(`moved ${String(packed)}`));
  const closed: number[] = [];
  const sockets = [0, 1, 2].map((i) => Object.assign(new Socket(), { _handle: { close: () => closed.push(i) } }));
  const [first, second, third] = sockets as unknown as [Socket, Socket, Socket];
  expect(wire.sendSocket('plain', first)).toBe(true);
  expect(wire.sendSocket('local', second, Buffer.from('ahead'))).toBe(true);
  expect(wire.sendMoved(third, { packed: 'session', ahead: Buffer.alloc(0) })).toBe(true);
  // Node has written the first.
  sent[0]!(null);
  end.connected = false;
  end.emit('disconnect');
  expect(back).toEqual(['local ahead', 'moved session']);
  expect(closed).toEqual([0]);
  expect(wire.sendSocket('plain', second)).toBe(false);
});
