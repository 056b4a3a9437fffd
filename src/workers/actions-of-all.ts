/**
 * Has all workers carry out what operators want: actions at once, changes of the configuration in two steps, so that a change
 * that one worker refuses is made by none. Part of the supervisor; made by switchboard.ts.
 */
import { WeirError } from '../errors/errors.ts';
import type { Log } from '../observability/types.ts';
import { answerOf, type Answer } from './ask.ts';
import type { Action, ActReply, Applied, Change, Outcome } from './console-topics.ts';
import { OperatorLog } from './operator-log.ts';
import { packError } from './packed-error.ts';
import type { Member } from './switchboard-types.ts';

export interface ActionsOptions {
  members(): Iterable<Member>;
  nowMs(): number;
  readonly log: Log;
  /** How long a worker may take, but for PAUSE, SUSPEND and WAIT_CLOSE, which the operator can cancel. */
  readonly limitMs: number;
}

/** Survives a structured clone. */
export interface ActionsState {
  /** What operators have set and what still holds. */
  readonly holding: readonly (Action | Change)[];
  /** The last number of an action: workers may have it under way. */
  readonly lastId: number;
  readonly sizesVersion: number;
}

/** An action that is under way. */
export interface Running {
  readonly id: number;
  readonly members: readonly Member[];
  isCanceled: boolean;
}

const waits = (action: Action): boolean =>
  action.do === 'pause' || action.do === 'suspend' || action.do === 'waitClose';

export class ActionsOfAll {
  private readonly options: ActionsOptions;
  private readonly operators: OperatorLog;
  private lastId: number;
  private readonly sizing: { version: number; underWay: number };
  /** Changes of the configuration are made one after the other. */
  private changing: Promise<unknown> = Promise.resolve();

  /** @param state of the supervisor before */
  constructor(options: ActionsOptions, { holding, lastId, sizesVersion }: ActionsState) {
    this.options = options;
    this.operators = new OperatorLog(holding);
    this.lastId = lastId;
    this.sizing = { version: sizesVersion, underWay: 0 };
  }

  /** For the next supervisor. Call it while no change is under way. */
  state(): ActionsState {
    return { holding: this.operators.state(), lastId: this.lastId, sizesVersion: this.sizing.version };
  }

  /** Grows with each action that may change the sizes of pools; undefined while one is under way. */
  get sizesVersion(): number | undefined {
    return this.sizing.underWay > 0 ? undefined : this.sizing.version;
  }

  private async whileSizing<T>(run: () => Promise<T>): Promise<T> {
    const { sizing } = this;
    sizing.version++;
    sizing.underWay++;
    try {
      return await run();
    } finally {
      sizing.underWay--;
    }
  }

  begin(): Running {
    return { id: ++this.lastId, members: [...this.options.members()], isCanceled: false };
  }

  cancel(running: Running): void {
    running.isCanceled = true;
    for (const { worker } of running.members) worker.channel.tell('cancelAct', running.id);
  }

  act(action: Action, running: Running): Promise<ActReply> {
    const act = (): Promise<ActReply> => this.actNow(action, running);
    return action.do === 'resizePool' ? this.whileSizing(act) : act();
  }

  private async actNow(action: Action, running: Running): Promise<ActReply> {
    // Before any worker has answered: PAUSE may wait for long, and a worker that starts meanwhile must pause too.
    const order = this.operators.add(action, this.options.nowMs());
    const { members } = running;
    const answers = await Promise.all(members.map((member) => this.ask(member, action, running)));
    const isRefused = (answer: Answer<Outcome>): boolean =>
      answer.kind === 'refused' || (answer.kind === 'answer' && answer.value === false);
    if (!running.isCanceled && answers.every(isRefused)) this.operators.drop(order);
    return replyOf(members, answers);
  }

  private async ask(member: Member, action: Action, running: Running): Promise<Answer<Outcome>> {
    await member.caughtUp;
    const { channel } = member.worker;
    const question = channel.ask('act', { id: running.id, action });
    if (running.isCanceled) channel.tell('cancelAct', running.id);
    return answerOf(question, waits(action) ? undefined : this.options.limitMs);
  }

  /** Has a worker that has just started do what operators have set. */
  async catchUp({ worker }: Member, what = this.operators.for(worker.startedAtMs)): Promise<void> {
    const { log, limitMs } = this.options;
    for (const each of what) {
      const done = isChange(each)
        ? worker.channel.ask('prepare', again(each)).then(() => worker.channel.ask('apply', undefined))
        : worker.channel.ask('act', { id: ++this.lastId, action: each });
      const answer = await answerOf<unknown>(done, limitMs);
      if (answer.kind === 'gone') return;
      if (answer.kind === 'answer') continue;
      const why = answer.kind === 'refused' ? answer.error.message : 'it does not answer';
      const message = `worker ${worker.number} could not do what operators had set before it started: ${why}`;
      log('warn', 'worker_catch_up', message, { worker: worker.number, action: each.do });
    }
  }

