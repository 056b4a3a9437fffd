/**
 * One unit of work: a Query, a FunctionCall, or a batch of the extended protocol up to its Sync. What is known of it
 * before it is sent (plans, where it may go) and what has to be settled when its ReadyForQuery comes.
 */
import type { Capture } from '../cache/capture.ts';
import type { Flight, WriteGuard } from '../cache/types.ts';
import type { Plan } from '../binding/plan.ts';
import type { Route } from '../routing/types.ts';
import type { Classified, Hints } from '../sql/facts.ts';
import type { NodeLoad, NodeState } from '../topology/types.ts';
import { isOnServer, type RequestState } from './request-state.ts';
import type { Borrowed, Statement } from './statements.ts';

/** A message of the client, kept as the span in which it arrived. */
export interface Message {
  readonly type: number;
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

/** Is it only the first piece of a message that is too large to wait for? */
export function isPiece({ buffer, start, end }: Message): boolean {
  return buffer.readInt32BE(start + 1) + 1 > end - start;
}

/** What belongs to one attempt to have it answered by a server; each new attempt begins with a new one. */
export class Attempt {
  sentAtMs = 0;
  /** Answers held back until it is clear that it need not run again. */
  held: Buffer[] | undefined;
  hasError = false;
  guard: WriteGuard | undefined;
  /** WriteSet.extent when it was made. */
  guardedWrites = 0;
  /** Something was committed in it, or with it. */
  hasCommitted = false;
  /** The first of its plans that is behind the last end of a transaction in it. */
  openFrom = 0;
  /** It has executed a plan once more: where that stands among the others says nothing. */
  hasRepeated = false;
  /** Statements of a Query that have completed. */
  statementIndex = 0;
  /** Named statements that its Parse messages have entered, in case it has to run again. */
  entered: (readonly [name: string, statement: Statement])[] | undefined;
  /** Statements that its Bind or Describe was the first to use since the client was given them (prepared/borrowed.ts), by name. */
  borrowed: Map<string, Borrowed> | undefined;
  /** Statements that it uses and that its server had to be given first. */
  prepared: Set<Statement> | undefined;
  /** It terminates its own server (own-pid.ts): that loses the client its connection, as without Weir. */
  endsSession = false;
  /** Neither Weir's parser nor the server's understood it: a typing error, not a new kind of CALL that may have committed. */
  isUnparsable = false;

  noteEntered(name: string, statement: Statement): void {
    (this.entered ??= []).push([name, statement]);
  }

  notePrepared(statement: Statement): void {
    (this.prepared ??= new Set()).add(statement);
  }
}

export class Unit {
  /** Changed by Session.move alone. */
  state: RequestState = 'gathering';
  attempt = new Attempt();
  /** Its messages as long as they may have to be sent (again); undefined once that is out of the question. */
  messages: Message[] | undefined = [];
  bytes = 0;
  /** Plans of everything that it executes (Query, or Bind), in order. */
  readonly plans: Plan[] = [];
  /** Places in `plans`, once they are too many to look through. */
  private places: Map<Plan, number[]> | undefined;
  /** Any of its plans begins a transaction. */
  begins = false;
  hints: Hints | undefined;
  /** All of it provably reads. */
  isRead = true;
  /** The first reason why not, or "read". */
  why = 'read';
  /** Its Sync (or Query, FunctionCall) has come. */
  isComplete = false;
  /** Some message of it is passed on in pieces: it cannot be sent twice, and nobody has seen all of it. */
  isStreamed = false;
  isSimple = false;
  /** Every statement in it is one that Weir answers itself (weir.* settings). */
  locals = 0;
  /** Statements that its own Parse messages make, by the client's name. */
  parsed: Map<string, Classified> | undefined;
  /** The last statement that it uses and does not parse itself. */
  uses: Statement | undefined;
  /** Its messages, a letter each, for the cache's key. Grows with each message: ask the flags below whether a letter is in it. */
  shape = '';
  /** It has Query, FunctionCall or Execute, and not only what prepares or describes. */
  executes = false;
  /** It has Bind. */
  binds = false;
  /** It has Bind of the unnamed portal. */
  bindsUnnamed = false;
  /** Any of its plans, see there. */
  mayCopyIn = false;
  /** When the client's request was there, ms. */
  receivedAtMs = 0;
  route: Route | undefined;
  node: NodeState | undefined;
  attempts = 0;
  /** Why it runs once more, in words. */
  retryWhy = '';
  /** It is for the primary, whatever it looks like: a replica refused or cancelled it (run-again.ts), or it left one (begin-on-primary.ts). */
  isRefused = false;
  /** Node that failed it: not asked again. */
  avoid = '';
  /** A read short enough to share a server with others' (request/lane.ts). */
  isShort = false;
  /** See load.ts, which alone changes these three. */
  keptBytes = 0;
  outstandingOn: NodeLoad | undefined;
  fallback: NodeLoad | undefined;
  flight: Flight | undefined;
  capture: Capture | undefined;
  cacheLabel: 'hit' | 'miss' | 'off' = 'off';
  /** Why the cache did not answer, for last_route. */
  cacheWhy = '';
  /** It has Parse or Close of a statement. */
  makesNames = false;
  /** It uses a statement that it does not parse itself, and of which more is known once the requests before are answered. */
  needsNames = false;
  /** Any of its plans, see there. */
  mayCommit = false;
  mayAdvanceSequences = false;
  asksSequences = false;
  asksByName = false;
  namesPid = false;
  /** Any of its plans, see there. */
  changesReading = false;
  /** It asks for custom settings (custom-settings.ts). */
  asksCustom = false;

