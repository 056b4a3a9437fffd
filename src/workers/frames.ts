/**
 * Frames with sockets over Node's IPC between the parent and a supervisor that it has started. Used by parent.ts and
 * child-of-parent.ts.
 */
import type { SendHandle } from 'node:child_process';
import { Socket } from 'node:net';
import type { ListenHandle } from '../systemd/types.ts';
import { readAhead, type IpcEnd } from './ipc.ts';
import type { Frame } from './supervisor-ports.ts';

export type FrameListener = (frame: Frame, handle: Socket | ListenHandle | undefined) => void;

/** False: the other process is gone, and the socket is still the caller's. */
export function sendFrame(end: IpcEnd, frame: Frame, socket?: Socket): boolean {
  if (!end.connected) return false;
  end.send?.({ frame }, socket, { keepOpen: false }, (error) => {
    if (error !== null) socket?.destroy();
  });
  return true;
}

/** This process goes on listening. */
export function sendListener(end: IpcEnd, frame: Frame, handle: ListenHandle): void {
  end.send?.({ frame }, handle as unknown as SendHandle, undefined, () => undefined);
}

/** Nothing more is read from a socket before the listener returns. */
export function onFrame(end: IpcEnd, listener: FrameListener): void {
  end.on('message', (message, handle) => {
    const { frame } = message as { readonly frame?: Frame };
    if (frame === undefined) return;
    if (!(handle instanceof Socket)) return listener(frame, handle as unknown as ListenHandle | undefined);
    const ahead = Buffer.concat([frame.ahead ?? Buffer.alloc(0), readAhead(handle)]);
    listener({ ...frame, ahead }, handle);
  });
}
