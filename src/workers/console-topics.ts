/**
 * What supervisor and workers say to each other about figures, and about the actions of operators. Said by
 * all-workers.ts, switchboard.ts and worker-answers.ts. Types only.
 */
import type { NodeChange } from '../config/node-changes.ts';
import type {
  InvalidateRequest,
  OtherSettings,
  ResizeOutcome,
  ResizeRequest,
  ShutdownMode,
} from '../console/sources.ts';
import type { Invalidated } from '../cache/types.ts';
import type { FiguresDetail } from '../observability/types.ts';
import type { AskedFigures, Figures } from './figures.ts';
import type { Gathered } from './merged-sources.ts';
import type { PackedError } from './packed-error.ts';

/** An action that every worker carries out, by the name of its method in ConsoleActions. */
export type Action =
  | {
      readonly do: 'pause' | 'resume' | 'reconnect' | 'waitClose' | 'killDatabase';
      readonly database: string | undefined;
    }
  | { readonly do: 'suspend' | 'endSuspend' }
  | { readonly do: 'disable' | 'enable'; readonly database: string }
  | { readonly do: 'killClient'; readonly id: number }
  | { readonly do: 'setDraining'; readonly node: string; readonly isDraining: boolean }
  | { readonly do: 'resizePool'; readonly request: ResizeRequest }
  | { readonly do: 'invalidate'; readonly request: InvalidateRequest }
  | { readonly do: 'resetStatements' };

export type Outcome = undefined | boolean | readonly ResizeOutcome[] | Invalidated;

/** A change of the configuration: every worker checks it before any applies it. */
export type Change =
  | { readonly do: 'reload' }
  | { readonly do: 'set'; readonly key: string; readonly value: string; readonly also?: OtherSettings }
  /** isAgain: an operator has made it before the worker was started. */
  | (NodeChange & { readonly isAgain?: boolean });

export interface ActRequest {
  /** For cancelAct. */
  readonly id: number;
  readonly action: Action;
}

/** What became of an action in each worker. */
export interface ActReply {
  readonly outcomes: readonly Outcome[];
  readonly refusals: readonly { readonly worker: number; readonly error: PackedError }[];
  /** Numbers of the workers that have ended meanwhile, and of those that did not answer in time. */
  readonly gone: readonly number[];
  readonly silent: readonly number[];
}

export interface Applied {
  /** What could not be applied, in words. */
  readonly notices: readonly string[];
  /** Databases whose pool sizes the change has set: what RESIZE POOL had set there is void. */
  readonly resized: readonly string[];
}

export interface ConsoleTopicsOfWorker {
  /** The figures of all workers. */
  readonly gather: { readonly body: FiguresDetail; readonly reply: Gathered };
  /** Have all workers do this. */
  readonly act: { readonly body: ActRequest; readonly reply: ActReply };
  /** The operator has cancelled the action, or is gone: stop waiting. */
  readonly cancelAct: { readonly body: number; readonly reply: undefined };
  /** Change the configuration of all workers. Answered with what could not be applied. */
  readonly change: { readonly body: Change; readonly reply: readonly string[] };
  /** End the whole Weir. */
  readonly shutdown: { readonly body: ShutdownMode; readonly reply: undefined };
}

export interface ConsoleTopicsOfSupervisor {
  readonly figures: { readonly body: AskedFigures; readonly reply: Figures };
  readonly act: { readonly body: ActRequest; readonly reply: Outcome };
  readonly cancelAct: { readonly body: number; readonly reply: undefined };
  /** Check a change, and keep it ready. Answered with a digest of what would be applied. */
  readonly prepare: { readonly body: Change; readonly reply: string };
  /** Apply the change that was prepared. */
  readonly apply: { readonly body: undefined; readonly reply: Applied };
  /** Another worker refuses it: forget it. */
  readonly discard: { readonly body: undefined; readonly reply: undefined };
}
