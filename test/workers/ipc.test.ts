/**
 * A process whose other end was gone before it began to listen, or goes while a socket is on its way, of which Node does not tell.
 * Fails if it is not told (a worker would outlive its supervisor), if sockets that wait to be sent are kept for nobody, or if a
 * client is lost that a worker never had, or given to two.
 */
import { EventEmitter, once } from 'node:events';
import { connect, createServer, Socket, type AddressInfo } from 'node:net';
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

interface Closable {
  close(): void;
}

/** A connection whose one end was sent to a process, as Node does it. */
async function sentToProcess(): Promise<{
  readonly client: Socket;
  /** Node has heard that the other process has it. */
  confirm(): void;
  /** What has come back, when the other process is gone. */
  lose(): { readonly socket: Socket; readonly packed: unknown }[];
  stop(): void;
}> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = (await once(server, 'connection')) as [Socket];
  let handle: Closable | undefined;
  const send = (
    _message: unknown,
    sent: { _handle: Closable | null },
    _options: unknown,
    done: (e: null) => void,
  ): void => {
    handle = sent._handle ?? undefined;
    sent._handle = null;
    done(null);
  };
  const end = Object.assign(new EventEmitter(), { connected: true, send });
  const wire = ipcWire(end as unknown as IpcEnd);
  const back: { socket: Socket; packed: unknown }[] = [];
  wire.onMoved((one, { packed }) => back.push({ socket: one, packed }));
  expect(wire.sendMoved(socket, { packed: 'session', ahead: Buffer.alloc(0) })).toBe(true);
  return {
    client,
    confirm: () => handle?.close(),
    lose: () => {
      end.connected = false;
      end.emit('disconnect');
      return back;
    },
    stop: () => {
      client.destroy();
      for (const each of back) each.socket.destroy();
      server.close();
    },
  };
}

test('a client that was sent, and that the other process has not taken when it goes, comes back and lives', async () => {
  const sent = await sentToProcess();
  const [back] = sent.lose();
  expect(back?.packed).toBe('session');
  sent.client.write('to Weir');
  // It comes back paused.
  back!.socket.resume();
  expect(String((await once(back!.socket, 'data'))[0])).toBe('to Weir');
  back!.socket.write('to the client');
  expect(String((await once(sent.client, 'data'))[0])).toBe('to the client');
  sent.stop();
});

test('a client that the other process has taken does not come back', async () => {
  const sent = await sentToProcess();
  sent.confirm();
  expect(sent.lose()).toEqual([]);
  sent.stop();
});

test('whenWritten() calls when what was said before has been written, at once if nobody hears it', () => {
  const written: (() => void)[] = [];
  const send = (_message: unknown, _socket: unknown, _options: unknown, done: () => void): void =>
    void written.push(done);
  const end = Object.assign(new EventEmitter(), { connected: true, send });
  const wire = ipcWire(end as unknown as IpcEnd);
  let called = 0;
  wire.whenWritten(() => called++);
  expect(called).toBe(0);
  written[0]!();
  expect(called).toBe(1);
  end.connected = false;
  wire.whenWritten(() => called++);
  expect(called).toBe(2);
  end.emit('disconnect');
});
