/**
 * The console's part of the supervisor: a worker that runs a command of an operator, or answers HTTP, reaches all workers
 * through it. Made by the supervisor, which tells it of each worker that is about to serve.
 */
import type { ShutdownMode } from '../console/sources.ts';
import type { Log } from '../observability/types.ts';
import type { ResizeRecord } from '../pool/types.ts';
import { ActionsOfAll, type ActionsState, type Running } from './actions-of-all.ts';
import type { ActReply, ActRequest, Change } from './console-topics.ts';
import { FiguresOfAll, type FiguresState } from './figures-of-all.ts';
import type { KnownWorker, Member } from './switchboard-types.ts';

export interface SwitchboardOptions {
  /** All workers that have been started and have not ended, for SHOW WORKERS. */
  workers(): Iterable<KnownWorker>;
  /** The whole Weir takes no new clients any more. */
  isDraining(): boolean;
  /** Ends the whole Weir. */
  shutdown(mode: ShutdownMode): void;
  /** All workers have applied a change of the configuration; the supervisor may want it, too. */
  changed?(change: Change): void;
  nowMs(): number;
  readonly log: Log;
  /** Of the supervisor whose place this one takes. */
  readonly state?: SwitchboardState | undefined;
  /** How long a worker may take to give its figures, and to carry out an action. */
  readonly figuresLimitMs?: number;
  readonly actionLimitMs?: number;
}

/** What the next supervisor has to know; can be sent to another process. */
export interface SwitchboardState {
  readonly actions: ActionsState;
  readonly figures: FiguresState;
}

const nothing: SwitchboardState = {
  actions: { holding: [], lastId: 0, sizesVersion: 0 },
  figures: { past: {}, starts: new Map(), resizes: {} },
};

const defaultFiguresLimitMs = 2_000;
const defaultActionLimitMs = 15_000;
/** What a worker has counted since it was last asked is lost when it is killed. */
const lookEveryMs = 10_000;

export class Switchboard {
  private readonly options: SwitchboardOptions;
  private readonly members = new Set<Member>();
  private readonly figures: FiguresOfAll;
  private readonly actions: ActionsOfAll;
  private timer: NodeJS.Timeout | undefined;

  constructor(options: SwitchboardOptions) {
    this.options = options;
    const { figuresLimitMs = defaultFiguresLimitMs, actionLimitMs = defaultActionLimitMs } = options;
    const { log, state = nothing } = options;
    this.figures = new FiguresOfAll(
      {
        members: () => this.members,
        workers: () => options.workers(),
        isDraining: () => options.isDraining(),
        nowMs: () => options.nowMs(),
        limitMs: figuresLimitMs,
      },
      state.figures,
    );
    this.actions = new ActionsOfAll(
      {
        members: () => this.members,
        nowMs: () => options.nowMs(),
        log,
        limitMs: actionLimitMs,
      },
      state.actions,
    );
  }

  start(): void {
    this.timer ??= setInterval(() => void this.look(), lookEveryMs).unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  /**
   * Called when the worker says that it could serve. Resolves when it has done what operators have set; only then may it be
   * given clients.
   */
  admit(worker: KnownWorker): Promise<void> {
    const member: Member = { worker, caughtUp: Promise.resolve() };
    member.caughtUp = this.actions.catchUp(member);
    this.members.add(member);
    this.figures.joined(member);
    this.listen(member);
    return member.caughtUp;
  }

  /** A worker that the supervisor before had admitted. */
  goOn(worker: KnownWorker): void {
    const member: Member = { worker, caughtUp: Promise.resolve() };
    this.members.add(member);
    this.figures.joined(member);
    this.listen(member);
  }

  /** Reads the configuration again in all workers, as after SIGHUP. Resolves to what could not be applied, in words. */
  reload(): Promise<readonly string[]> {
    return this.change({ do: 'reload' });
  }

  /** Call it before a worker is told to end, so that nothing of what it has counted is lost. */
  async look(): Promise<void> {
    await this.figures.gather('counts');
  }

  /** Grows with each action of operators that may change the sizes of pools; undefined while one is under way. */
  get sizesVersion(): number | undefined {
    return this.actions.sizesVersion;
  }

  /** The limit of a pool has changed. */
  resized(resize: ResizeRecord): void {
    this.figures.resized(resize);
  }

  state(): SwitchboardState {
    return { actions: this.actions.state(), figures: this.figures.state() };
  }

  private async change(change: Change): Promise<readonly string[]> {
    const notices = await this.actions.change(change);
    this.options.changed?.(change);
    return notices;
  }

  private listen(member: Member): void {
    const { channel } = member.worker;
    /** What its operators have under way, by the numbers that it has given. */
    const running = new Map<number, Running>();
    channel.on('gather', (detail) => this.figures.gather(detail));
    channel.on('act', (request) => this.act(request, running));
    channel.on('cancelAct', (id) => {
      const found = running.get(id);
      if (found !== undefined) this.actions.cancel(found);
      return undefined;
    });
    channel.on('change', (change) => this.change(change));
    channel.on('shutdown', (mode) => {
      this.options.shutdown(mode);
      return undefined;
    });
    channel.onClosed(() => {
      this.members.delete(member);
      this.figures.left(member);
      for (const each of running.values()) this.actions.cancel(each);
    });
  }

  private async act({ id, action }: ActRequest, ofWorker: Map<number, Running>): Promise<ActReply> {
    const running = this.actions.begin();
    ofWorker.set(id, running);
    try {
      return await this.actions.act(action, running);
    } finally {
      ofWorker.delete(id);
    }
  }
}
