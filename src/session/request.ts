/**
 * A request of a client: a Query, a FunctionCall, or a batch of the extended protocol up to its Sync. Holds what is
 * known before it is sent (plans, target) and what must be settled when its ReadyForQuery comes.
 */
import type { Plan } from '../binding/plan.ts';
import type { Hints } from '../sql/facts.ts';
import type { TraceComment } from '../statements/types.ts';
import { Attempt } from './attempt.ts';
import { Form, NamesUsed } from './form.ts';
import { Planned } from './planned.ts';
import { isOnServer, type RequestState } from './request-state.ts';
import { CacheUse, Target } from './target.ts';

/** A message of the client, as a span of the buffer in which it arrived. */
export interface Message {
  readonly type: number;
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
  /** Name of the statement that it uses, once that was read (request/statement-name.ts). */
  statementName: string | undefined;
}

/** @returns true if the span is only the first piece of a message that is streamed */
export function isPiece({ buffer, start, end }: Message): boolean {
  return buffer.readInt32BE(start + 1) + 1 > end - start;
}

export class Request {
  /** Only Session.move changes it. */
  state: RequestState = 'gathering';
  attempt = new Attempt();
  /** Its messages, while they may have to be sent, or sent again; undefined when that is no longer possible. */
  messages: Message[] | undefined = [];
  /** Plans of everything that it executes (Query, or Bind), in order. */
  readonly plans: Plan[] = [];
  /** Indexes in `plans`, once there are too many plans to search. */
  private places: Map<Plan, number[]> | undefined;
  readonly planned = new Planned();
  readonly form = new Form();
  readonly names = new NamesUsed();
  readonly target = new Target();
  readonly cache = new CacheUse();
  hints: Hints | undefined;
  /** What a comment of its text says of the client's trace; read only if statements are logged or traced. */
  trace: TraceComment | undefined;
  /** Its Sync (or Query, FunctionCall) has come. */
  isComplete = false;
  /** When the request arrived (monotonic ms). */
  receivedAtMs = 0;

  /** The request is on a server, which still owes an answer. */
  get isOnServer(): boolean {
    return isOnServer(this.state);
  }

  /** All of it that has arrived was passed to its server. */
  sent(): void {
    if (this.attempt.held === undefined) this.messages = undefined;
  }

  addPlan(plan: Plan): void {
    // A batch that never ends and repeats the same statements must not grow this list without limit.
    if (this.isOnServer && this.hasPlan(plan)) {
      this.attempt.hasRepeated = true;
      return;
    }
    this.planned.add(plan, this.plans.at(-1));
    if (this.places !== undefined) notePlace(this.places, plan, this.plans.length);
    this.plans.push(plan);
  }

  hasPlan(plan: Plan): boolean {
    return this.placeOf(plan, 0) !== -1;
  }

  /** @returns the first index of the plan at or after `from`; -1: none */
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
}

/** Up to this many plans, a search is faster than a lookup. */
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
