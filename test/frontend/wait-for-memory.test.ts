/** A client that waits for memory gets in when there is some, and gives up its place whatever else ends its log-in. */
import { PassThrough } from 'node:stream';
import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { WeirError } from '../../src/errors/errors.ts';
import { waitForMemory } from '../../src/frontend/wait-for-memory.ts';
import { Gate } from '../../src/memory/gate.ts';
import { MessageReader } from '../../src/net/message-reader.ts';

function waiting(timeoutMs = 60_000): { gate: Gate; reader: MessageReader; socket: PassThrough; over: Promise<void> } {
  const gate = new Gate();
  gate.set(false);
  const socket = new PassThrough();
  const reader = new MessageReader(socket as unknown as Socket, timeoutMs);
  const over = waitForMemory(reader, { options: { memory: gate }, loginTimeoutMs: timeoutMs });
  over.catch(() => undefined);
  return { gate, reader, socket, over };
}

describe('a client that waits', () => {
  test('gets in when there is memory, with what it has sent meanwhile', async () => {
    const { gate, reader, socket, over } = waiting();
    expect(gate.waitingClients).toBe(1);
    socket.write(Buffer.from('early'));
    gate.set(true);
    await over;
    expect(gate.waitingClients).toBe(0);
    await new Promise((resolve) => setImmediate(resolve));
    expect(reader.detach().toString()).toBe('early');
  });

  test('is refused with 53200 at the end of client_login_timeout', async () => {
    const { gate, over } = waiting(20);
    await expect(over).rejects.toMatchObject({ errorName: 'memory_wait', sqlstate: '53200', severity: 'FATAL' });
    await expect(over).rejects.toThrow('within 0.02 s');
    expect([gate.waitingClients, gate.refusedClients]).toEqual([0, 1]);
  });

  test('leaves its place when it goes away', async () => {
    const { gate, socket, over } = waiting();
    socket.end();
    await expect(over).rejects.toMatchObject({ reason: 'closed' });
    expect([gate.waitingClients, gate.refusedClients]).toEqual([0, 0]);
  });

  test('leaves it when Weir ends the log-in for another reason', async () => {
    const { gate, reader, over } = waiting();
    reader.fail(new WeirError('shutting_down'));
    await expect(over).rejects.toMatchObject({ errorName: 'shutting_down' });
    expect(gate.waitingClients).toBe(0);
  });

  test('does not wait when its log-in has ended before', async () => {
    const { reader } = waiting();
    reader.fail(new WeirError('shutting_down'));
    const gate = new Gate();
    gate.set(false);
    await expect(waitForMemory(reader, { options: { memory: gate }, loginTimeoutMs: 1 })).rejects.toThrow();
    expect(gate.waitingClients).toBe(0);
  });
});
