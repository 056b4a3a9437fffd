/**
 * The states of memory, and the shares at which they change: the one table. Each is left at a lower share than it is entered, so
 * that a figure that moves a little does not change it back and forth. Used by monitor.ts; printed in docs/memory.md.
 */
import type { StateTable } from '../util/state-table.ts';
import type { MemoryState } from './types.ts';

export type MemoryEvent = 'at 0.8' | 'at 0.9' | 'below 0.85' | 'below 0.75';

export const memoryTable: StateTable<MemoryState, MemoryEvent> = {
  normal: { 'at 0.8': 'tight', 'at 0.9': 'critical' },
  tight: { 'at 0.9': 'critical', 'below 0.75': 'normal' },
  critical: { 'below 0.85': 'tight', 'below 0.75': 'normal' },
};

export const tightShare = 0.8;
/** Clients are shed until less than this is in use. */
export const calmShare = 0.85;

/** The events that this share is, the one that goes furthest first. */
function eventsOf(share: number): readonly MemoryEvent[] {
  if (share >= 0.9) return ['at 0.9', 'at 0.8'];
  if (share >= tightShare) return share < calmShare ? ['at 0.8', 'below 0.85'] : ['at 0.8'];
  return share < 0.75 ? ['below 0.75', 'below 0.85'] : ['below 0.85'];
}

export function nextMemoryState(state: MemoryState, share: number): MemoryState {
  for (const event of eventsOf(share)) {
    const next = memoryTable[state][event];
    if (next !== undefined) return next;
  }
  return state;
}
