/**
 * Reads of a plain socket without the stream machinery in between: what `onread` of net.connect does, for sockets that
 * are connected already and for those that a server has accepted, which Node gives no such option (docs/adr/0004).
 */
import { Socket } from 'node:net';

/** lib/net.js keeps the three settings of `onread` under symbols of these names: the same for all sockets. */
const symbols = Object.getOwnPropertySymbols(new Socket());
const [buffer, callback, generator] = ['kBuffer', 'kBufferCb', 'kBufferGen'].map((name) =>
  symbols.find(({ description }) => description === name),
);
type Handle = { useUserBuffer?(buffer: Buffer): void } | null;

/**
 * From now on bytes go to `received`, as copies; 'data' is not emitted any more. `input` is what the kernel writes into and
 * may be shared by all sockets. pause(), resume() and 'end' are as usual. False, and nothing is changed: this is no plain
 * socket, or not a Node that is known to work like this.
 */
export function readDirectly(socket: Socket, input: Buffer, received: (chunk: Buffer) => void): boolean {
  const handle = (socket as unknown as { _handle?: Handle })._handle;
  if ('encrypted' in socket || typeof handle?.useUserBuffer !== 'function') return false;
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
