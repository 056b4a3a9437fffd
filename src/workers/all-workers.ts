/**
 * Figures and actions of the whole Weir for a console, or HTTP, that runs in one of its workers: asks the supervisor, and
 * merges what the workers have said. Called by the app.
 */
import type { Invalidated } from '../cache/types.ts';
import type { ConsoleActions, ConsoleSources, Gather, ResizeOutcome } from '../console/sources.ts';
import { WeirError } from '../errors/errors.ts';
import type { Action, ActReply, Outcome } from './console-topics.ts';
import { mergeFigures } from './merged-sources.ts';
import type { SupervisorChannel } from './messages.ts';
import { unpackError } from './packed-error.ts';

export function createGather(channel: SupervisorChannel, own: { sources(): ConsoleSources; nowMs(): number }): Gather {
  let lastId = 0;
  const nextId = (): number => ++lastId;
  return async (detail) => {
    const gathered = await channel.ask('gather', detail);
    const notices = gathered.silent.map((number) => `worker ${number} does not answer: the figures are without it`);
    const { explainRoute, restart, restarts, tryNode } = own.sources();
    return {
      ...mergeFigures(gathered, own.nowMs()),
      ...actionsOfAll(channel, nextId, notices),
      explainRoute,
      restart,
      restarts,
      tryNode,
      notices: () => notices,
    };
  };
}

/** @param notices added to when not every worker has done it */
function actionsOfAll(
  channel: SupervisorChannel,
  nextId: () => number,
  notices: string[],
): Omit<ConsoleActions, 'explainRoute' | 'restart' | 'restarts' | 'tryNode'> {
  const act = async (action: Action, signal?: AbortSignal): Promise<readonly Outcome[]> => {
    const id = nextId();
    const cancel = (): void => channel.tell('cancelAct', id);
    const reply = channel.ask('act', { id, action });
    if (signal?.aborted === true) cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      return outcomesOf(await reply, notices);
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  };
  const done = async (action: Action, signal?: AbortSignal): Promise<void> => void (await act(action, signal));
  return {
    pause: (database, signal) => done({ do: 'pause', database }, signal),
    suspend: (signal) => done({ do: 'suspend' }, signal),
    endSuspend: () => done({ do: 'endSuspend' }),
    waitClose: (database, signal) => done({ do: 'waitClose', database }, signal),
    resume: (database) => done({ do: 'resume', database }),
    reconnect: (database) => done({ do: 'reconnect', database }),
    killDatabase: (database) => done({ do: 'killDatabase', database }),
    disable: (database) => done({ do: 'disable', database }),
    enable: (database) => done({ do: 'enable', database }),
    invalidate: async (request) => mergeInvalidated(await act({ do: 'invalidate', request })),
    resetStatements: () => done({ do: 'resetStatements' }),
    killClient: async (id) => (await act({ do: 'killClient', id })).includes(true),
    setDraining: async (node, isDraining) => (await act({ do: 'setDraining', node, isDraining })).includes(true),
    resizePool: async (request) => mergeResizes(await act({ do: 'resizePool', request })),
    reload: () => channel.ask('change', { do: 'reload' }),
    changeNodes: (change) => channel.ask('change', change),
    async setSetting(key, value, also) {
      const others = also === undefined ? {} : { also };
      notices.push(...(await channel.ask('change', { do: 'set', key, value, ...others })));
    },
    shutdown(mode) {
      // The operator is answered before the connection is closed.
      setImmediate(() => channel.tell('shutdown', mode));
      return Promise.resolve();
    },
  };
}

/** @throws the first refusal, if no worker has done it */
function outcomesOf({ outcomes, refusals, gone, silent }: ActReply, notices: string[]): readonly Outcome[] {
  const [refusal] = refusals;
  if (outcomes.length === 0 && refusal !== undefined) throw unpackError(refusal.error);
  if (outcomes.length === 0) throw new WeirError('console_refused', { what: 'no worker has answered' });
  for (const { worker, error } of refusals) notices.push(`worker ${worker} has not done it: ${error.message}`);
  for (const number of gone) notices.push(`worker ${number} has ended meanwhile`);
  for (const number of silent) notices.push(`worker ${number} does not answer: it may not have done it`);
  return outcomes;
}

/** One row for a pool, whose limits are the same in each worker. One that exists says more than one to come. */
function mergeResizes(outcomes: readonly Outcome[]): readonly ResizeOutcome[] {
  const rows = new Map<string, ResizeOutcome>();
  const all = outcomes.flatMap((outcome): readonly ResizeOutcome[] => (Array.isArray(outcome) ? outcome : []));
  const opened = new Set(
    all.filter((row) => row.isToCome !== true).map(({ database, node }) => `${database}\0${node}`),
  );
  for (const row of all) {
    const { database, user, node, isToCome = false } = row;
    if (isToCome && opened.has(`${database}\0${node}`)) continue;
    const key = [database, user, node].join('\0');
    const found = rows.get(key);
    rows.set(key, found === undefined ? row : widest(found, row));
  }
  return [...rows.values()];
}

/** Each worker has answers of its own; the tags are the same in all, but not every worker knows each of them. */
function mergeInvalidated(outcomes: readonly Outcome[]): Invalidated {
  let [tags, entries] = [0, 0];
  for (const outcome of outcomes) {
    if (typeof outcome !== 'object' || !('tags' in outcome)) continue;
    tags = Math.max(tags, outcome.tags);
    entries += outcome.entries;
  }
  return { tags, entries };
}

function widest(a: ResizeOutcome, b: ResizeOutcome): ResizeOutcome {
  const { before, after, min, max } = b;
  return {
    ...a,
    before: Math.max(a.before, before),
    after: Math.max(a.after, after),
    min: Math.max(a.min, min),
    max: Math.max(a.max, max),
  };
}
