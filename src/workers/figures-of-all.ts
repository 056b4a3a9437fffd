/**
 * Asks all workers for their figures, and keeps what those have counted that are gone. Part of the supervisor; made by
 * switchboard.ts. Does not merge: the worker that wants to know does.
 */
import { resizeKey } from '../pool/resize-words.ts';
import type { ResizeRecord } from '../pool/types.ts';
import { answerOf } from './ask.ts';
import type { AskedFigures, Figures } from './figures.ts';
import { HistoryOfAll, type HistoryState } from './history-of-all.ts';
import type { Gathered, WorkerInfo } from './merged-sources.ts';
import { countedIn, joinPast, vanished, withoutForgotten, type PastFigures } from './past.ts';
import type { KnownWorker, Member } from './switchboard-types.ts';

export interface FiguresOptions {
  members(): Iterable<Member>;
  /** Those too that have not started yet. */
  workers(): Iterable<KnownWorker>;
  isDraining(): boolean;
  nowMs(): number;
  /** How long a worker may take to answer. */
  readonly limitMs: number;
}

interface Starts {
  readonly pid: number;
  /** It was there still when the next one came. */
  readonly restarts: number;
  readonly deaths: number;
}

const none = { restarts: 0, deaths: 0 };

export interface FiguresState {
  readonly past: PastFigures;
  /** By the number of a worker: its present process, and how many it has had before. */
  readonly starts: ReadonlyMap<number, Starts>;
  /** Changes of the sizes of pools, by resizeKey(). */
  readonly resizes: Readonly<Record<string, number>>;
  /** A supervisor of an older version has none. */
  readonly history?: HistoryState | undefined;
}

export class FiguresOfAll {
  private readonly options: FiguresOptions;
  private past: PastFigures;
  /** What each worker had counted when it was last asked. */
  private readonly last = new Map<Member, PastFigures>();
  private readonly starts: Map<number, Starts>;
  private readonly resizes: Record<string, number>;
  private readonly history: HistoryOfAll;

  /** @param state of the supervisor before */
  constructor(options: FiguresOptions, { past, starts, resizes, history }: FiguresState) {
    this.options = options;
    this.past = past;
    this.starts = new Map(starts);
    this.resizes = { ...resizes };
    this.history = new HistoryOfAll(Date.now, history);
  }

  /** For the next supervisor, which asks the same workers. */
  state(): FiguresState {
    return { past: this.past, starts: this.starts, resizes: this.resizes, history: this.history.state() };
  }

  /** Each worker has made the change: it counts once. */
  resized(resize: ResizeRecord): void {
    const key = resizeKey(resize);
    this.resizes[key] = (this.resizes[key] ?? 0) + 1;
  }

  joined(member: Member): void {
    const { number, pid } = member.worker;
    const before = this.starts.get(number);
    if (before?.pid === pid) return;
    const { restarts, deaths } = before ?? none;
    if (before === undefined) this.starts.set(number, { pid, restarts, deaths });
    else if (this.isReplacing(member)) this.starts.set(number, { pid, restarts: restarts + 1, deaths });
    else this.starts.set(number, { pid, restarts, deaths: deaths + 1 });
  }

  /** The one whose place it takes is there still. */
  private isReplacing(member: Member): boolean {
    for (const other of this.options.members())
      if (other !== member && other.worker.number === member.worker.number) return true;
    return false;
  }

  left(member: Member): void {
    const counted = this.last.get(member);
    this.last.delete(member);
    this.history.left(member.worker.pid);
    if (counted !== undefined) this.past = joinPast(this.past, counted);
  }

  async gather(detail: AskedFigures): Promise<Gathered> {
    const { limitMs } = this.options;
    const asked = await Promise.all(
      Array.from(this.options.members(), async (member) => {
        const answer = await answerOf(member.worker.channel.ask('figures', detail), limitMs);
        if (answer.kind === 'answer') this.note(member, answer.value);
        return { member, answer };
      }),
    );
    const figures = new Map<KnownWorker, Figures>();
    const silent: Member[] = [];
    for (const { member, answer } of asked) {
      if (answer.kind === 'answer') figures.set(member.worker, answer.value);
      else if (answer.kind !== 'gone') silent.push(member);
    }
    if (silent.length === 0) this.past = withoutForgotten(this.past, [...figures.values()]);
    const workers = [...this.options.workers()].filter(({ state }) => state !== 'gone');
    const rows = workers.map((worker) => ({ info: this.infoOf(worker), figures: figures.get(worker) }));
    for (const info of this.gone(workers)) rows.push({ info, figures: undefined });
    // One that was started later may have a lower number.
    rows.sort((a, b) => a.info.number - b.info.number);
    return {
      workers: rows,
      past: silent.reduce((past, member) => joinPast(past, this.last.get(member) ?? {}), this.past),
      silent: silent.map(({ worker }) => worker.number),
      isDraining: this.options.isDraining(),
      resizes: this.resizes,
      slots: this.history.asked(detail),
    };
  }

  /** Those that have ended while nobody has taken their place. */
  private *gone(workers: readonly KnownWorker[]): Generator<WorkerInfo> {
    for (const [number, starts] of this.starts) {
      if (workers.some((worker) => worker.number === number)) continue;
      yield { number, ...starts, state: 'gone', startedAtMs: undefined };
    }
  }

  private note(member: Member, figures: Figures): void {
    // It may have left between its answer and now; then what it has counted is in `past` already, as of before.
    if (member.worker.channel.isClosed) return;
    const before = this.last.get(member);
    if (before !== undefined) this.past = joinPast(this.past, vanished(before, figures));
    this.last.set(member, countedIn(figures));
    this.history.note(member.worker.pid, figures.slots ?? []);
  }

  private infoOf({ number, pid, state, startedAtMs }: KnownWorker): WorkerInfo {
    const { restarts, deaths } = this.starts.get(number) ?? none;
    return {
      number,
      pid,
      state,
      startedAtMs: Date.now() - this.options.nowMs() + startedAtMs,
      restarts,
      deaths,
    };
  }
}