  /** Rejects with a WeirError when a worker refuses; nothing has changed in any then. */
  change(change: Change): Promise<readonly string[]> {
    const done = this.changing.then(() => this.whileSizing(() => this.changeNow(change)));
    this.changing = done.catch(() => undefined);
    return done;
  }

  private async changeNow(change: Change): Promise<readonly string[]> {
    const { limitMs } = this.options;
    const asked = [...this.options.members()];
    await Promise.all(asked.map(({ caughtUp }) => caughtUp));
    const checked = await Promise.all(
      asked.map(async (member) => ({
        member,
        answer: await answerOf(member.worker.channel.ask('prepare', change), limitMs),
      })),
    );
    const why = whyNot(checked);
    if (why !== undefined) {
      for (const { worker } of asked) worker.channel.tell('discard', undefined);
      throw why;
    }
    return this.apply(change, asked);
  }

  private async apply(change: Change, members: readonly Member[]): Promise<readonly string[]> {
    const { limitMs, nowMs } = this.options;
    const order = this.operators.add(change, nowMs());
    const late = [...this.options.members()].filter((member) => !members.includes(member));
    for (const member of late) member.caughtUp = member.caughtUp.then(() => this.catchUp(member, [change]));
    const answers = await Promise.all(
      members.map(({ worker }) => answerOf<Applied>(worker.channel.ask('apply', undefined), limitMs)),
    );
    const notices = new Set<string>();
    answers.forEach((answer, index) => {
      const number = members[index]?.worker.number ?? 0;
      if (answer.kind === 'answer') {
        this.operators.dropResizes(answer.value.resized, order);
        for (const notice of answer.value.notices) notices.add(notice);
      } else if (answer.kind === 'refused') notices.add(`worker ${number}: ${answer.error.message}`);
      else if (answer.kind === 'silent') notices.add(`worker ${number} does not answer`);
    });
    await this.drainAgain();
    return [...notices];
  }

  /** A change of nodes makes them anew, without what DRAIN had set. */
  private async drainAgain(): Promise<void> {
    for (const drain of this.operators.drains()) {
      const running = this.begin();
      await Promise.all(running.members.map((member) => this.ask(member, drain, running)));
    }
  }
}

const isChange = (what: Action | Change): what is Change =>
  what.do === 'set' || what.do === 'reload' || what.do === 'addNode' || what.do === 'removeNode';

const again = (change: Change): Change =>
  change.do === 'addNode' || change.do === 'removeNode' ? { ...change, isAgain: true } : change;

function replyOf(members: readonly Member[], answers: readonly Answer<Outcome>[]): ActReply {
  const outcomes: Outcome[] = [];
  const refusals: ActReply['refusals'][number][] = [];
  const gone: number[] = [];
  const silent: number[] = [];
  answers.forEach((answer, index) => {
    const worker = members[index]?.worker.number ?? 0;
    if (answer.kind === 'answer') outcomes.push(answer.value);
    else if (answer.kind === 'refused') refusals.push({ worker, error: packError(answer.error) });
    else (answer.kind === 'gone' ? gone : silent).push(worker);
  });
  return { outcomes, refusals, gone, silent };
}

/** Why a change cannot be made; undefined: every worker that lives has checked it, and would apply the same. */
function whyNot(checked: readonly { readonly member: Member; readonly answer: Answer<string> }[]): Error | undefined {
  const refused = (what: string): WeirError => new WeirError('console_refused', { what });
  const living = checked.filter(({ answer }) => answer.kind !== 'gone');
  const digests = new Set<string>();
  const isRefusedByAll = living.every(({ answer }) => answer.kind === 'refused');
  for (const { member, answer } of living) {
    const { number } = member.worker;
    if (answer.kind === 'silent') return refused(`nothing was changed: worker ${number} does not answer`);
    if (answer.kind === 'refused') {
      return isRefusedByAll
        ? answer.error
        : refused(`nothing was changed in any worker: worker ${number} refuses: ${answer.error.message}`);
    }
    if (answer.kind === 'answer') digests.add(answer.value);
  }
  if (digests.size > 1) return refused('nothing was changed: the configuration changed while it was read; try again');
  return undefined;
}
