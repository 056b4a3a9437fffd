/**
 * `weir worker`: one of several processes that serve clients. Started by a supervisor (supervise.ts) with the arguments of
 * `weir serve` and its own post; not for people.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { giveAllAway, type Way } from '../app/emptying.ts';
import type { HandOvers } from '../app/hand-overs.ts';
import { part } from '../app/parting.ts';
import { withFixed } from '../config/change.ts';
import type { Loaded } from '../config/load.ts';
import { createLogger } from '../observability/logger.ts';
import { WorkerLink, type WorkerPost } from '../workers/worker-link.ts';
import { keepWorkerSmall } from './heap-flags.ts';
import { CommandError, exitCodes, UsageError, type CliIo, type ExitCode } from './io.ts';
import { loadAll, serveOptions, sourceOf } from './serve.ts';
import type { CreateServedApp, ServedApp } from './served-app.ts';
import type { Arguments, Verb } from './arguments.ts';

/**
 * Drivers answer within a round trip. Longer silence is that of a client that may never log in: the other workers are replaced
 * meanwhile, and it has until the end of that.
 */
const silentLoginMs = 2_000;

/** Of a worker whose supervisor is gone. */
const orphanedExitMs = 1_000;
const lookEveryMs = 10;

function postOf(args: Arguments): WorkerPost {
  const [post] = args.positionals;
  if (post === undefined || process.send === undefined) throw new UsageError('weir serve starts its workers itself');
  return JSON.parse(post) as WorkerPost;
}

/** What the worker does with its clients when it is replaced, and with those of others. */
function passClientsOn(link: WorkerLink, handOvers: HandOvers, unexpected: (error: unknown) => void): void {
  const way: Way = {
    give: (socket, packed) => link.give(socket, packed),
    giveFresh: (layer, socket, unread) => link.giveBack(layer, socket, unread),
    written: () => link.written(),
    unexpected,
  };
  link.onMoved((socket, packed) => void handOvers.receive(packed, socket).catch(unexpected));
  link.onEmpty(async (withinMs) => {
    const left = await giveAllAway(handOvers, way, { withinMs, loginsMs: silentLoginMs });
    return { ...left, stay: [...handOvers.staying()].length + [...handOvers.consoles()].length };
  });
  const parting = {
    staying: () => handOvers.staying(),
    keeping: () => handOvers.keeping(),
    consoles: () => handOvers.consoles(),
    random: Math.random,
  };
  link.onPart(async ({ overMs, graceMs }) => {
    // Those who were late may have come to rest; those who log in now, too.
    const patience = { withinMs: overMs + graceMs, loginsMs: overMs };
    const [ended] = await Promise.all([part(parting, overMs, graceMs), giveAllAway(handOvers, way, patience)]);
    // Those who are still here end with the worker.
    return ended + handOvers.clients().length + handOvers.arriving - handOvers.waitingForClient;
  });
}

/** The first read of a client finds a replica, or the servers have had their time to answer. */
async function settled({ isSettled }: ServedApp, isEnding: () => boolean): Promise<void> {
  while (isSettled?.() === false && !isEnding()) await sleep(lookEveryMs);
}

async function work(args: Arguments, io: CliIo, loadApp: () => Promise<CreateServedApp>): Promise<ExitCode> {
  keepWorkerSmall();
  const post = postOf(args);
  const source = sourceOf({ ...args, positionals: args.positionals.slice(1) }, io.env);
  const reloadConfig = (): Loaded => loadAll(source);
  const { result, users } = reloadConfig();
  if ('problems' in result) throw new CommandError(result.problems);
  const config = withFixed(result.config, post.fixed);
  const bugs: { report: ((error: unknown) => void) | undefined } = { report: undefined };
  const unexpected = (error: unknown): void => {
    if (bugs.report === undefined) io.err(`unexpected error: ${String(error)}\n`);
    else bugs.report(error);
  };
  process.on('uncaughtException', unexpected);
  process.on('unhandledRejection', unexpected);
  // The supervisor decides: a Ctrl-C in a terminal reaches all processes.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
  const link = new WorkerLink(post, process, unexpected);
  const createApp = await loadApp();
  const logger = createLogger({ ...config.log, fields: { worker: post.number } });
  const served = await createApp(config, { users, reloadConfig, surroundings: { worker: link }, logger });
  bugs.report = served.noteUnexpected;
  await served.start();
  if (served.handOvers !== undefined) passClientsOn(link, served.handOvers, unexpected);
  let isEnding = false;
  const ended = new Promise<ExitCode>((resolve) => {
    link.onEnd(async (mode) => {
      isEnding = true;
      await (mode === 'now' ? served.stop() : served.drain(mode));
      resolve(exitCodes.done);
    });
    process.on(
      'SIGTERM',
      () => void served.drain(served.sigtermMode?.()).then(() => resolve(exitCodes.done), unexpected),
    );
    link.onOrphaned(() => {
      if (!isEnding)
        logger.log('error', 'supervisor_gone', 'the supervisor has ended without a word: so does this worker');
      setTimeout(() => resolve(exitCodes.refused), orphanedExitMs);
      void served.stop().then(() => resolve(exitCodes.refused), unexpected);
    });
  });
  void settled(served, () => isEnding).then(() => link.ready());
  return ended;
}

export function workerVerb(loadApp: () => Promise<CreateServedApp>): Verb {
  return {
    synopsis: '',
    about: 'One of the processes of `weir serve`, which starts them.',
    options: serveOptions,
    run: (args, io) => work(args, io, loadApp),
  };
}
