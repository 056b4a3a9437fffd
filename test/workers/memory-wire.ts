/**
 * Two ends of a Wire in one process, for tests: what is sent arrives as a structured clone, later, in order. As between
 * processes, nothing arrives after the end.
 */
import type { Envelope, Wire } from '../../src/workers/channel.ts';

export interface MemoryWire extends Wire {
  /** Both ends hear of it. What was sent and has not arrived is lost. */
  close(): void;
}

export function memoryWires(): readonly [MemoryWire, MemoryWire] {
  const listeners: ((envelope: Envelope) => void)[][] = [[], []];
  const ends: (() => void)[] = [];
  let isOpen = true;
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    for (const end of ends) end();
  };
  const makeEnd = (mine: number): MemoryWire => ({
    send(envelope) {
      const copy = structuredClone(envelope);
      setImmediate(() => {
        if (isOpen) for (const listener of listeners[1 - mine] ?? []) listener(copy);
      });
    },
    onEnvelope: (listener) => void listeners[mine]?.push(listener),
    onClosed: (listener) => void ends.push(listener),
    close,
  });
  return [makeEnd(0), makeEnd(1)];
}
