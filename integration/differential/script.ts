/**
 * What a script is: steps of up to three clients, played one after another. `a('SELECT 1')` lets client a say something
 * and waits for all of its answer; clients connect when they are first named.
 */
import { query, type Sent } from './messages.ts';

/**
 * The ways through Weir: transaction mode on one server, on three that take turns, on three, with room for two prepared
 * statements on one and on three; and the other modes.
 */
export type Way = 'pooled' | 'turns' | 'roomy' | 'evicting' | 'crowded' | 'session' | 'statement';

export type Step =
  | { readonly do: 'connect'; readonly client: string; readonly parameters: Readonly<Record<string, string>> }
  | { readonly do: 'say'; readonly client: string; readonly messages: readonly Sent[]; readonly waits: boolean }
  | { readonly do: 'hear'; readonly client: string; readonly type: string; readonly count: number }
  | { readonly do: 'leave'; readonly client: string };

export interface Script {
  readonly name: string;
  readonly steps: readonly Step[];
  readonly ways: readonly Way[];
}

export type Words = string | Sent | readonly Sent[];

interface Client {
  /** Says all of it in one write and waits for the answer. */
  (...words: Words[]): Step;
  /** Says it and does not wait: another client goes on meanwhile. */
  starts(...words: Words[]): Step;
  /** Waits for `count` messages of a type (its letter in the protocol). */
  hears(type: string, count?: number): Step;
  connects(parameters?: Readonly<Record<string, string>>): Step;
  leaves(): Step;
}

function flat(words: readonly Words[]): Sent[] {
  return words.flatMap((word) => (typeof word === 'string' ? [query(word)] : word));
}

function makeClient(client: string): Client {
  const say = (...words: Words[]): Step => ({ do: 'say', client, messages: flat(words), waits: true });
  return Object.assign(say, {
    starts: (...words: Words[]): Step => ({ do: 'say', client, messages: flat(words), waits: false }),
    hears: (type: string, count = 1): Step => ({ do: 'hear', client, type, count }),
    connects: (parameters: Readonly<Record<string, string>> = {}): Step => ({ do: 'connect', client, parameters }),
    leaves: (): Step => ({ do: 'leave', client }),
  });
}

export const a = makeClient('a');
export const b = makeClient('b');
export const c = makeClient('c');

/** Several clients may hold servers at the same time. */
export const atOnce: readonly Way[] = ['roomy', 'turns', 'session'];
const oneByOne: readonly Way[] = ['pooled', 'turns', 'evicting', 'session'];
/** Nothing in it is a transaction block. */
export const everywhere: readonly Way[] = [...oneByOne, 'statement'];

export function script(name: string, steps: readonly Step[], ways: readonly Way[] = oneByOne): Script {
  return { name, steps, ways };
}

/** Does a client say several messages at once of which PostgreSQL would run some before the others have come? */
export function hasBatches({ steps }: Script): boolean {
  return steps.some((step) => step.do === 'say' && step.messages.length > 2);
}
