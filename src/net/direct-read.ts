/**
 * Reads of a plain socket without the stream machinery in between: what `onread` of net.connect does, for sockets that
 * are connected already and for those that a server has accepted, which Node gives no such option (docs/adr/0004).
 */
import type { Socket } from 'node:net';

/** lib/net.js keeps the three settings of `onread` under symbols of these names. */
const slots = ['kBuffer', 'kBufferCb', 'kBufferGen'] as const;
type Handle = { useUserBuffer?(buffer: Buffer): void } | null;

/**
 * From now on bytes go to `received`, as copies; 'data' is not emitted any more. `input` is what the kernel writes into and
 * may be shared by all sockets. pause(), resume() and 'end' are as usual. False, and nothing is changed: this is no plain
 * socket, or not a Node that is known to work like this.
 */
export function readDirectly(socket: Socket, input: Buffer, received: (chunk: Buffer) => void): boolean {
  const handle = (socket as unknown as { _handle?: Handle })._handle;
  if ('encrypted' in socket || typeof handle?.useUserBuffer !== 'function') return false;
  const symbols = Object.getOwnPropertySymbols(socket);
  const [buffer, callback, generator] = slots.map((name) => symbols.find(({ description }) => description === name));
  if (buffer === undefined || callback === undefined || generator === undefined) return false;
  const settings = socket as unknown as Record<symbol, unknown>;
  settings[buffer] = input;
  settings[generator] = null;
  settings[callback] = (size: number): boolean => {
    received(Buffer.from(input.subarray(0, size)));
    return true;
  };
  handle.useUserBuffer(input);
  return true;
}