  /** Is it on a server, which owes an answer to it? */
  get isOnServer(): boolean {
    return isOnServer(this.state);
  }

  /** All that there is of it was handed to its server. */
  sent(): void {
    if (this.attempt.held === undefined) this.messages = undefined;
  }

  addPlan(plan: Plan): void {
    // A batch without end that runs the same statements is no reason to remember them without end.
    if (this.isOnServer && this.hasPlan(plan)) {
      this.attempt.hasRepeated = true;
      return;
    }
    // What is behind a ROLLBACK is committed with the end of the unit.
    if (plan.mayCommit || this.plans.at(-1)?.transaction === 'rollback') this.mayCommit = true;
    if (this.places !== undefined) notePlace(this.places, plan, this.plans.length);
    this.plans.push(plan);
    if (plan.begins) this.begins = true;
    if (plan.mayCopyIn) this.mayCopyIn = true;
    if (plan.namesPid) this.namesPid = true;
    if (plan.mayAdvanceSequences) this.mayAdvanceSequences = true;
    if (plan.asksSequences) this.asksSequences = true;
    if (plan.changesReading) this.changesReading = true;
    if (plan.asksByName) this.asksByName = true;
    if (plan.customSettings !== undefined && plan.customSettings.asks.length > 0) this.asksCustom = true;
    if (!plan.isRead && !plan.beginsReadOnly) this.noRead(plan.why);
  }

  /** It is no read, whatever else it is; the first reason stays. */
  noRead(why: string): void {
    if (!this.isRead) return;
    this.isRead = false;
    this.why = why;
  }

  hasPlan(plan: Plan): boolean {
    return this.placeOf(plan, 0) !== -1;
  }

  /** The first place of the plan that is not before `from`; -1: there is none. */
  placeOf(plan: Plan, from: number): number {
    if (this.plans.length <= manyPlans) return this.plans.indexOf(plan, from);
    this.places ??= placesOf(this.plans);
    const places = this.places.get(plan);
    if (places === undefined || (places.at(-1) as number) < from) return -1;
    let [low, high] = [0, places.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((places[middle] as number) < from) low = middle + 1;
      else high = middle;
    }
    return places[low] as number;
  }

  /** One message more. */
  noteShape(letter: 'Q' | 'F' | 'P' | 'B' | 'b' | 'S' | 'D' | 'E' | 'e' | 'C'): void {
    // A FunctionCall has no letter: there is nothing of it to be cached.
    if (letter !== 'F') this.shape += letter;
    if (letter === 'E' || letter === 'e' || letter === 'Q' || letter === 'F') this.executes = true;
    if (letter === 'B' || letter === 'b') this.binds = true;
    if (letter === 'B') this.bindsUnnamed = true;
  }

  /** Has it Parse of a statement with a name? */
  get parsesNamed(): boolean {
    return this.parsed !== undefined && (this.parsed.size > 1 || !this.parsed.has(''));
  }
}

/** So many plans are looked through faster than looked up. */
const manyPlans = 16;

function notePlace(places: Map<Plan, number[]>, plan: Plan, place: number): void {
  const known = places.get(plan);
  if (known === undefined) places.set(plan, [place]);
  else known.push(place);
}

function placesOf(plans: readonly Plan[]): Map<Plan, number[]> {
  const places = new Map<Plan, number[]>();
  for (const [place, plan] of plans.entries()) notePlace(places, plan, place);
  return places;
}
