/**
 * `weir successor`: the supervisor that takes the place of another one in a restart. Started by the process that was started as
 * `weir serve` (supervise.ts), with the same arguments and its own post; not for people.
 */
import { EventEmitter } from 'node:events';
import { beyondMachine, thisMachine } from '../config/capacity.ts';
import { diffConfig, withFixed } from '../config/change.ts';
import type { Config } from '../config/config.ts';
import type { Loaded } from '../config/load.ts';
import { formatHostPort } from '../config/values.ts';
import { createServiceManager, type ServiceManager } from '../systemd/notify.ts';
import { ChildOfParent } from '../workers/child-of-parent.ts';
import type { EndMode } from '../workers/messages.ts';
import type { SuccessorPost } from '../workers/supervisor-ports.ts';
import { Successor } from '../workers/successor.ts';
import { Supervisor } from '../workers/supervisor.ts';
import { CommandError, exitCodes, UsageError, type CliIo, type ExitCode } from './io.ts';
import { loadAll, serveOptions, sourceOf, tellEnding, untilOver } from './serve.ts';
import { servingSignals } from './signals.ts';
import { commonOf, served, type Common } from './supervise.ts';
import type { ServedApp } from './served-app.ts';
import type { Arguments, Verb } from './arguments.ts';

/** As if it had got that signal. */
const signalOf: Readonly<Record<EndMode, NodeJS.Signals>> = {
  now: 'SIGQUIT',
  'wait-for-servers': 'SIGINT',
  'wait-for-clients': 'SIGUSR1',
};

function postOf(args: Arguments): SuccessorPost {
  const [post] = args.positionals;
  if (post === undefined || process.send === undefined) throw new UsageError('a restart starts it itself');
  return JSON.parse(post) as SuccessorPost;
}

/** Signals, as the parent passes them on, and errors of this process. */
function eventsOf(parent: ChildOfParent): NodeJS.EventEmitter {
  const events = new EventEmitter();
  parent.onSignal((signal) => events.emit(signal, signal));
  // A Ctrl-C in a terminal, and systemd, reach all processes: what the parent passes on counts.
  for (const signal of servingSignals) process.on(signal, () => undefined);
  for (const event of ['uncaughtException', 'unhandledRejection'])
    process.on(event, (error) => events.emit(event, error));
  return events;
}

interface Waiting {
  readonly config: Config;
  readonly post: SuccessorPost;
  readonly parent: ChildOfParent;
  readonly events: NodeJS.EventEmitter;
  readonly common: Common;
  onEnding(mode: EndMode): void;
  /** Changed settings that stay as they are until Weir is started anew. */
  readonly kept: readonly string[];
}

/** When another supervisor has taken over, connections may still be on their way there. */
function endingLate(app: ServedApp, parent: ChildOfParent): ServedApp {
  return {
    ...app,
    async afterSuccession(events) {
      await parent.written();
      return (await app.afterSuccession?.(events)) ?? exitCodes.done;
    },
  };
}

/** Resolves when this process works; undefined: it is not needed, or the one before is gone. */
function untilTakenOver({
  config,
  post,
  parent,
  events,
  common,
  onEnding,
  kept,
}: Waiting): Promise<ServedApp | undefined> {
  return new Promise((resolve) => {
    let supervisor: Supervisor | undefined;
    const successor = new Successor({
      predecessor: parent.predecessor,
      fork: common.options.fork,
      async takeOver(state, workers) {
        const { listeners } = post;
        const next = new Supervisor({
          ...common.options,
          workers: config.workers,
          passedFds: [],
          parent,
          before: { state, listeners },
        });
        try {
          await next.goOn(workers);
        } catch (error) {
          next.leave();
          throw error;
        }
        supervisor = next;
      },
      accepted: (entry, socket, ahead) => supervisor?.accepted(entry, socket, ahead),
      moved: (socket, moved) => supervisor?.passOn(socket, moved),
      shutDown: (mode) => void setImmediate(() => events.emit(signalOf[mode], signalOf[mode])),
      tookOver() {
        if (supervisor === undefined) return;
        resolve(endingLate(served(supervisor, config, { onEnding }, common), parent));
      },
      end: () => resolve(undefined),
      unexpected: common.noteUnexpected,
    });
    parent.onOrphaned(() => {
      if (supervisor === undefined) resolve(undefined);
      else events.emit('SIGQUIT', 'the parent process is gone');
    });
    successor.start(kept);
  });
}

async function succeed(args: Arguments, io: CliIo, serveArguments: readonly string[]): Promise<ExitCode> {
  const post = postOf(args);
  const source = sourceOf({ ...args, positionals: args.positionals.slice(1) }, io.env);
  const reloadConfig = (): Loaded => loadAll(source);
  const { result } = reloadConfig();
  if ('problems' in result) throw new CommandError(result.problems);
  for (const warning of result.warnings) io.err(`warning: ${warning}\n`);
  const config = withFixed(result.config, post.fixed);
  const { notReloadable: kept } = diffConfig(config, result.config);
  if (kept.length > 0) io.err(`weir: restart: needs a new start of Weir: ${kept.join(', ')}\n`);
  const tooMuch = beyondMachine(config, thisMachine());
  if (tooMuch.length > 0) throw new CommandError(tooMuch);
  const parent = new ChildOfParent(process);
  const events = eventsOf(parent);
  const common = commonOf(config, serveArguments);
  events.on('uncaughtException', common.noteUnexpected);
  events.on('unhandledRejection', common.noteUnexpected);
  const manager: { told: ServiceManager | undefined } = { told: undefined };
  const onEnding = (mode: EndMode): void => {
    if (manager.told !== undefined) tellEnding(mode, manager.told);
  };
  const app = await untilTakenOver({ config, post, parent, events, common, onEnding, kept });
  if (app === undefined) return exitCodes.done;
  events.removeAllListeners('uncaughtException').removeAllListeners('unhandledRejection');
  const systemd = createServiceManager(io.env, (text) => io.err(`weir: ${text}\n`));
  manager.told = systemd;
  systemd.tookOver(`listening on ${formatHostPort(app.listenAddress())}; the supervisor is a new one`);
  return untilOver({ app, reloadConfig, io, events: events as NodeJS.Process, systemd });
}

/** @param serveArguments those of `weir serve`, which each worker gets, too */
export function successorVerb(serveArguments: readonly string[]): Verb {
  return {
    synopsis: '',
    about: 'The next supervisor of `weir serve`, which a restart starts.',
    options: serveOptions,
    run: (args, io) => succeed(args, io, serveArguments),
  };
}
