/**
 * The open writes of Weirs that are not heard of any more: their servers may go on with them. Their tags stay closed here, and
 * are read from the primary, until the backend is gone, the owner is heard of again or somebody else has found out. Every
 * Weir does this for itself, before it has a lease; what it is told comes from Redis (scripts.ts, hello).
 * Made by membership.ts.
 */
import type { Log } from '../observability/types.ts';
import type { Tag } from '../binding/plan.ts';
import type { TagState, TagTable } from './tags.ts';
import type { HelloReply, Orphan } from './transport.ts';
import type { Backend, WhenGone } from './types.ts';

export interface InheritanceRules {
  readonly table: TagTable;
  readonly log: Log;
  /** So many writes more, or less, are of unknown outcome. */
  undecided(change: 1 | -1): void;
  /** Nothing of it can happen any more: tells the others. */
  opened(token: string, states: readonly TagState[]): void;
  /** Rule taken out by tests: the writes of those who are gone are forgotten. */
  readonly ignoresOrphans: boolean;
}

interface Write {
  readonly orphan: Orphan;
  readonly prefix: string;
  readonly backend: Backend;
  readonly states: readonly TagState[];
  /** Of Redis's memory, when it last listed this write: only by the same one its absence means anything. */
  generation: string;
  /** 'decided': told to Redis, which may not have heard it yet. */
  state: 'open' | 'decided';
}

/** What others need to know about a write of ours to find out what became of it. */
export function noteOf(prefix: string, { node, processId }: Backend, tags: readonly Tag[]): string {
  return JSON.stringify([prefix, node.host, node.port, processId, tags]);
}

const ownerOf = (token: string): string => token.slice(0, token.indexOf(':'));
const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= 10_000;
const isInt4 = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31;

/** @returns undefined for anything that noteOf does not write: anybody may write to Redis */
export function parseNote(note: string): { prefix: string; backend: Backend; tags: readonly Tag[] } | undefined {
  let raw: unknown;
  try {
    raw = JSON.parse(note);
  } catch {
    return undefined;
  }
  if (!Array.isArray(raw)) return undefined;
  const [prefix, host, port, processId, tags] = raw as unknown[];
  if (!isText(prefix) || !isText(host) || !isInt4(port) || !isInt4(processId)) return undefined;
  if (!Array.isArray(tags) || tags.length > 1_000 || !tags.every(isText)) return undefined;
  return { prefix, backend: { node: { host, port }, processId }, tags };
}

export class Inheritance {
  private readonly rules: InheritanceRules;
  private readonly writes = new Map<string, Write>();
  private readonly askers = new Map<string, WhenGone>();

  constructor(rules: InheritanceRules) {
    this.rules = rules;
  }

  /** Who can be asked about the database of `prefix`. */
  attach(prefix: string, whenGone: WhenGone): void {
    if (this.askers.get(prefix) === whenGone) return;
    this.askers.set(prefix, whenGone);
    for (const write of this.writes.values()) if (write.prefix === prefix) this.ask(write);
  }

  /** To be called with every answer of Redis, before a lease in it is taken. */
  learn({ orphans, isWhole, echo, members, missing }: HelloReply): void {
    if (this.rules.ignoresOrphans) return;
    const [generation = ''] = echo.split(' ');
    const listed = new Set<string>();
    const before = this.writes.size;
    for (const orphan of orphans) {
      listed.add(orphan.token);
      const known = this.writes.get(orphan.token);
      if (known === undefined) this.inherit(orphan, generation);
      else known.generation = generation;
      if (known?.state === 'decided') this.rules.opened(orphan.token, known.states);
    }
    if (this.writes.size > before) this.say(this.writes.size - before);
    if (!isWhole || this.writes.size === 0) return;
    const heard = new Set(members.filter((id) => !missing.includes(id)));
    for (const [token, write] of this.writes) {
      if (listed.has(token)) continue;
      const isMeant = write.generation === generation || write.state === 'decided' || heard.has(ownerOf(token));
      if (isMeant) this.forget(token, write);
    }
  }

  /** Redis may have lost its memory. */
  get known(): readonly Orphan[] {
    if (this.writes.size === 0) return none;
    return [...this.writes.values()].filter(({ state }) => state === 'open').map(({ orphan }) => orphan);
  }

  private say(count: number): void {
    const what = `${count} open write(s) of a Weir that is not heard of`;
    this.rules.log(
      'warn',
      'cache_inherited',
      `${what}: uncached, and on the primary, until their servers have ended them`,
    );
  }

  private inherit(orphan: Orphan, generation: string): void {
    const note = parseNote(orphan.note);
    if (note === undefined) return;
    const { prefix, backend } = note;
    const states = [...new Set(note.tags)].map((tag) => this.rules.table.state(tag));
    const write: Write = { orphan, prefix, backend, states, generation, state: 'open' };
    this.writes.set(orphan.token, write);
    this.rules.undecided(1);
    for (const state of states) {
      state.closed++;
      state.changeUndecided(1);
      state.settle();
    }
    this.ask(write);
  }

  private ask(write: Write): void {
    void this.askers
      .get(write.prefix)?.(write.backend)
      .then(() => {
        if (write.state === 'decided' || this.writes.get(write.orphan.token) !== write) return;
        write.state = 'decided';
        this.open(write);
        this.rules.opened(write.orphan.token, write.states);
      });
  }

  /** Redis does not list it any more: its owner answers for it again, or somebody has found out. */
  private forget(token: string, write: Write): void {
    this.writes.delete(token);
    if (write.state === 'open') this.open(write);
  }

  private open({ states }: Write): void {
    this.rules.undecided(-1);
    for (const state of states) {
      state.closed--;
      state.changeUndecided(-1);
      state.writtenNow();
      // Whether somebody else has closed it, Redis has to be asked.
      state.remote = 0;
      this.rules.table.bump(state);
    }
  }
}

const none: readonly Orphan[] = [];
