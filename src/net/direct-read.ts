/**
 * Reads a plain socket into one given buffer, without Node's streams: as the option `onread` of net.connect does, but
 * for sockets that are connected already or were accepted by a server, where Node has no such option (docs/adr/0004).
 */
import { Socket } from 'node:net';

/** Node's lib/net.js stores the three settings of `onread` under symbols with these names, the same for all sockets. */
const symbols = Object.getOwnPropertySymbols(new Socket());
const [buffer, callback, generator] = ['kBuffer', 'kBufferCb', 'kBufferGen'].map((name) =>
  symbols.find(({ description }) => description === name),
);
type Handle = { useUserBuffer?(buffer: Buffer): void } | null;

/**
 * From now on the socket calls `received` instead of emitting 'data'. pause(), resume() and 'end' work as usual.
 * @param input the buffer that the kernel writes into; all sockets may share it
 * @param received gets a copy of the bytes
 * @returns false, and changes nothing, for a TLS socket or a version of Node that does not work like this
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
