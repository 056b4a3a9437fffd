/**
 * A process whose other end was gone before it began to listen. Fails if it is not told: a worker would outlive its supervisor.
 */
import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
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
