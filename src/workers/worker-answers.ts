/**
 * What a worker answers its supervisor: its figures, and what became of an action or a change of the configuration here.
 * Called by the app.
 */
import type { ConsoleActions } from '../console/sources.ts';
import type { Action, Applied, Change, Outcome } from './console-topics.ts';
import { collectFigures, type OwnFigures } from './figures.ts';
import type { SupervisorChannel } from './messages.ts';
import type { SupervisorSettings } from './settings-topics.ts';

/** Changes of the configuration in two steps. Implemented by app/staged-change.ts. */
export interface StagedChanges {
  /**
   * Checks a change and keeps it ready, in place of one that was ready before.
   * @returns a digest of what would be applied
   * @throws WeirError, and then changes nothing
   */
  prepare(change: Change): string;
  apply(): Promise<Applied>;
  /** As they are in force. */
  settings(): SupervisorSettings;
  discard(): void;
}

export interface WorkerSide extends OwnFigures {
  readonly changes: StagedChanges;
  /** Another worker has this database, by the entry "*": this one has it now, too. */
  open(database: string): void;
}

export function answerSupervisor(channel: SupervisorChannel, side: WorkerSide): void {
  const running = new Map<number, AbortController>();
  channel.on('figures', (detail) => collectFigures(side, detail));
  channel.on('act', async ({ id, action }) => {
    const controller = new AbortController();
    running.set(id, controller);
    try {
      if ('database' in action && action.database !== undefined) side.open(action.database);
      return await carryOut(side.sources, action, controller.signal);
    } finally {
      running.delete(id);
    }
  });
  channel.on('cancelAct', (id) => void running.get(id)?.abort());
  channel.on('prepare', (change) => side.changes.prepare(change));
  channel.on('apply', async () => {
    const applied = await side.changes.apply();
    channel.tell('settings', side.changes.settings());
    return applied;
  });
  channel.tell('settings', side.changes.settings());
  channel.on('discard', () => void side.changes.discard());
}

async function carryOut(actions: ConsoleActions, action: Action, signal: AbortSignal): Promise<Outcome> {
  switch (action.do) {
    case 'pause':
    case 'waitClose':
      await actions[action.do](action.database, signal);
      return undefined;
    case 'suspend':
      await actions.suspend(signal);
      return undefined;
    case 'endSuspend':
      await actions.endSuspend();
      return undefined;
    case 'resume':
    case 'reconnect':
    case 'killDatabase':
      await actions[action.do](action.database);
      return undefined;
    case 'disable':
    case 'enable':
      await actions[action.do](action.database);
      return undefined;
    case 'killClient':
      return actions.killClient(action.id);
    case 'setDraining':
      return actions.setDraining(action.node, action.isDraining);
    case 'resizePool':
      return actions.resizePool(action.request);
    case 'invalidate':
      return actions.invalidate(action.request);
    case 'resetStatements':
      await actions.resetStatements();
      return undefined;
  }
}
