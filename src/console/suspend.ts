/**
 * SUSPEND; and when PAUSE, RESUME, KILL and SUSPEND are refused because of one another, as PgBouncer does. Called by actions.ts.
 */
import { WeirError } from '../errors/errors.ts';
import type { CommandContext, ConsoleCommand } from './types.ts';

/** PgBouncer's words. */
const alreadyPaused = 'already suspended/paused';

const refused = (what: string, hint?: string): WeirError => new WeirError('console_refused', { what }, hint);

function pausedDatabases({ sources }: CommandContext): { readonly names: Set<string>; readonly areAll: boolean } {
  const rows = [...sources.databases()];
  const names = new Set(rows.filter((row) => row.isPaused).map((row) => row.name));
  return { names, areAll: rows.length > 0 && names.size === rows.length };
}

/** PAUSE and KILL wait for statements to end, which they cannot while nobody is read. */
export function refuseWhileSuspended({ sources }: CommandContext): void {
  if (sources.isSuspended) throw refused(alreadyPaused, 'RESUME ends SUSPEND.');
}

/** Weir pauses once more, so that the operator can wait again; scripts made for PgBouncer expect the error. */
export function refuseSecondPause(context: CommandContext, database: string | undefined): void {
  refuseWhileSuspended(context);
  if (context.isPgbouncer && database === undefined && pausedDatabases(context).areAll) throw refused(alreadyPaused);
}

/** The same for RESUME without anything to resume. */
export function refuseIdleResume(context: CommandContext, database: string | undefined): void {
  if (!context.isPgbouncer) return;
  const { names } = pausedDatabases(context);
  if (database === undefined && names.size === 0) throw refused('pooler is not paused/suspended');
  if (database !== undefined && !names.has(database)) throw refused(`database ${database} is not paused`);
}

function refuseSuspend(context: CommandContext): void {
  refuseWhileSuspended(context);
  const { names, areAll } = pausedDatabases(context);
  if (areAll) throw refused(alreadyPaused);
  if (names.size > 0) throw refused('cannot suspend with paused databases', 'Their clients could not be flushed.');
}

/** It ends with the console connection that began it, so that nobody waits forever when a script breaks off. */
export const suspend: ConsoleCommand = {
  name: 'SUSPEND',
  role: 'admin',
  syntax: 'SUSPEND',
  help: 'send what was read, and read nothing more of clients and servers until RESUME',
  columns: [],
  tag: 'SUSPEND',
  isEndless: true,
  parse: () => async (context) => {
    refuseSuspend(context);
    const { sources, signal } = context;
    try {
      await sources.suspend(signal);
      // Another worker may have been done before the cancel.
      signal.throwIfAborted();
    } catch (error) {
      await sources.endSuspend();
      throw error;
    }
    return { whenLeft: () => sources.endSuspend() };
  },
};
